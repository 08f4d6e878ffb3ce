package gateway

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/store"
)

func someRights() Rights {
	return Rights{
		Applications: map[string][]string{"desk": {"case"}},
		Owners:       map[string]string{"police": "owner-police"},
		Sealed:       map[string]time.Duration{"case": 2160 * time.Hour},
		Minimum:      map[string]int{"L3": 10},

		RetentionMonths: 60,
		Amounts:         map[string]int{"budgets.matchPerReader": 2000},
		Times:           map[string]time.Duration{"tokens.jwt.leeway": 30 * time.Second},
		Fixed:           map[string]string{"tokens.jwt.issuer": "https://idp"},
	}
}

// clone copies rights, so that a test may change one setting.
func (r Rights) clone() Rights {
	r.Applications = map[string][]string{"desk": slices.Clone(r.Applications["desk"])}
	r.Owners = map[string]string{"police": r.Owners["police"]}
	r.Sealed = map[string]time.Duration{"case": r.Sealed["case"]}
	r.Minimum = map[string]int{"L3": r.Minimum["L3"]}
	r.Amounts = map[string]int{"budgets.matchPerReader": r.Amounts["budgets.matchPerReader"]}
	r.Times = map[string]time.Duration{"tokens.jwt.leeway": r.Times["tokens.jwt.leeway"]}
	r.Fixed = map[string]string{"tokens.jwt.issuer": r.Fixed["tokens.jwt.issuer"]}
	return r
}

// ways are the ways in which a configuration widens rights beside the policy,
// and the way back.
func ways() []struct {
	widens, narrows string // what is said; "" for nothing
	change          func(*RevisionSettings)
} {
	return []struct {
		widens, narrows string
		change          func(*RevisionSettings)
	}{
		{"singleOfficer: one officer widens rights alone", "", func(s *RevisionSettings) { s.Rights.SingleOfficer = true }},
		{"documents.only: documents that are not registered are answered", "", func(s *RevisionSettings) { s.Rights.FreeDocuments = true }},
		{"tokens.revoked: no list of revoked tokens is asked", "", func(s *RevisionSettings) { s.Rights.UnrevokedTokens = true }},
		{"offices.auditor: auditor -> chief", "offices.auditor: auditor -> chief", func(s *RevisionSettings) { s.Offices.Auditor = "chief" }},
		{"offices.security: security -> chief", "offices.security: security -> chief", func(s *RevisionSettings) { s.Offices.Security = "chief" }},
		{"offices.operator: operator -> chief", "offices.operator: operator -> chief", func(s *RevisionSettings) { s.Offices.Operator = "chief" }},
		{"applications.desk: may state statistics", "", func(s *RevisionSettings) {
			s.Rights.Applications["desk"] = []string{"case", "statistics"}
		}},
		{"", "applications.desk: may no longer state case", func(s *RevisionSettings) { s.Rights.Applications["desk"] = nil }},
		{"departments.police.owner: owner-police -> clerk", "departments.police.owner", func(s *RevisionSettings) { s.Rights.Owners["police"] = "clerk" }},
		{"", "departments.police.owner: owner-police -> none", func(s *RevisionSettings) { delete(s.Rights.Owners, "police") }},
		{"departments.health.owner: none -> clerk", "", func(s *RevisionSettings) { s.Rights.Owners["health"] = "clerk" }},
		{"purposes.case.sealed: 2160h0m0s -> 1h0m0s", "", func(s *RevisionSettings) { s.Rights.Sealed["case"] = time.Hour }},
		{"purposes.case.sealed: 2160h0m0s -> 0s", "", func(s *RevisionSettings) { delete(s.Rights.Sealed, "case") }},
		{"", "purposes.other.sealed: 0s -> 1h0m0s", func(s *RevisionSettings) { s.Rights.Sealed["other"] = time.Hour }},
		{"aggregates.minimum.L3: 10 -> 3", "", func(s *RevisionSettings) { s.Rights.Minimum["L3"] = 3 }},
		{"", "aggregates.minimum.L3: 10 -> 20", func(s *RevisionSettings) { s.Rights.Minimum["L3"] = 20 }},
		{"aggregates.minimum.L9: numbers over 3 persons", "", func(s *RevisionSettings) { s.Rights.Minimum["L9"] = 3 }},
		{"ledger.retentionMonths: 60 -> 36", "", func(s *RevisionSettings) { s.Rights.RetentionMonths = 36 }},
		{"", "ledger.retentionMonths: 60 -> 120", func(s *RevisionSettings) { s.Rights.RetentionMonths = 120 }},
		{"budgets.matchPerReader: 2000 -> 2001", "", func(s *RevisionSettings) { s.Rights.Amounts["budgets.matchPerReader"]++ }},
		{"", "budgets.matchPerReader: 2000 -> 1999", func(s *RevisionSettings) { s.Rights.Amounts["budgets.matchPerReader"]-- }},
		{"tokens.jwt.leeway: 30s -> 5m0s", "", func(s *RevisionSettings) { s.Rights.Times["tokens.jwt.leeway"] = 5 * time.Minute }},
		{"tokens.jwt.issuer: https://idp -> https://other", "tokens.jwt.issuer", func(s *RevisionSettings) {
			s.Rights.Fixed["tokens.jwt.issuer"] = "https://other"
		}},
		{"tokens.jwt.claims.attributes.id: none -> sub", "", func(s *RevisionSettings) {
			s.Rights.Fixed["tokens.jwt.claims.attributes.id"] = "sub"
		}},
	}
}

