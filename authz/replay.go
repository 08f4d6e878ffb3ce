package authz

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/schema"
)

// Position is where a field stood in a recorded operation, as far as decisions
// go.
type Position uint8

// Positions.
const (
	Selected Position = iota
	Filtered
	Sorted
	Grouped
	Aggregated
	Matched
)

// Fate is what comes of a use of a field, from less to more for the reader.
type Fate uint8

// Fates.
const (
	FateRefused  Fate = iota // the whole operation is refused for it
	FateWithheld             // null, or the row is left out
	FateUsed                 // used, and not shown: a filter, an order, a count
	FateMasked
	FateClear
)

// String is the fate in lower case.
func (f Fate) String() string {
	return [...]string{"refused", "withheld", "used", "masked", "clear"}[f]
}

// Draft is one state of all that decides and another, and what changes between
// them.
type Draft struct {
	Changes       *Changes
	Before, After State
}

// State is what decides.
type State struct {
	Table *Table
	// Applications are the purposes that each opens.
	Applications map[string][]string
}

// Reader is a recorded reader as the state sees him. A purpose that was stated
// was open to him: by his application, or else by his token, which no state
// changes. was is the state that his application's purposes are compared with.
func (s *State) Reader(p Profile, application string, was *State) Profile {
	p.Purposes = slices.Clone(s.Applications[application])
	if p.Purpose != "" && !slices.Contains(p.Purposes, p.Purpose) && !slices.Contains(was.Applications[application], p.Purpose) {
		p.Purposes = append(p.Purposes, p.Purpose)
	}
	slices.Sort(p.Purposes)
	return p
}

// Recorded is one kind of reader with one operation, as a ledger has it.
type Recorded struct {
	// Before and After are the reader to the two tables: the same but for the
	// purposes that are open to him.
	Before, After Profile
	// Same: it was decided under the table before, so that what came of it tells
	// which rows it was about.
	Same bool
	Uses []RecordedUse
}

// RecordedUse is one field of it.
type RecordedUse struct {
	At       schema.Coordinate
	Position Position
	// Seen are the fates that occurred, a bit each; of selected fields alone.
	Seen uint8
}

// Effect is what another table makes of a recorded use.
type Effect struct {
	Direction
	Use      int // index into the uses
	From, To Fate
	// When says on which rows, "" for all that the records can have been about.
	When string
	// Note says what the records cannot tell, "" for nothing.
	Note string
}

// Replay decides recorded operations anew under two tables. Whether a row was
// within a scope is not recorded; where it matters an effect says so. It is for
// one goroutine.
type Replay struct {
	tables [2]*Table
	memo   map[string][]Effect
}

// NewReplay compares what two tables decide on what was recorded.
func NewReplay(before, after *Table) *Replay {
	return &Replay{tables: [2]*Table{before, after}, memo: make(map[string][]Effect)}
}

// Effects tells in what the two tables differ on a recorded operation.
func (r *Replay) Effects(rec *Recorded) []Effect {
	var views [2]*View
	for i, p := range [...]*Profile{&rec.Before, &rec.After} {
		views[i] = r.tables[i].View(*p)
	}
	counts, matches := false, map[string]bool{}
	for i := range rec.Uses {
		u := &rec.Uses[i]
		counts = counts || u.At.Row() && u.Position == Aggregated
		if u.At.Row() && u.Position == Matched {
			matches[u.At.Type] = true
		}
	}
	var out []Effect
	for i := range rec.Uses {
		u := &rec.Uses[i]
		if u.At.Row() && u.Position == Sorted {
			continue // a tie-break, which needs nothing
		}
		x := replayed{use: u, same: rec.Same, row: rowCaps(u, counts, matches[u.At.Type])}
		x.aggregate = x.row == Aggregate|Clear
		for side, v := range views {
			x.sides[side] = r.side(side, v, u.At)
		}
		key := x.key()
		effects, known := r.memo[key]
		if !known {
			effects = x.effects()
			r.memo[key] = effects
		}
		for _, e := range effects {
			e.Use = i
			out = append(out, e)
		}
	}
	return out
}

