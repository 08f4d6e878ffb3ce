package gateway

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/internal/store"
	"github.com/weir-data/weir/lineage"
)

// names are the ids of officers, joined.
func names(officers []approval.Officer) string {
	var out []string
	for _, o := range officers {
		out = append(out, o.ID)
	}
	return strings.Join(out, " ")
}

// Who signs for the ledger is what two officers have approved, not what the
// configuration says by now.
func TestSignersAreApproved(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.policy(clerkAll)
	d.folders.Rights = someRights()
	d.folders.Auditors = []approval.Officer{{ID: "zhao", Key: d.keys["zhao"].Public().(ed25519.PublicKey)}}
	signers := func() (Signers, error) {
		s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(filepath.Dir(d.folders.Policy), "control.db")})
		must(t, err)
		defer func() { must(t, s.Close()) }()
		return SignersOf(t.Context(), d.folders, s)
	}
	if _, err := signers(); !errors.Is(err, ErrNoSigners) {
		t.Errorf("before the first revision: %v", err)
	}
	d.folders.Rights.SingleOfficer = true
	if s, err := signers(); err != nil || !s.Unapproved || names(s.Auditors) != "zhao" {
		t.Errorf("one officer is enough: %+v, %v", s, err)
	}
	d.folders.Rights.SingleOfficer = false
	d.first()
	parent := d.active()
	d.close()

	// The operator names himself, shortens the time, and says that one is enough.
	approved := d.folders
	d.folders.Auditors = d.folders.Officers[:1]
	d.folders.Rights = d.folders.Rights.clone()
	d.folders.Rights.RetentionMonths, d.folders.Rights.SingleOfficer = 36, true
	if s, err := signers(); err != nil || s.Unapproved || names(s.Auditors) != "zhao" || names(s.Security) != "li wang" || s.Months != 60 {
		t.Errorf("%+v, %v", s, err)
	}
	// A longer time counts at once.
	d.folders = approved
	d.folders.Rights.RetentionMonths = 120
	if s, err := signers(); err != nil || s.Months != 120 {
		t.Errorf("%+v, %v", s, err)
	}
	// Other auditors wait for two, beside the policy.
	d.folders = approved
	d.folders.Auditors = append(d.folders.Auditors, approval.Officer{ID: "wu", Key: d.keys["zhao"].Public().(ed25519.PublicKey)})
	must(t, d.start())
	if p := d.pending(); !p.Changes.Widens || !strings.Contains(p.Changes.String(), "auditors.wu: key none -> ") {
		t.Errorf("%s", p.Changes)
	}
	d.close()
	if s, err := signers(); err != nil || names(s.Auditors) != "zhao" {
		t.Errorf("%+v, %v", s, err)
	}
	d.sign(parent, "wang", "li")
	must(t, d.start())
	d.close()
	if s, err := signers(); err != nil || names(s.Auditors) != "wu zhao" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Nothing is dropped before it has been kept for three years, whatever anybody
// says.
func TestDue(t *testing.T) {
	t.Parallel()
	month, err := lineage.ParseMonth("2023-11")
	must(t, err)
	for months, want := range map[int]string{0: "2026-12-01", 1: "2026-12-01", 36: "2026-12-01", 37: "2027-01-01", 120: "2033-12-01"} {
		s := Signers{Months: months}
		if got := s.Due(month).Format(time.DateOnly); got != want {
			t.Errorf("%d months: %s, want %s", months, got, want)
		}
	}
}
