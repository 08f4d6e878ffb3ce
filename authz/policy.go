package authz

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weir-data/weir/schema"
)

// wildcard is how a policy writes "whatever it is": in a department, a resource,
// a purpose.
const wildcard = "*"

// Columns of a p line, after the p.
const (
	columnRole = iota
	columnDepartment
	columnResource
	columnLevel
	columnPurpose
	columnScope
	columnAccess
	columnEffect
	columns
)

// Effects of a rule.
const (
	effectAllow = "allow"
	effectDeny  = "deny"
)

// rowResource stands for the row in a resource: Person._row.
const rowResource = "_row"

// Rule is one p line, as written.
type Rule struct {
	Role       string
	Department string
	Resource   string
	Level      string
	Purpose    string
	Scope      string
	Access     string
	Effect     string
	Position   schema.Position // of the line's first word

	at [columns]int // columns in the line, for diagnostics
}

// values gives the rule in the order of its columns.
func (r *Rule) values() [columns]string {
	return [columns]string{r.Role, r.Department, r.Resource, r.Level, r.Purpose, r.Scope, r.Access, r.Effect}
}

func (r *Rule) deny() bool { return r.Effect == effectDeny }

// String is the rule as a line of policy.
func (r *Rule) String() string {
	v := r.values()
	return "p, " + strings.Join(v[:], ", ")
}

// position is the place of one of the rule's values.
func (r *Rule) position(column int) schema.Position {
	p := r.Position
	if r.at[column] > 0 {
		p.Column = r.at[column]
	}
	return p
}

// Inheritance is one g line: Role has all that Parent has.
type Inheritance struct {
	Role, Parent string
	Position     schema.Position

	at [2]int
}

func (i *Inheritance) position(column int) schema.Position {
	p := i.Position
	if i.at[column] > 0 {
		p.Column = i.at[column]
	}
	return p
}

// Policy is a parsed revision of the rules, in the order of the files. It is
// not changed after it is made.
type Policy struct {
	Rules    []Rule
	Inherits []Inheritance
	Revision string // hex digest of the source files, names without folders included
}

// Parse reads policy files: CSV lines of p and g, comments from # to the end of
// the line. A byte-order mark and CRLF are tolerated. What cannot be read is a
// finding with its place, and the policy then lacks that line: a policy with
// findings that [schema.Diagnostics.Failed] must not be used.
func Parse(files []schema.File) (*Policy, schema.Diagnostics) {
	p := &Policy{Revision: revision(files)}
	var found schema.Diagnostics
	for _, f := range files {
		r := reader{file: f.Name, policy: p, found: &found}
		r.read(f.Text)
	}
	found.Sort()
	return p, found
}