// rowCaps is what a row must be held with to exist for the use.
func rowCaps(u *RecordedUse, counts, matches bool) Caps {
	switch {
	case u.Position == Aggregated || u.Position == Grouped, counts && u.Position == Filtered:
		return Aggregate | Clear
	case u.Position == Matched || matches && u.Position == Filtered:
		return Match | Mask | Clear
	default:
		return Mask | Clear
	}
}

// replaySide is what one table says of a use.
type replaySide struct {
	row, own *Grants // of the row, and of the coordinate
	typ      *schema.Type
	field    *schema.Field // nil for the row
	refused  bool          // naming it, or stating the purpose, is refused
	gone     bool          // there is no such coordinate, or the purpose may not be stated
}

func (r *Replay) side(i int, v *View, at schema.Coordinate) replaySide {
	t := r.tables[i]
	s := replaySide{row: v.Grants(schema.Coordinate{Type: at.Type}), own: v.Grants(at), typ: t.catalogue.Types[at.Type]}
	p := v.profile
	s.gone = s.typ == nil || s.own == nil || s.row == nil || p.Purpose != "" && !slices.Contains(p.Purposes, p.Purpose)
	if s.refused = s.gone || s.own.Hidden || s.row.Hidden; s.gone {
		return s
	}
	if !at.Row() {
		s.field = s.typ.Field(at.Field)
	}
	return s
}

// replayed is one use under both tables.
type replayed struct {
	use       *RecordedUse
	same      bool
	row       Caps // any of these: the row exists
	aggregate bool
	sides     [2]replaySide

	scopes []string
	rows   []scoped // all that a row can be
}

// scoped is which scopes are true for a row, by the index of the scope.
type scoped []Truth

// key identifies what the effects depend on.
func (x *replayed) key() string {
	b := []byte(x.use.At.Type + "." + x.use.At.Field + "|")
	b = append(b, byte(x.use.Position), byte(x.row), bit(x.same), x.use.Seen)
	for i := range x.sides {
		s := &x.sides[i]
		if b = append(b, bit(s.gone)); s.gone {
			continue
		}
		b = append(append(b, s.row.Digest[:]...), s.own.Digest[:]...)
	}
	return string(b)
}

// maxRows bounds the combinations of scopes that are looked at; beyond it each
// scope is looked at alone.
const maxRows = 1024

func (x *replayed) effects() []Effect {
	x.enumerate()
	var fates [2][]Fate
	var exists [2][]bool
	for i := range x.sides {
		fates[i], exists[i] = x.fates(&x.sides[i])
	}
	possible := x.possible(fates[0], exists[0])
	if x.same && x.use.Position != Selected && !slices.Contains(fates[0], FateUsed) {
		return nil // it was used all the same: for what needs no right
	}
	var out []Effect
	for i := range x.rows {
		e := Effect{From: fates[0][i], To: fates[1][i]}
		mask := x.otherMask(&e)
		from, to := x.rank(e.From), x.rank(e.To)
		if !possible[i] || from == to && mask == "" || slices.ContainsFunc(out, func(o Effect) bool { return o.From == e.From && o.To == e.To }) {
			continue
		}
		e.Widens, e.Narrows = to > from || mask != "", to < from || mask != ""
		affected := make([]bool, len(x.rows))
		for j := range x.rows {
			affected[j] = possible[j] && fates[0][j] == e.From && fates[1][j] == e.To
		}
		e.When, e.Note = x.when(possible, affected), cmp.Or(mask, x.note(&e))
		out = append(out, e)
	}
	return out
}

// rank orders fates. A condition that is refused and one that finds no row show
// equally little; that a selected field exists is something.
func (x *replayed) rank(f Fate) Fate {
	if x.use.Position != Selected && f == FateRefused {
		return FateWithheld
	}
	return f
}

// otherMask tells of a masked value that is masked otherwise; "" where it is not.
func (x *replayed) otherMask(e *Effect) string {
	a, b := x.sides[0].field, x.sides[1].field
	if e.From != FateMasked || e.To != FateMasked || a.Mask.Spec == b.Mask.Spec {
		return ""
	}
	return "mask " + a.Mask.Spec + " -> " + b.Mask.Spec
}

