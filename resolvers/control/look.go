package control

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// Lineage is what the ledger's questions are answered from.
type Lineage struct {
	// Index of the ledger; nil where there is none, and then nothing is
	// answered.
	Index Index
	// Receipts prove single records; nil where nothing does.
	Receipts Receipts
	// Keys make the stand-ins under which readers and persons are recorded.
	Keys *keyring.Ring
	// Owners are the roles whose holders, being of the department, see where
	// its data went; by department.
	Owners map[string]string
	// Sealed is for how long reads for a purpose are kept out of policyReplay, whose
	// figures are of kinds of readers. Records themselves say for how long they are
	// sealed.
	Sealed map[string]time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

// Index is the ledger's index as this package needs it.
type Index interface {
	Reads(ctx context.Context, f index.Filter, n int, after *index.Place) (index.Page, error)
	Flows(ctx context.Context, f index.FlowFilter) ([]index.Flow, error)
	Usages(ctx context.Context, f index.UsageFilter) ([]index.Usage, error)
	AsOf(ctx context.Context) ([]index.Sequence, error)
	Has(ctx context.Context, at lineage.Position, f index.Filter) (bool, error)
	// Applied gives a channel that is closed when there is more.
	Applied() <-chan struct{}
}

var _ Index = (*index.Index)(nil)

// look is one reader's look into the ledger: what he may ask of it.
type look struct {
	*Resolver
	req     *resolvers.Request
	sight   sight
	auditor bool
}

// look begins a look into the ledger.
func (r *Resolver) look(ctx context.Context) (*look, error) {
	req, s, err := reader(ctx)
	if err != nil {
		return nil, err
	}
	if r.lineage.Index == nil || r.lineage.Keys == nil {
		return nil, &plan.Error{Code: plan.LedgerUnavailable, Message: sentence(plan.LedgerUnavailable)}
	}
	l := &look{Resolver: r, req: req, sight: s}
	l.auditor = slices.Contains(r.officesOf(req.Subject, s.view), generated.OfficeAuditor)
	return l, nil
}

// owns reports whether the reader is an owner of the department: of it, and in
// its owner's role.
func (l *look) owns(department string) bool {
	role := l.lineage.Owners[department]
	return role != "" && l.req.Subject.Department == department && slices.Contains(l.sight.view.Roles(), role)
}

func forbidden() error {
	return &plan.Error{Code: plan.Forbidden, Message: sentence(plan.Forbidden)}
}

// badArgument refuses an argument; problem is a constant that names it.
func badArgument(problem string) error {
	return &plan.Error{Code: plan.BadRequest, Message: problem}
}

// open is the time at which records must be open to be shown to the reader; an
// auditor sees sealed ones too.
func (l *look) open() time.Time {
	if l.auditor {
		return time.Time{}
	}
	return l.now()
}

// seals are the purposes whose newer days policyReplay leaves out.
func (l *look) seals() []index.Seal {
	var out []index.Seal
	for purpose, age := range l.lineage.Sealed {
		out = append(out, index.Seal{Purpose: purpose, Before: l.now().Add(-age)})
	}
	slices.SortFunc(out, func(a, b index.Seal) int { return strings.Compare(a.Purpose, b.Purpose) })
	return out
}

func (l *look) now() time.Time {
	if l.lineage.Now == nil {
		return time.Now()
	}
	return l.lineage.Now()
}

// asOf is taken before the answer, so that the answer holds at least so much.
func (l *look) asOf(ctx context.Context) ([]generated.LogPosition, error) {
	list, err := l.lineage.Index.AsOf(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]generated.LogPosition, 0, len(list))
	for _, s := range list {
		out = append(out, generated.LogPosition{Origin: s.Origin, Epoch: int(s.Epoch), Sequence: strconv.FormatUint(s.Sequence, 10)})
	}
	return out, nil
}

// maxPage is the most records of one page.
const maxPage = 200

func pageSize(first *int) (int, error) {
	switch {
	case first == nil:
		return 50, nil
	case *first < 1 || *first > maxPage:
		return 0, badArgument("first is not between 1 and " + strconv.Itoa(maxPage))
	default:
		return *first, nil
	}
}

// A cursor is a place in the order of records. It gives nothing that the
// records before it did not show, and every page asks anew what may be seen, so
// it is not sealed.
func cursorOf(p *index.Place) *string {
	if p == nil {
		return nil
	}
	var b []byte
	for _, v := range [...]int64{p.Time, p.Origin, p.Sequence} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	s := base64.RawURLEncoding.EncodeToString(b)
	return &s
}

func placeOf(after *string) (*index.Place, error) {
	if after == nil {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*after)
	if err != nil || len(b) != 24 {
		return nil, &plan.Error{Code: plan.CursorInvalid, Message: sentence(plan.CursorInvalid)}
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	return &index.Place{Time: n(0), Origin: n(1), Sequence: n(2)}, nil
}

// moment reads a time argument. The zero time stands for none, and is refused: a
// bound that was stated must not fall away.
func moment(s *string) (time.Time, error) {
	if s == nil {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil || t.IsZero() {
		return t, badArgument("from and to are times as in 2026-11-23T08:00:00Z, or absent")
	}
	return t, nil
}

// days reads two times as whole days: the first, and the day after the last.
func (l *look) days(from, to *string) (first, end time.Time, err error) {
	read := func(s *string) (time.Time, error) {
		if s == nil {
			return time.Time{}, nil
		}
		t, err := time.Parse(time.DateOnly, *s)
		if err != nil {
			t, err = time.Parse(time.RFC3339, *s)
		}
		if err != nil || t.IsZero() {
			return t, badArgument("from and to are days as in 2026-11-23, or times, or absent")
		}
		return t, nil
	}
	if first, err = read(from); err != nil {
		return first, end, err
	}
	if end, err = read(to); err != nil {
		return first, end, err
	}
	const day = 24 * time.Hour
	if end.IsZero() {
		end = l.now()
	}
	if rest := end.UTC().Truncate(day); rest.Equal(end) {
		end = rest
	} else {
		end = rest.Add(day)
	}
	if first.IsZero() {
		first = end.Add(-30 * day)
	}
	first = first.UTC().Truncate(day)
	if !first.Before(end) || end.Sub(first) > 10*366*day {
		return first, end, badArgument("from is not before to, or more than ten years before it")
	}
	return first, end, nil
}

// rank finds a level by its name.
func (l *look) rank(name string) (schema.Rank, error) {
	rank, ok := l.sight.catalogue.Levels.Rank(name)
	if !ok {
		return 0, badArgument("there is no level of this name")
	}
	return rank, nil
}
