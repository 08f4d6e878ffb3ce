package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-data/weir/authz"
	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/schema"
)

// Replayed is what a draft makes of recorded reads. It names kinds of readers
// and operations, never a reader or a person.
type Replayed struct {
	// Reads are the records that were decided anew, Refused those that were
	// refused, of which it is not known what they asked for.
	Reads, Refused    uint64
	Widened, Narrowed ReplayTotal
	// Effects are sorted: widening ones first, and the most read first.
	Effects []ReplayedUse
}

// ReplayTotal is how much is touched.
type ReplayTotal struct {
	Effects, Operations, Applications, Readers, Fields int
	Reads                                              uint64
}

// ReplayedUse is one field in one operation by one kind of reader.
type ReplayedUse struct {
	authz.Effect
	Operation   string
	Document    string
	Application string
	Consumer    string // the readers' department
	Roles       []string
	Purpose     string
	// Recorded is the use, and in how many reads it fared how.
	Recorded index.UsageOf
	// Reads are at most so many; Last is the time of the newest.
	Reads uint64
	Last  time.Time
}

// Replay decides recorded reads anew under both sides of a draft.
func Replay(ctx context.Context, d *authz.Draft, usages []index.Usage) (*Replayed, error) {
	r := &replaying{draft: d, engine: authz.NewReplay(d.Before.Table, d.After.Table), effects: map[string]*ReplayedUse{}}
	for i := range usages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch u := &usages[i]; u.Kind {
		case refusedKind:
			r.out.Refused += u.Reads
		case readKind:
			r.add(u)
		}
	}
	return r.result(), nil
}

// refusedKind is the kind of records of requests that were turned down.
const refusedKind = "refused"

// replaying is one run of Replay.
type replaying struct {
	draft             *authz.Draft
	engine            *authz.Replay
	out               Replayed
	effects           map[string]*ReplayedUse
	widened, narrowed touched
}

// touched are what effects of one direction are about.
type touched struct {
	operations, applications, readers, fields set
	reads                                     uint64
}

type set map[string]struct{}

func (s *set) add(key string) {
	if *s == nil {
		*s = set{}
	}
	(*s)[key] = struct{}{}
}

func (t *touched) total(effects int) ReplayTotal {
	return ReplayTotal{
		Effects: effects, Operations: len(t.operations), Applications: len(t.applications),
		Readers: len(t.readers), Fields: len(t.fields), Reads: t.reads,
	}
}

// add decides one kind of read.
func (r *replaying) add(u *index.Usage) {
	r.out.Reads += u.Reads
	before, after := &r.draft.Before, &r.draft.After
	p := authz.Profile{Roles: u.Roles, Department: u.Consumer, Purpose: u.Purpose}
	rec := authz.Recorded{
		Before: before.Reader(p, u.Application, before), After: after.Reader(p, u.Application, before),
		Same: u.Policy == before.Table.Revision() && u.Schema == before.Table.SchemaRevision(),
	}
	var of []*index.UsageOf // of the recorded uses
	for i := range u.Uses {
		use := &u.Uses[i]
		position, decided := positionOf(use.Use.Use)
		if !decided || use.Department == "" {
			continue
		}
		recorded := authz.RecordedUse{At: use.Coordinate, Position: position}
		if position == authz.Selected {
			recorded.Seen = seenBit(use.Clear, authz.FateClear) | seenBit(use.Masked, authz.FateMasked) | seenBit(use.Withheld, authz.FateWithheld)
		}
		rec.Uses, of = append(rec.Uses, recorded), append(of, use)
	}
	var all authz.Direction
	for _, e := range r.engine.Effects(&rec) {
		r.file(u, of[e.Use], e, rec.Same)
		all.Widens, all.Narrows = all.Widens || e.Widens, all.Narrows || e.Narrows
	}
	if all.Widens {
		r.widened.reads += u.Reads
	}
	if all.Narrows {
		r.narrowed.reads += u.Reads
	}
}