// enumerate lists what a row can be to the scopes that decide.
func (x *replayed) enumerate() {
	denies := map[string]bool{}
	for i := range x.sides {
		for _, g := range [...]*Grants{x.sides[i].row, x.sides[i].own} {
			x.scopes = append(x.scopes, g.Scopes()...)
			if g == nil {
				continue
			}
			for _, c := range g.Clauses {
				denies[c.Scope] = denies[c.Scope] || c.Deny
			}
		}
	}
	x.scopes = sorted(x.scopes)
	total := 1
	values := make([]int, len(x.scopes))
	for i, s := range x.scopes {
		values[i] = 2
		if denies[s] && s != ScopeByKey { // known in the plan, never unknown
			values[i] = 3
		}
		total = min(total*values[i], maxRows+1)
	}
	if total > maxRows {
		x.rows = append(x.rows, make(scoped, len(x.scopes)))
		for i := range x.scopes {
			row := make(scoped, len(x.scopes))
			row[i] = True
			x.rows = append(x.rows, row)
		}
		return
	}
	for n := range total {
		row := make(scoped, len(x.scopes))
		for i := range row {
			row[i], n = Truth(n%values[i]), n/values[i] //nolint:gosec // below three
		}
		x.rows = append(x.rows, row)
	}
}

func (x *replayed) truth(row scoped) func(string) Truth {
	return func(scope string) Truth {
		if i, ok := slices.BinarySearch(x.scopes, scope); ok {
			return row[i]
		}
		return False
	}
}

// fates gives what comes of the use on every row. Whether a request is refused
// is known before any row is: it depends on what can be, on its path.
// exists tells which rows there are for the reader.
func (x *replayed) fates(s *replaySide) (out []Fate, exists []bool) {
	out, exists = make([]Fate, len(x.rows)), make([]bool, len(x.rows))
	if s.refused {
		return out, exists
	}
	held := make([]Caps, len(x.rows))
	for i, row := range x.rows {
		truth := x.truth(row)
		held[i], exists[i] = s.own.Under(truth), s.row.Under(truth).Any(x.row)
	}
	want := x.wanted(s)
	var paths [2]struct{ rows, some, all bool }
	for i, row := range x.rows {
		p := &paths[x.path(row)]
		if exists[i] {
			p.all = (p.all || !p.rows) && held[i].Any(want)
			p.rows = true
		}
		p.some = p.some || held[i].Any(want)
	}
	for i, row := range x.rows {
		p := &paths[x.path(row)]
		refused := !p.some
		if x.use.Position == Sorted {
			refused = !p.all
		}
		switch {
		case !p.rows: // no statement is sent
			out[i] = FateWithheld
		case refused && !x.shows():
			out[i] = FateRefused
		case !exists[i] || !held[i].Any(want):
			out[i] = FateWithheld
		default:
			out[i] = x.given(s, held[i])
		}
	}
	return out, exists
}

// path is 1 for rows that were reached by their key.
func (x *replayed) path(row scoped) int {
	return int(x.truth(row)(ScopeByKey) & True)
}

// shows reports whether the use shows something, and is null where it may not,
// rather than refused. Rows are: a root of which none exists is null.
func (x *replayed) shows() bool {
	return x.use.Position == Selected || x.use.At.Row() && x.use.Position != Filtered
}

// wanted is what the position needs, any of it.
func (x *replayed) wanted(s *replaySide) Caps {
	f := s.field
	switch {
	case x.use.At.Row():
		return x.row
	case x.use.Position == Selected:
		if f != nil && f.Mask == nil && f.Relation == nil {
			return Clear
		}
		return Mask | Clear
	case x.use.Position == Matched:
		return Match
	case x.use.Position == Aggregated, x.aggregate && f != nil && f.Dimension:
		return Aggregate
	default:
		return Clear
	}
}

// given is what the reader gets who holds what is wanted.
func (x *replayed) given(s *replaySide, held Caps) Fate {
	switch {
	case x.use.Position != Selected:
		return FateUsed
	case x.use.At.Row() || s.field == nil || s.field.Relation != nil || held.Has(Clear):
		return FateClear
	default:
		return FateMasked
	}
}

