package control

import (
	"context"
	"time"

	generated "github.com/weir-data/weir/graph/control"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/schema"
)

// flows tells an owner, or an auditor, where a department's data went.
func (l *look) flows(ctx context.Context, department string, from, to *string) (*generated.FlowReport, error) {
	if !l.auditor && !l.owns(department) {
		return nil, forbidden()
	}
	first, end, err := l.days(from, to)
	if err != nil {
		return nil, err
	}
	out := &generated.FlowReport{Department: department, From: first.Format(time.DateOnly), To: end.Format(time.DateOnly)}
	if out.AsOfSequence, err = l.asOf(ctx); err != nil {
		return nil, err
	}
	out.Flows, err = l.flowsOf(ctx, index.FlowFilter{Department: department, From: first, To: end})
	return out, err
}

// field tells the same of one field. A field that does not exist and one of
// another department are refused alike.
func (l *look) field(ctx context.Context, coordinate string, from, to *string) (*generated.FieldReport, error) {
	c := schema.ParseCoordinate(coordinate)
	t := l.sight.catalogue.Types[c.Type]
	if t == nil || !l.auditor && !l.owns(t.Source.Department) {
		return nil, forbidden()
	}
	level, column := t.Level, ""
	if !c.Row() {
		f := t.Field(c.Field)
		if f == nil {
			return nil, forbidden()
		}
		level, column = f.Level, f.Column
	}
	first, end, err := l.days(from, to)
	if err != nil {
		return nil, err
	}
	out := &generated.FieldReport{
		Coordinate: c.String(), Department: t.Source.Department, Table: t.Source.Table, Column: optional(column), Level: l.sight.level(level),
		From: first.Format(time.DateOnly), To: end.Format(time.DateOnly),
	}
	if out.AsOfSequence, err = l.asOf(ctx); err != nil {
		return nil, err
	}
	readers, err := l.flowsOf(ctx, index.FlowFilter{Department: t.Source.Department, Type: c.Type, Field: c.Field, From: first, To: end})
	if err != nil {
		return nil, err
	}
	out.Readers = []generated.Flow{}
	for i := range readers {
		if readers[i].Coordinate == out.Coordinate { // a row's filter finds its fields too
			out.Readers = append(out.Readers, readers[i])
		}
	}
	return out, nil
}

func (l *look) flowsOf(ctx context.Context, f index.FlowFilter) ([]generated.Flow, error) {
	f.Open = l.open()
	found, err := l.lineage.Index.Flows(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]generated.Flow, 0, len(found))
	for i := range found {
		w := &found[i]
		out = append(out, generated.Flow{
			Coordinate: w.Coordinate.String(), Level: l.sight.catalogue.Levels.Name(w.Level), Use: w.Use.String(), Outcome: outcomeOf(w.Outcome),
			Consumer: optional(w.Consumer), Application: optional(w.Application), Purpose: optional(w.Purpose),
			Reads: number(w.Reads), Cells: number(w.Cells), People: number(w.People), PeopleUncounted: number(w.Uncounted),
			First: w.First.Format(instant), Last: w.Last.Format(instant),
		})
	}
	return out, nil
}