// positionOf tells where a recorded use stood; false for what no decision is
// about: joins, scopes, handles and the ledger's own reading.
func positionOf(k lineage.UseKind) (authz.Position, bool) {
	switch k {
	case lineage.Select:
		return authz.Selected, true
	case lineage.Filter:
		return authz.Filtered, true
	case lineage.Sort:
		return authz.Sorted, true
	case lineage.Group:
		return authz.Grouped, true
	case lineage.Aggregate:
		return authz.Aggregated, true
	case lineage.Match:
		return authz.Matched, true
	default:
		return 0, false
	}
}

func seenBit(n uint64, f authz.Fate) uint8 {
	if n == 0 {
		return 0
	}
	return 1 << f
}

// file joins the effect with those that differ in figures alone.
func (r *replaying) file(u *index.Usage, use *index.UsageOf, e authz.Effect, same bool) {
	roles := slices.Clone(u.Roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	reads := u.Reads
	if same && use.Use.Use == lineage.Select {
		// The rows that it is about were shown so.
		switch e.From {
		case authz.FateClear:
			reads = cmp.Or(use.Clear, reads)
		case authz.FateMasked:
			reads = cmp.Or(use.Masked, reads)
		default:
		}
	}
	e.Use = 0
	reader := u.Consumer + "\n" + strings.Join(roles, " ")
	operation := u.Operation + "\n" + u.Document
	field := use.Coordinate.String()
	key := strings.Join([]string{operation, u.Application, reader, u.Purpose, field, use.Use.Use.String(), e.From.String(), e.To.String(), e.When, e.Note}, "\x00")
	x := r.effects[key]
	if x == nil {
		x = &ReplayedUse{
			Effect: e, Operation: u.Operation, Document: u.Document, Application: u.Application, Consumer: u.Consumer,
			Roles: roles, Purpose: u.Purpose, Recorded: index.UsageOf{Use: use.Use},
		}
		r.effects[key] = x
	}
	x.Reads += reads
	x.Recorded.Clear, x.Recorded.Masked, x.Recorded.Withheld = x.Recorded.Clear+use.Clear, x.Recorded.Masked+use.Masked, x.Recorded.Withheld+use.Withheld
	if u.Last.After(x.Last) {
		x.Last = u.Last
	}
	for _, side := range [...]struct {
		yes bool
		t   *touched
	}{{e.Widens, &r.widened}, {e.Narrows, &r.narrowed}} {
		if side.yes {
			side.t.operations.add(operation)
			side.t.applications.add(u.Application)
			side.t.readers.add(reader)
			side.t.fields.add(field)
		}
	}
}

func (r *replaying) result() *Replayed {
	widens, narrows := 0, 0
	for _, x := range r.effects {
		r.out.Effects = append(r.out.Effects, *x)
		if x.Widens {
			widens++
		}
		if x.Narrows {
			narrows++
		}
	}
	r.out.Widened, r.out.Narrowed = r.widened.total(widens), r.narrowed.total(narrows)
	slices.SortFunc(r.out.Effects, func(a, b ReplayedUse) int {
		return cmp.Or(
			-compareBool(a.Widens, b.Widens), -cmp.Compare(a.Reads, b.Reads),
			strings.Compare(a.Operation, b.Operation), strings.Compare(a.Document, b.Document), strings.Compare(a.Application, b.Application),
			strings.Compare(a.Consumer, b.Consumer), slices.Compare(a.Roles, b.Roles), strings.Compare(a.Purpose, b.Purpose),
			strings.Compare(a.Recorded.Coordinate.Type, b.Recorded.Coordinate.Type), strings.Compare(a.Recorded.Coordinate.Field, b.Recorded.Coordinate.Field),
			cmp.Compare(a.Recorded.Use.Use, b.Recorded.Use.Use), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), strings.Compare(a.When, b.When),
		)
	})
	return &r.out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// replay answers the security office what a draft makes of recorded reads. It
// gives neither records nor stand-ins of readers or persons: those are for
// auditors and owners.
func (r *Resolver) replay(ctx context.Context, d *authz.Draft, from, to *string, first int, after *string) (*generated.PolicyReplay, error) {
	if _, err := r.office(ctx); err != nil {
		return nil, err
	}
	l, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	n, err := pageSize(&first)
	if err != nil {
		return nil, err
	}
	skip, err := offsetOf(after)
	if err != nil {
		return nil, err
	}
	day, end, err := l.days(from, to)
	if err != nil {
		return nil, err
	}
	select { // each takes a processor for a while
	case r.replays <- struct{}{}:
		defer func() { <-r.replays }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := &generated.PolicyReplay{From: day.Format(time.DateOnly), To: end.Format(time.DateOnly), Sealed: []generated.SealedReads{}, Effects: []generated.ReplayEffect{}}
	if out.AsOfSequence, err = l.asOf(ctx); err != nil {
		return nil, err
	}
	seals := l.seals()
	for _, s := range seals {
		out.Sealed = append(out.Sealed, generated.SealedReads{Purpose: s.Purpose, From: s.Before.UTC().Format(time.DateOnly)})
	}
	usages, err := l.lineage.Index.Usages(ctx, index.UsageFilter{From: day, To: end, Sealed: seals})
	if err != nil {
		return nil, err
	}
	found, err := Replay(ctx, d, usages)
	if err != nil {
		return nil, err
	}
	out.Reads, out.Refused = number(found.Reads), number(found.Refused)
	out.Widened, out.Narrowed = totalOf(&found.Widened), totalOf(&found.Narrowed)
	page := found.Effects[min(skip, len(found.Effects)):]
	if len(page) > n {
		next := strconv.Itoa(skip + n)
		out.Next, page = &next, page[:n]
	}
	for i := range page {
		out.Effects = append(out.Effects, l.effectOf(d, &page[i]))
	}
	return out, nil
}

// offsetOf reads a place in a list that is made anew for every page.
func offsetOf(after *string) (int, error) {
	if after == nil {
		return 0, nil
	}
	n, err := strconv.Atoi(*after)
	if err != nil || n < 0 {
		return 0, &plan.Error{Code: plan.CursorInvalid, Message: sentence(plan.CursorInvalid)}
	}
	return n, nil
}

func totalOf(t *ReplayTotal) *generated.ReplayTotal {
	return &generated.ReplayTotal{
		Effects: t.Effects, Operations: t.Operations, Applications: t.Applications, Readers: t.Readers, Fields: t.Fields, Reads: number(t.Reads),
	}
}

func (l *look) effectOf(d *authz.Draft, x *ReplayedUse) generated.ReplayEffect {
	u := &x.Recorded
	rows := generated.AffectedRowsAll
	if x.When != "" {
		rows = generated.AffectedRowsSome
	}
	return generated.ReplayEffect{
		Widens: x.Widens, Narrows: x.Narrows, Operation: optional(x.Operation), Document: x.Document,
		Application: optional(x.Application), Consumer: optional(x.Consumer), Roles: append([]string{}, x.Roles...), Purpose: optional(x.Purpose),
		Department: optional(u.Department), Coordinate: u.Coordinate.String(), Level: levelOf(d, u.Coordinate), Use: u.Use.Use.String(),
		Recorded: &generated.RecordedOutcomes{Clear: number(u.Clear), Masked: number(u.Masked), Withheld: number(u.Withheld)},
		Before:   fateOf(x.From), After: fateOf(x.To), Rows: rows, When: optional(x.When), Note: optional(x.Note),
		// To the day: that a single official looked at a certain minute is not for
		// whoever edits the policy.
		Reads: number(x.Reads), Last: x.Last.Format(time.DateOnly),
	}
}

// levelOf is the coordinate's level after the change, or before where it is
// gone.
func levelOf(d *authz.Draft, at schema.Coordinate) string {
	return cmp.Or(d.After.Table.Level(at), d.Before.Table.Level(at))
}

func fateOf(f authz.Fate) generated.ReplayOutcome {
	switch f {
	case authz.FateClear:
		return generated.ReplayOutcomeClear
	case authz.FateMasked:
		return generated.ReplayOutcomeMasked
	case authz.FateUsed:
		return generated.ReplayOutcomeUsed
	case authz.FateWithheld:
		return generated.ReplayOutcomeWithheld
	default:
		return generated.ReplayOutcomeRefused
	}
}