// possible marks the rows that the records can have been about, and those that
// they would have been about, on the same path, had they existed for the reader.
// Where the records do not fit the table before, all can.
func (x *replayed) possible(before []Fate, exists []bool) []bool {
	out := make([]bool, len(before))
	var found uint8
	var taken [2]bool // by path
	for i, f := range before {
		found |= 1 << f
		if out[i] = x.use.Seen&(1<<f) != 0; out[i] && exists[i] {
			taken[x.path(x.rows[i])] = true
		}
	}
	if !x.same || x.use.Position != Selected || x.use.Seen == 0 || x.use.Seen&^found != 0 {
		taken = [2]bool{true, true}
		for i := range out {
			out[i] = true
		}
	}
	for i := range out {
		if !exists[i] {
			out[i] = taken[x.path(x.rows[i])]
		}
	}
	return out
}

// note says what a record does not tell about the use.
func (x *replayed) note(e *Effect) string {
	s := &x.sides[1]
	if e.To != FateRefused && e.From != FateRefused || s.gone || x.sides[0].gone {
		return ""
	}
	if e.From == FateRefused {
		s = &x.sides[0]
	}
	switch field := x.use.At.Field; {
	case x.use.Position == Filtered && s.own.Potential().Has(Match) && (s.typ.IsSubject(field) || slices.ContainsFunc(keyNames(s.typ), func(k string) bool { return k == field })):
		return "in a condition; as a stated key it needs match alone"
	case x.use.Position == Sorted && s.typ.Source.Tiebreak != "" && slices.Contains(keyNames(s.typ), field):
		return "where it was asked for; as the tie-break of an order it is replaced"
	case x.use.Position == Aggregated && (s.typ.IsSubject(field) || slices.Contains(keyNames(s.typ), field)):
		return "where it was measured; persons are counted by it all the same"
	}
	return ""
}

func keyNames(t *schema.Type) []string { return t.Source.KeyFields }

// when tells which of the possible rows are affected, in words; "" for all.
func (x *replayed) when(possible, affected []bool) string {
	if slices.Equal(possible, affected) {
		return ""
	}
	// The scopes that are the same on all affected rows, if they tell those from
	// the others.
	var fixed []int
	for i := range x.scopes {
		if first := slices.Index(affected, true); !slices.ContainsFunc(x.indexes(affected), func(j int) bool { return (x.rows[j][i] == True) != (x.rows[first][i] == True) }) {
			fixed = append(fixed, i)
		}
	}
	first := x.rows[slices.Index(affected, true)]
	exact := true
	for j, row := range x.rows {
		fits := possible[j]
		for _, i := range fixed {
			fits = fits && (row[i] == True) == (first[i] == True)
		}
		exact = exact && fits == affected[j]
	}
	if !exact || len(fixed) == 0 {
		return "depending on " + strings.Join(x.scopes, ", ")
	}
	var words []string
	for _, i := range fixed {
		// Leave out what holds of all possible rows.
		if slices.ContainsFunc(x.indexes(possible), func(j int) bool { return (x.rows[j][i] == True) != (first[i] == True) }) {
			words = append(words, rowText(x.scopes[i], first[i] == True))
		}
	}
	return strings.Join(words, ", ")
}

func (x *replayed) indexes(of []bool) []int {
	var out []int
	for i, yes := range of {
		if yes {
			out = append(out, i)
		}
	}
	return out
}

func rowText(scope string, inside bool) string {
	switch {
	case scope == ScopeByKey && inside:
		return "by key"
	case scope == ScopeByKey:
		return "not by key"
	case scope == ScopeSelf && inside:
		return "about himself"
	case scope == ScopeSelf:
		return "about others"
	case inside:
		return "inside " + scope
	default:
		return "outside " + scope
	}
}

// String tells an effect: "masked -> clear inside own_region".
func (e Effect) String() string {
	s := e.From.String() + " -> " + e.To.String()
	if e.When != "" {
		s += " " + e.When
	}
	if e.Note != "" {
		s += " (" + e.Note + ")"
	}
	return s + " of use " + strconv.Itoa(e.Use)
}
