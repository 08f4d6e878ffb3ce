package control

import (
	"context"
	"strconv"
	"time"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/resolvers"
)

// reads answers with records, of all departments to an auditor and of his own to
// an owner.
func (l *look) reads(ctx context.Context, filter *generated.ReadFilter, first *int, after *string) (*generated.ReadPage, error) {
	f, err := l.filter(filter)
	if err != nil {
		return nil, err
	}
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	place, err := placeOf(after)
	if err != nil {
		return nil, err
	}
	out := &generated.ReadPage{Reads: []generated.ReadRecord{}}
	if out.AsOfSequence, err = l.asOf(ctx); err != nil {
		return nil, err
	}
	page, err := l.lineage.Index.Reads(ctx, f, n, place)
	if err != nil {
		return nil, err
	}
	for i := range page.Reads {
		out.Reads = append(out.Reads, l.record(&page.Reads[i]))
	}
	out.Next = cursorOf(page.Next)
	return out, nil
}

// filter reads the argument, and holds an owner to his department.
func (l *look) filter(in *generated.ReadFilter) (f index.Filter, err error) {
	if in == nil {
		in = &generated.ReadFilter{}
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	f = index.Filter{
		Department: text(in.Department), Type: text(in.Type), Field: text(in.Field), Any: in.Outcome == nil,
		Subject: text(in.Subject), Application: text(in.Application), Consumer: text(in.Consumer), Purpose: text(in.Purpose),
		Kind: text(in.Kind), Request: text(in.RequestID), Open: l.open(),
	}
	if !l.auditor {
		if f.Department == "" {
			f.Department = l.req.Subject.Department
		}
		if !l.owns(f.Department) {
			return f, forbidden()
		}
	}
	if in.Outcome != nil {
		f.Outcome = outcomeFrom(*in.Outcome)
	}
	if in.SubjectID != nil {
		keyed := l.lineage.Keys.Pseudonym(resolvers.SubjectUse, *in.SubjectID)
		if f.Subject != "" && f.Subject != keyed {
			return f, badArgument("subject and subjectId are not of one reader")
		}
		f.Subject = keyed
	}
	if in.Level != nil {
		if f.MinLevel, err = l.rank(*in.Level); err != nil {
			return f, err
		}
	}
	if f.From, err = moment(in.From); err != nil {
		return f, err
	}
	f.To, err = moment(in.To)
	return f, err
}

func outcomeFrom(o generated.ReadOutcome) index.Outcome {
	switch o {
	case generated.ReadOutcomeClear:
		return index.Clear
	case generated.ReadOutcomeMasked:
		return index.Masked
	case generated.ReadOutcomeWithheld:
		return index.Withheld
	default:
		return index.Used
	}
}

func outcomeOf(o index.Outcome) generated.ReadOutcome {
	switch o {
	case index.Clear:
		return generated.ReadOutcomeClear
	case index.Masked:
		return generated.ReadOutcomeMasked
	case index.Withheld:
		return generated.ReadOutcomeWithheld
	default:
		return generated.ReadOutcomeUsed
	}
}

const instant = time.RFC3339Nano

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// peopleOf is how many of a record's persons came from the rows or keys of the
// department that its fields are of.
func peopleOf(r *index.Read) (n uint64, known bool) {
	if r.Shares == nil {
		return 0, r.People == 0
	}
	for _, s := range r.Shares {
		n = s.People
	}
	return n, true
}

// record is what a reader of the ledger is shown of a record. An owner is shown
// his department's part: its fields, their level, and what is said of the whole
// only where his department's fields are the whole.
func (l *look) record(r *index.Read) generated.ReadRecord {
	levels := l.sight.catalogue.Levels
	out := generated.ReadRecord{
		Receipt: r.Position.String(), Time: r.Time.Format(instant), RequestID: r.Request, Kind: r.Kind,
		Subject: r.Subject, Application: optional(r.Application), Consumer: optional(r.Consumer), Roles: append([]string{}, r.Roles...),
		Purpose: optional(r.Purpose), Schema: r.Schema, Policy: r.Policy, Fields: []generated.FieldRead{},
	}
	if r.Sealed > 0 {
		out.SealedUntil = optional(r.Time.Add(r.Sealed).Format(instant))
	}
	level := r.Level
	if l.auditor || !r.Shared {
		out.Operation, out.Status, out.Code = optional(r.Operation), optional(r.Status), optional(r.Code)
		out.Rows, out.People = optional(number(r.Rows)), optional(number(r.People))
	} else if n, known := peopleOf(r); known {
		out.People = optional(number(n))
	}
	if !l.auditor {
		level = 0
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Use.Use != lineage.Tag && f.Use.Use != lineage.Ref {
			level = max(level, f.Use.Level) // as the gate judges a record
		}
		out.Fields = append(out.Fields, generated.FieldRead{
			Department: optional(f.Use.Department), Table: optional(f.Use.Table), Column: optional(f.Use.Column),
			Coordinate: f.Use.Coordinate.String(), Level: levels.Name(f.Use.Level), Use: f.Use.Use.String(),
			Clear: int(f.Counts.Clear), Masked: int(f.Counts.Masked), Withheld: int(f.Counts.Withheld),
		})
	}
	out.Level = levels.Name(level)
	return out
}
