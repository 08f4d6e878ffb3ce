package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Diagnostic is one finding of a lint, of schemas or of policies alike.
type Diagnostic struct {
	Position
	Code       string // stable, kebab-case: "unclassified-field"
	Message    string
	Suggestion string // what to do, or ""
	Warning    bool   // warnings do not refuse a revision
}

// String gives "file:line:column: code: message (suggestion)".
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", d.File, d.Line, d.Column)
	}
	if d.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(d.Code + ": " + d.Message)
	if d.Suggestion != "" {
		b.WriteString(" (" + d.Suggestion + ")")
	}
	return b.String()
}

// Diagnostics are findings, sorted by [Diagnostics.Sort].
type Diagnostics []Diagnostic //nolint:errname // a lint's findings are an error only when one of them is

// Sort orders by file, line, column, code and message.
func (ds Diagnostics) Sort() {
	slices.SortFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
}

// Failed reports whether any finding is an error.
func (ds Diagnostics) Failed() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return !d.Warning })
}

// Error lists the findings, one a line; Diagnostics with an error among them
// are an error.
func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}