func settings() *RevisionSettings {
	return &RevisionSettings{Rights: someRights(), Offices: authz.Offices{Operator: "operator", Security: "security", Auditor: "auditor"}}
}

func TestRightsCompare(t *testing.T) {
	t.Parallel()
	same := &authz.Changes{}
	CompareSettings(same, settings(), settings())
	if same.Changed() || len(same.List) > 0 {
		t.Errorf("equal settings differ: %s", same)
	}
	for _, w := range ways() {
		was, is := settings(), settings()
		w.change(is)
		for _, c := range []struct {
			from, to        *RevisionSettings
			widens, narrows bool
			text            string
		}{
			{was, is, w.widens != "", w.narrows != "", w.widens + w.narrows},
			{is, was, w.narrows != "", w.widens != "", ""}, // taken back
		} {
			got := &authz.Changes{}
			CompareSettings(got, c.from, c.to)
			if got.Widens != c.widens || got.Narrows != c.narrows || len(got.List) != 1 {
				t.Errorf("%s%s: %s, want widens %v, narrows %v", w.widens, w.narrows, got, c.widens, c.narrows)
			}
			if text := got.String(); w.widens != "" && c.text != "" && !strings.Contains(text, w.widens) || w.widens == "" && !strings.Contains(text, c.text) {
				t.Errorf("%q does not say %q", text, c.text)
			}
		}
	}
}

// A configuration that widens rights does not start without two officers; one
// that narrows them starts at once, and is in force for good.
func TestConfigurationNeedsTwo(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		t.Run(w.widens+w.narrows, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.policy(clerkAll)
			d.folders.Rights = someRights()
			d.folders.PolicySettings.Offices = settings().Offices
			d.first()
			parent := d.active()
			d.close()

			next := RevisionSettings{Rights: d.folders.Rights.clone(), Offices: d.folders.PolicySettings.Offices}
			w.change(&next)
			d.folders.Rights, d.folders.PolicySettings.Offices = next.Rights, next.Offices
			if w.widens == "" {
				must(t, d.start())
				if d.active() == parent {
					t.Error("a narrowing of the configuration is not kept as in force")
				}
				return
			}
			refused := func(why string) {
				t.Helper()
				err := d.start()
				var u *UnapprovedError
				if !errors.As(err, &u) || !strings.Contains(err.Error(), w.widens) || !strings.Contains(err.Error(), why) {
					t.Fatalf("%v, want %s and %s", err, w.widens, why)
				}
			}
			refused("the configuration widens rights")
			d.sign(parent, "wang", "")
			refused("a second officer has not signed")
			// A policy that is broken cannot carry the configuration in.
			d.sign(parent, "wang", "li")
			d.policy("p, clerk\n")
			refused("the configuration widens rights")
			d.policy(clerkAll)
			must(t, d.start())
			if d.active() == parent {
				t.Error("the approved configuration is not in force")
			}
			d.restart() // and needs nobody again
		})
	}
}

// What a configuration takes away counts at once, also beside a policy that
// waits.
func TestNarrowerConfigurationBesideWaitingPolicy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy(clerkAll)
	d.folders.Rights = someRights()
	d.first()
	parent := d.active()
	d.close()
	d.folders.Rights = d.folders.Rights.clone()
	d.folders.Rights.Applications["desk"] = nil
	d.policy(clerkAll + guestToo)
	must(t, d.start())
	if p := d.pending(); !p.Changes.Widens || !p.Changes.Narrows || d.active() != parent {
		t.Errorf("%s", p.Changes)
	}
	// Going back to the wider one is going back to what is in force.
	d.close()
	d.folders.Rights = someRights()
	must(t, d.start())
}

// One officer is enough only where two have said so.
func TestSingleOfficerNeedsTwo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy(clerkAll)
	dir := filepath.Dir(d.folders.Policy)
	allow := func() error {
		s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "control.db")})
		must(t, err)
		defer func() { must(t, s.Close()) }()
		folders := d.folders
		folders.Rights.SingleOfficer = true
		return ApproveSingleOfficer(t.Context(), folders, &Activation{Store: s}, d.ledger, NewMetrics(), slog.New(slog.DiscardHandler), time.Now)
	}
	if err := allow(); err != nil {
		t.Errorf("a new node: %v", err)
	}
	d.first()
	parent := d.active()
	d.close()
	var u *UnapprovedError
	if err := allow(); !errors.As(err, &u) || !strings.Contains(err.Error(), "one officer widens rights alone") {
		t.Fatalf("%v", err)
	}
	d.folders.Rights.SingleOfficer = true
	d.sign(parent, "wang", "li")
	must(t, allow())
	d.policy(clerkAll + guestToo) // from now on alone
	must(t, allow())
	d.folders.Rights.SingleOfficer = false // back to two, which is less
	d.policy(clerkAll)
	must(t, d.start())
}