func revision(files []schema.File) string {
	h := sha256.New()
	var n [8]byte
	for _, f := range files {
		// Without the folder: the same policy is the same revision on every machine.
		for _, s := range [...]string{filepath.Base(f.Name), f.Text} {
			binary.BigEndian.PutUint64(n[:], uint64(len(s)))
			h.Write(n[:])
			h.Write([]byte(s))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// reader reads one file.
type reader struct {
	file   string
	line   int
	policy *Policy
	found  *schema.Diagnostics

	values []value // of a line, reused
}

func (r *reader) add(column int, code, suggestion, format string, args ...any) {
	*r.found = append(*r.found, schema.Diagnostic{
		Position: schema.Position{File: r.file, Line: r.line, Column: column},
		Code:     code, Message: fmt.Sprintf(format, args...), Suggestion: suggestion,
	})
}

func (r *reader) read(text string) {
	if at, ok := (schema.File{Name: r.file, Text: text}).UTF8(); !ok {
		r.line = at.Line
		r.add(at.Column, codeEncoding, "save the file as UTF-8", "the file is not UTF-8")
		return
	}
	text = strings.TrimPrefix(text, "\ufeff")
	r.line = 1
	r.policy.Rules = slices.Grow(r.policy.Rules, strings.Count(text, "\n")+1)
	for len(text) > 0 {
		line, rest, _ := strings.Cut(text, "\n")
		r.readLine(strings.TrimSuffix(line, "\r"))
		text = rest
		r.line++
	}
}

// value is one value of a line and its column.
type value struct {
	text   string
	column int
}

func (r *reader) readLine(line string) {
	values, ok := r.split(line)
	if !ok || len(values) == 0 {
		return
	}
	kind, values := values[0], values[1:]
	switch kind.text {
	case "p":
		if !r.counted(kind, values, columns, "role, department, resource, level, purpose, scope, access, effect") {
			return
		}
		rule := Rule{
			Role: values[columnRole].text, Department: values[columnDepartment].text,
			Resource: values[columnResource].text, Level: values[columnLevel].text,
			Purpose: values[columnPurpose].text, Scope: values[columnScope].text,
			Access: values[columnAccess].text, Effect: values[columnEffect].text,
			Position: schema.Position{File: r.file, Line: r.line, Column: kind.column},
		}
		for i := range rule.at {
			rule.at[i] = values[i].column
		}
		r.policy.Rules = append(r.policy.Rules, rule)
	case "g":
		if !r.counted(kind, values, 2, "role, parent") {
			return
		}
		r.policy.Inherits = append(r.policy.Inherits, Inheritance{
			Role: values[0].text, Parent: values[1].text,
			Position: schema.Position{File: r.file, Line: r.line, Column: kind.column},
			at:       [2]int{values[0].column, values[1].column},
		})
	default:
		r.add(kind.column, codeUnknownLine, "start it with p or g, or with # for a comment", "a line of policy starts with p or g, not with %q", kind.text)
	}
}

// counted checks the number of values and that none is empty.
func (r *reader) counted(kind value, values []value, want int, names string) bool {
	if len(values) != want {
		r.add(kind.column, codeWrongColumns, "write "+kind.text+", "+names,
			"a %s line has %d values after the %s, this one has %d", kind.text, want, kind.text, len(values))
		return false
	}
	ok := true
	for i, v := range values {
		if v.text == "" {
			r.add(v.column, codeEmptyValue, "write * where anything is meant", "%s is empty", strings.Split(names, ", ")[i])
			ok = false
		}
	}
	return ok
}

// split cuts a line into its values. Blank lines and comments have none.
func (r *reader) split(line string) (values []value, ok bool) {
	out := r.values[:0]
	defer func() { r.values = out }()
	// Columns are asked for from left to right.
	at, runes := 0, 0
	column := func(i int) int {
		runes, at = runes+utf8.RuneCountInString(line[at:i]), i
		return runes + 1
	}
	i := 0
	for first := true; ; first = false {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		if i == len(line) || line[i] == '#' {
			if !first {
				out = append(out, value{"", column(i)})
			}
			return out, true
		}
		v := value{column: column(i)}
		if line[i] == '"' {
			text, n, ok := quoted(line[i:])
			if !ok {
				r.add(v.column, codeQuotes, "close it on the same line", "a quotation mark is not closed")
				return nil, false
			}
			v.text = text
			i += n
			for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
				i++
			}
			if i < len(line) && line[i] != ',' && line[i] != '#' {
				r.add(column(i), codeQuotes, "write a comma", "text follows a closing quotation mark")
				return nil, false
			}
		} else {
			n := strings.IndexAny(line[i:], ",#")
			if n < 0 {
				n = len(line) - i
			}
			v.text = strings.TrimRight(line[i:i+n], " \t")
			i += n
		}
		if !r.clean(v) {
			return nil, false
		}
		out = append(out, v)
		if i == len(line) || line[i] == '#' {
			return out, true
		}
		i++ // the comma
	}
}

// quoted reads a quoted value: "" inside stands for one quotation mark.
func quoted(s string) (text string, n int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

// clean refuses characters that no name has. Two names that look alike must not
// be different ones.
func (r *reader) clean(v value) bool {
	for _, c := range v.text {
		switch {
		case c > ' ' && c < 0x7f && c != '"': // most
		case c == '，':
			r.add(v.column, codeCharacter, "separate values with ASCII commas", "%q holds a full-width comma", v.text)
			return false
		case c == '"':
			r.add(v.column, codeQuotes, "quote the whole value or nothing", "%q holds a quotation mark", v.text)
			return false
		case unicode.IsSpace(c) || unicode.Is(unicode.C, c):
			r.add(v.column, codeCharacter, "retype the value", "%q holds a space or an invisible character", v.text)
			return false
		}
	}
	return true
}

// inheritance is the graph of the g lines.
type inheritance map[string][]string

func (p *Policy) inheritance() inheritance {
	g := make(inheritance, len(p.Inherits))
	for _, i := range p.Inherits {
		if !slices.Contains(g[i.Role], i.Parent) {
			g[i.Role] = append(g[i.Role], i.Parent)
		}
	}
	return g
}

// closure gives the roles and all that they inherit, sorted. Cycles end it, and
// are lint's to refuse.
func (g inheritance) closure(roles ...string) []string {
	seen := make(map[string]bool, len(roles))
	var out []string
	queue := slices.Clone(roles)
	for len(queue) > 0 {
		role := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[role] {
			continue
		}
		seen[role] = true
		out = append(out, role)
		queue = append(queue, g[role]...)
	}
	slices.Sort(out)
	return out
}

// parseAccess reads the access of a rule; any is for denies alone.
func parseAccess(s string) (Caps, bool) {
	switch s {
	case "match":
		return Match, true
	case "aggregate":
		return Aggregate, true
	case "mask":
		return Mask, true
	case "clear":
		return Clear, true
	case accessAny:
		return Match | Aggregate | Mask | Clear, true
	}
	return None, false
}

const accessAny = "any"

// parseResource reads "*", "Type.*", "Type._row", "Type.field". typ is empty
// for "*", field is "*" for a type with its fields, and empty for the row.
func parseResource(s string) (typ, field string, ok bool) {
	if s == wildcard {
		return "", wildcard, true
	}
	typ, field, ok = strings.Cut(s, ".")
	if !ok || !name(typ) || field != wildcard && !name(field) {
		return "", "", false
	}
	if field == rowResource {
		field = ""
	}
	return typ, field, true
}

// resource is the inverse of parseResource for one coordinate.
func resource(c schema.Coordinate) string {
	if c.Row() {
		return c.Type + "." + rowResource
	}
	return c.Type + "." + c.Field
}

// name reports whether s is a GraphQL name.
func name(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
