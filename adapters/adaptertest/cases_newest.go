package adaptertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// newest: the greatest moment, with an index and without one, whatever else is
// there; and NULL where there is none.
func newest(t *testing.T, h Harness) {
	at := adapters.Column{Name: "at", Kind: schema.DateTime}
	for name, c := range map[string]struct {
		cells []Value
		want  string
	}{
		"no row":           {nil, "<null>"},
		"only NULL":        {[]Value{null(), null()}, "<null>"},
		"one":              {[]Value{v("2026-11-23T08:00:00Z")}, "2026-11-23T08:00:00Z"},
		"NULLs among them": {[]Value{null(), v("2026-11-23T08:00:00Z"), null(), v("2026-11-22T23:00:00Z"), null()}, "2026-11-23T08:00:00Z"},
		"a fraction more":  {[]Value{v("2026-11-23T08:00:00Z"), v("2026-11-23T08:00:00.5Z"), v("2026-11-23T08:00:00.25Z")}, "2026-11-23T08:00:00.5Z"},
		"far apart":        {[]Value{v("9999-12-31T23:59:59Z"), v("0001-01-01T00:00:00Z")}, "9999-12-31T23:59:59Z"},
		"long ago":         {[]Value{v("0001-01-01T00:00:00Z"), v("0001-01-01T00:00:01Z")}, "0001-01-01T00:00:01Z"},
	} {
		for _, indexes := range [][]string{nil, {"at"}} {
			table := Table{Name: "t", Columns: plain(at), Indexes: indexes}
			for _, cell := range c.cells {
				table.Rows = append(table.Rows, []Value{cell})
			}
			s := h.Create(t, Fixture{Tables: []Table{table}})
			got := read(t, s.Adapter, newestOf(at), nil, nil)
			if len(got) != 1 || len(got[0].cells) != 1 || show(got[0].cells[0]) != c.want || got[0].bad[0] {
				t.Errorf("%s, indexes %v: %+v, want the one cell %s", name, indexes, got, c.want)
			}
		}
	}
}

func newestOf(c adapters.Column) *adapters.Shape {
	return &adapters.Shape{Table: "t", Columns: []adapters.Column{c}, Newest: true}
}

// newestIsSearchedFor: it is asked for all the time, of tables of any size.
func newestIsSearchedFor(t *testing.T, h Harness) {
	const rows = 10_000
	columns := []Column{{Column: number("n")}, {Column: adapters.Column{Name: "at", Kind: schema.DateTime}}}
	for _, typed := range h.Types {
		if typed.Column.Kind == schema.DateTime {
			c := typed.Column
			c.Name = fmt.Sprintf("at%d", len(columns))
			columns = append(columns, c)
		}
	}
	table := Table{Name: "t", Columns: columns}
	for _, c := range columns[1:] {
		table.Indexes = append(table.Indexes, c.Name)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range rows {
		r := []Value{v(fmt.Sprint(i))}
		for range columns[1:] {
			r = append(r, v(start.Add(time.Duration(i)*time.Hour).Format(time.RFC3339)))
		}
		table.Rows = append(table.Rows, r)
	}
	s := h.Create(t, Fixture{Tables: []Table{table}})
	for _, c := range columns[1:] {
		statement := compile(t, s.Adapter, newestOf(c.Column)).String()
		searched, scanned := s.Explain(t, statement), s.Scans(t, statement)
		if !strings.Contains(searched, "ix_t_"+c.Name) || scanned != "" {
			t.Errorf("type %q: searched by\n%s\nand read from end to end:\n%s", c.Type, searched, scanned)
		}
	}
	// That a scan would be seen.
	all := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{columns[0].Column}})
	if s.Scans(t, all.String()) == "" {
		t.Error("to read every row is no scan")
	}
}
