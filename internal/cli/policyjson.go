package cli

import (
	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/policytest"
)

// The shapes of --format json. They are documented in docs/security-staff.md,
// and grow by members only.

// ruleJSON is a rule and how it stands to a reader.
type ruleJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Rule string `json:"rule"`
	// Roles leads from the reader's role to the rule's.
	Roles []string `json:"roles"`
	Lacks []string `json:"lacks,omitempty"`
}

// readerJSON is what decisions depend on.
type readerJSON struct {
	Roles      []string `json:"roles"`
	Department string   `json:"department,omitempty"`
	Open       []string `json:"openPurposes"`
	Purpose    string   `json:"purpose,omitempty"`
}

// clauseJSON is what one scope gives or takes.
type clauseJSON struct {
	Scope        string `json:"scope"`
	Capabilities string `json:"capabilities"`
	Denied       bool   `json:"denied"`
}

type explanationJSON struct {
	Coordinate  string       `json:"coordinate"`
	Department  string       `json:"department"`
	Level       string       `json:"level"`
	Reader      readerJSON   `json:"reader"`
	Capability  string       `json:"capability"`
	Clauses     []clauseJSON `json:"clauses"`
	Reason      string       `json:"reason,omitempty"`
	WithPurpose string       `json:"withPurpose,omitempty"`
	Hidden      bool         `json:"hidden"`
	AllowedBy   []ruleJSON   `json:"allowedBy"`
	DeniedBy    []ruleJSON   `json:"deniedBy"`
	Nearest     *ruleJSON    `json:"nearest,omitempty"`
}

type testJSON struct {
	Checked  int            `json:"checked"`
	Failures []failureJSON  `json:"failures"`
	Coverage []coverageJSON `json:"coverage"`
}

type failureJSON struct {
	File       string            `json:"file"`
	Line       int               `json:"line"`
	Column     int               `json:"column"`
	Coordinate string            `json:"coordinate"`
	Reader     readerJSON        `json:"reader"`
	Scopes     map[string]string `json:"scopes"`
	Expected   string            `json:"expected"`
	Decided    string            `json:"decided"`
	AllowedBy  []ruleJSON        `json:"allowedBy"`
	DeniedBy   []ruleJSON        `json:"deniedBy"`
	Nearest    *ruleJSON         `json:"nearest,omitempty"`
}

type coverageJSON struct {
	Role    string   `json:"role"`
	Covered int      `json:"covered"`
	Total   int      `json:"total"`
	Missing []string `json:"missing"`
}

func ruleReport(d *authz.Deciding) ruleJSON {
	return ruleJSON{d.Rule.Position.File, d.Rule.Position.Line, d.Rule.String(), list(d.Roles), d.Lacks}
}

func rulesReport(ds []authz.Deciding) []ruleJSON {
	out := make([]ruleJSON, len(ds))
	for i := range ds {
		out[i] = ruleReport(&ds[i])
	}
	return out
}

func nearestReport(d *authz.Deciding) *ruleJSON {
	if d == nil {
		return nil
	}
	r := ruleReport(d)
	return &r
}

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func readerReport(p authz.Profile) readerJSON {
	return readerJSON{list(p.Roles), p.Department, list(p.Purposes), p.Purpose}
}

func explanationReport(e *authz.Explanation) explanationJSON {
	out := explanationJSON{
		Coordinate: e.Coordinate.String(), Department: e.Department, Level: e.Level, Reader: readerReport(e.Profile),
		Capability: e.Grants.Potential().String(), Clauses: []clauseJSON{},
		AllowedBy: rulesReport(e.Allow), DeniedBy: rulesReport(e.Deny), Nearest: nearestReport(e.Nearest),
	}
	if e.Grants == nil {
		return out
	}
	for _, c := range e.Grants.Clauses {
		out.Clauses = append(out.Clauses, clauseJSON{c.Scope, c.Caps.String(), c.Deny})
	}
	out.Hidden = e.Grants.Hidden
	if !e.Grants.Always().Has(authz.Clear) {
		out.Reason = e.Grants.Reason.String()
	}
	if e.Grants.WithPurpose != authz.None {
		out.WithPurpose = e.Grants.WithPurpose.String()
	}
	return out
}

func testReport(r *policytest.Result) testJSON {
	out := testJSON{Checked: r.Checked, Failures: []failureJSON{}, Coverage: []coverageJSON{}}
	for _, f := range r.Failures {
		scopes := map[string]string{}
		for s, t := range f.Scopes {
			scopes[s] = [...]string{authz.False: "false", authz.True: "true", authz.Unknown: "unknown"}[t]
		}
		out.Failures = append(out.Failures, failureJSON{
			File: f.Position.File, Line: f.Position.Line, Column: f.Position.Column, Coordinate: f.Coordinate.String(),
			Reader: readerReport(f.Profile), Scopes: scopes, Expected: f.Expected, Decided: f.Got,
			AllowedBy: rulesReport(f.Explanation.Allow), DeniedBy: rulesReport(f.Explanation.Deny), Nearest: nearestReport(f.Explanation.Nearest),
		})
	}
	for _, c := range r.Coverage {
		missing := []string{}
		for _, at := range c.Missing {
			missing = append(missing, at.String())
		}
		out.Coverage = append(out.Coverage, coverageJSON{c.Role, c.Covered, c.Total, missing})
	}
	return out
}
