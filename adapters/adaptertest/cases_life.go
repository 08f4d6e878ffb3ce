package adaptertest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

// eventually waits for what another goroutine is to do.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 500 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(what)
}

func all(t testing.TB, s Source) adapters.Statement {
	t.Helper()
	return compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{number("n"), text("s")}, Order: []adapters.Order{{Column: number("n")}}})
}

func stoppingEarly(t *testing.T, h Harness) {
	before := goleak.IgnoreCurrent()
	s := h.Create(t, Fixture{Tables: []Table{manyRows("t", 20_000)}})
	statement := all(t, s)
	for i := range 20 { // with two connections, one that is kept shows soon
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		rows, err := statement.Fetch(ctx, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b adapters.Batch
		for range i % 3 {
			if err := rows.Next(&b); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := rows.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if err := rows.Next(&b); err == nil || b.Rows != 0 {
			t.Error("rows after Close")
		}
		cancel()
		eventually(t, "a connection stays in use", func() bool { return s.InUse() == 0 })
	}
	if err := s.Adapter.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

func canceled(t *testing.T, h Harness) {
	s := h.Create(t, Fixture{Tables: []Table{manyRows("t", 20_000)}})
	statement := all(t, s)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := statement.Fetch(done, nil, nil)
	wantKind(t, err, adapters.Canceled)

	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = statement.Fetch(late, nil, nil)
	wantKind(t, err, adapters.Timeout)

	ctx, cancel := context.WithCancel(t.Context())
	rows, err := statement.Fetch(ctx, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b adapters.Batch
	if err := rows.Next(&b); err != nil {
		t.Fatal(err)
	}
	cancel()
	for err = nil; err == nil; {
		err = rows.Next(&b)
	}
	// What had arrived may be read, but 20,000 rows had not.
	wantKind(t, err, adapters.Canceled)
	if !errors.Is(err, &adapters.Error{Kind: adapters.Canceled}) {
		t.Errorf("errors.Is does not know %v", err)
	}
	if again := rows.Next(&b); !errors.Is(again, &adapters.Error{Kind: adapters.Canceled}) || b.Rows != 0 {
		t.Errorf("after the error: %v and %d rows", again, b.Rows)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "a connection stays in use", func() bool { return s.InUse() == 0 })

	// A statement without end, for all one can wait: each row beside each.
	pairs := adapters.Exists{
		Table: "t", Outer: []adapters.Column{text("s")}, Inner: []adapters.Column{text("s")},
		Where: adapters.Compare{Column: number("n"), Op: schema.Lt},
	}
	slow := compile(t, s.Adapter, &adapters.Shape{
		Table: "t", Count: true, Params: []adapters.Param{{Kind: schema.Int}},
		Where: adapters.Or{adapters.Not{Predicate: pairs}, pairs},
	})
	short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = run(short, slow, false, []adapters.Arg{arg("0")}, nil)
	if err != nil { // a fast engine may have counted
		wantKind(t, err, adapters.Timeout)
	}
	if waited := time.Since(start); waited > 5*time.Second {
		t.Errorf("the deadline of 5 ms was kept after %s", waited)
	}
	eventually(t, "a connection stays in use", func() bool { return s.InUse() == 0 })

	// All connections are taken: the next fetch waits, and not for ever.
	var open []adapters.Rows
	for range 2 {
		rows, err := statement.Fetch(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, rows)
	}
	waiting, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = statement.Fetch(waiting, nil, nil)
	wantKind(t, err, adapters.Timeout)
	for _, rows := range open {
		_ = rows.Close()
	}
	if rows, err := run(t.Context(), statement, false, nil, nil); err != nil || len(rows) != 20_000 {
		t.Errorf("after all that: %d rows, %v", len(rows), err)
	}
}

func concurrentFetches(t *testing.T, h Harness) {
	s := h.Create(t, Fixture{Tables: []Table{manyRows("t", 3000)}})
	n := number("n")
	statement := compile(t, s.Adapter, &adapters.Shape{
		Table: "t", Columns: []adapters.Column{n}, Order: []adapters.Order{{Column: n}},
		Params: []adapters.Param{{Kind: schema.Int}}, Where: adapters.Compare{Column: n, Op: schema.Gte},
	})
	keyed := compile(t, s.Adapter, &adapters.Shape{Table: "t", Columns: []adapters.Column{n}, Keys: []adapters.Column{n}, Limit: bound(2)})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 10 {
				from := (worker*373 + i*97) % 3000
				rows, err := run(t.Context(), statement, false, []adapters.Arg{arg(strconv.Itoa(from))}, nil)
				if err != nil || len(rows) != 3000-from || show(rows[0].cells[0]) != strconv.Itoa(from) {
					t.Errorf("from %d: %d rows, %v", from, len(rows), err)
					return
				}
				rows, err = run(t.Context(), keyed, true, nil, keysOf(strconv.Itoa(from), "-1", strconv.Itoa(i)))
				if err != nil || !slices.Equal(column(rows, 0), []string{strconv.Itoa(from), strconv.Itoa(i)}) {
					t.Errorf("key %d: %v, %v", from, rows, err)
					return
				}
			}
		})
	}
	group.Wait()
	eventually(t, "a connection stays in use", func() bool { return s.InUse() == 0 })
}

func closedAdapter(t *testing.T, h Harness) {
	before := goleak.IgnoreCurrent()
	s := h.Create(t, Fixture{Tables: []Table{manyRows("t", 20_000)}})
	statement := all(t, s)
	rows, err := statement.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b adapters.Batch
	if err := rows.Next(&b); err != nil {
		t.Fatal(err)
	}
	other, err := statement.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() { // for one of the two connections
		_, err := statement.Fetch(t.Context(), nil, nil)
		waits <- err
	}()
	time.Sleep(20 * time.Millisecond)
	for range 2 {
		if err := s.Adapter.Close(); err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-waits:
		wantKind(t, err, adapters.Unavailable)
	case <-time.After(5 * time.Second):
		t.Error("a fetch waits for a connection of a closed adapter")
	}
	for err = nil; err == nil; {
		err = rows.Next(&b)
	}
	wantKind(t, err, adapters.Unavailable)
	for _, r := range []adapters.Rows{rows, other} {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err = statement.Fetch(t.Context(), nil, nil)
	wantKind(t, err, adapters.Unavailable)
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}
