package adaptertest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// Benchmark measures fetches of 1, 100 and 1,000 rows of eight columns, and of
// three rows for each of fifty keys.
func Benchmark(b *testing.B, h Harness) {
	s, shape := wide(b, h)
	for _, rows := range []int{1, 100, 1000} {
		list := *shape
		list.Limit = bound(rows)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { measure(b, s, &list, nil, rows) })
	}
	keyed := *shape
	keyed.Keys, keyed.Limit = []adapters.Column{number("grp")}, bound(3)
	var keys []string
	for i := range 50 {
		keys = append(keys, strconv.Itoa(i))
	}
	b.Run("keys=50/limit=3", func(b *testing.B) { measure(b, s, &keyed, keysOf(keys...), 150) })
	to := *shape
	to.Keys, to.Order = []adapters.Column{text("id")}, nil
	b.Run("keys=50", func(b *testing.B) { measure(b, s, &to, keysOf(keys...), 50) })
}

// wide is a table of 2,000 rows of eight columns, and a shape that reads it.
func wide(t testing.TB, h Harness) (Source, *adapters.Shape) {
	columns := []adapters.Column{
		text("id"), text("name"), text("address"), number("grp"),
		{Name: "born", Kind: schema.Date},
		{Name: "at", Kind: schema.DateTime},
		{Name: "amount", Kind: schema.Decimal},
		{Name: "active", Kind: schema.Boolean},
	}
	table := Table{Name: "wide", Columns: plain(columns...), Indexes: []string{"id", "grp"}}
	for i := range 2000 {
		n := strconv.Itoa(i)
		table.Rows = append(table.Rows, []Value{
			v(n), v("张三 " + n), v("广东省广州市天河区 " + n + " 号"), v(strconv.Itoa(i % 200)),
			v("1990-02-03"), v("2026-11-23T08:00:00.5Z"), v(n + ".50"), v(strconv.FormatBool(i%2 == 0)),
		})
	}
	s := h.Create(t, Fixture{Tables: []Table{table}})
	return s, &adapters.Shape{Table: "wide", Columns: columns, Order: []adapters.Order{{Column: number("grp")}}}
}

func measure(b *testing.B, s Source, shape *adapters.Shape, keys *adapters.Keys, want int) {
	statement := compile(b, s.Adapter, shape)
	var batch adapters.Batch
	b.ReportAllocs()
	for b.Loop() {
		if got := drain(b, statement, keys, &batch); got != want {
			b.Fatalf("%d rows", got)
		}
	}
}

func drain(t testing.TB, statement adapters.Statement, keys *adapters.Keys, batch *adapters.Batch) int {
	rows, err := statement.Fetch(t.Context(), nil, keys)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		err := rows.Next(batch)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += batch.Rows
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// AllocationsPerRow is the number of allocations that each further row of eight
// columns costs.
func AllocationsPerRow(t testing.TB, h Harness) float64 {
	s, shape := wide(t, h)
	count := func(rows int) float64 {
		list := *shape
		list.Limit = bound(rows)
		statement := compile(t, s.Adapter, &list)
		var batch adapters.Batch
		return testing.AllocsPerRun(20, func() { drain(t, statement, nil, &batch) })
	}
	return (count(1000) - count(100)) / 900
}
