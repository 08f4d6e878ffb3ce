package lineage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/schema"
)

// tailLog is a log with one clerk's answer, one refusal and one odd name.
func tailLog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	now := time.Date(2026, 11, 23, 9, 30, 1, 123_000_000, time.UTC)
	l := must(Open(Config{Reading: testReading, Dir: dir, Origin: "node-a", Clock: func() time.Time {
		return now
	}}))
	for _, r := range []*Record{
		{
			RequestID: "r1", Kind: "query", Operation: "Newborn", Subject: "q83vEjRWeJCrze8SNFZ4kA",
			Application: "one-stop", Department: "health", Roles: []string{"clerk", "window"},
			Purpose: "newborn-registration", Rows: 2, Status: "partial", Level: 3,
			Uses: []Use{
				{Department: "公安", Table: "person", Column: "id_number", Coordinate: schema.Coordinate{Type: "Person", Field: "idNumber"}, Level: 3, Use: Match},
				{Department: "公安", Table: "person", Column: "name", Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: 2, Use: Select},
				{Department: "公安", Table: "person", Column: "id_number", Coordinate: schema.Coordinate{Type: "Person", Field: "idNumber"}, Level: 3, Use: Select},
				{Department: "health", Table: "birth", Coordinate: schema.Coordinate{Type: "Birth"}, Level: 1, Use: Select},
			},
			Counts: []Counts{{Clear: 1}, {Masked: 1, Clear: 1}, {Withheld: 2}, {}},
			Tags:   []SubjectTag{{1}, {2}}, TagCount: 2, TagGroups: []TagGroup{{2, 1}, {3, 1}},
			Sources: []SourceAge{{Department: "公安"}, {Department: "health", AsOf: now.Add(-time.Hour), Stale: true, Failed: true}},
			Salt:    [16]byte{1}, Answer: [16]byte{2},
		},
		{RequestID: "r2", Kind: "refused", Subject: "AAAA", Roles: []string{"contractor"}, Status: "refused", Code: "FORBIDDEN"},
		{RequestID: "r3", Kind: "query", Application: "a\x1b[2J  for nothing", Status: "ok"},
	} {
		now = now.Add(time.Second)
		if _, _, err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTailUnfinished: cut within a frame, the log's end is told; cut between two,
// or going on with zeroes, there is nothing to tell.
func TestTailUnfinished(t *testing.T) {
	whole, path, offsets := written(t, 3)
	told := func(files *memFS) (at int64) {
		at = -1
		err := Tail(t.Context(), Folder{Dir: "log", Reading: testReading, files: files}, io.Discard, TailOptions{Last: 2, Unfinished: func(file string, offset int64) {
			if file != path {
				t.Errorf("%s ends at %d", file, offset)
			}
			at = offset
		}})
		if err != nil {
			t.Error(err)
		}
		return at
	}
	for cut := int64(len(magic)) + 1; cut <= offsets[len(offsets)-1]; cut++ {
		files := whole.kill()
		files.files[path].now = files.files[path].now[:cut]
		want := int64(-1)
		if i, between := slices.BinarySearch(offsets, cut); !between && !zero(whole.files[path].now[offsets[i-1]:cut]) {
			want = offsets[i-1] // nothing but zeroes are zeroes, whatever they were to be
		}
		if at := told(files); at != want {
			t.Fatalf("cut at %d it ends at %d, want %d", cut, at, want)
		}
		if want < 0 {
			files.files[path].now = append(files.files[path].now, make([]byte, 500)...)
			if at := told(files); at >= 0 {
				t.Fatalf("with zeroes from %d on it ends at %d", cut, at)
			}
		}
	}
}

func TestTail(t *testing.T) {
	dir := tailLog(t)
	lines := []string{
		`2026-11-23T09:30:02.123Z  node-a/1/1  subject q83vEjRW  app one-stop  of health  as clerk,window  for newborn-registration  query Newborn  partial  2 rows  2 person tags (1 of health, 1 of 公安 and health)`,
		`    公安      Person.idNumber  L4  match`,
		`    公安      Person.name      L3  select  clear 1, masked 1`,
		`    公安      Person.idNumber  L4  select  withheld 2`,
		`    health  Birth            L2  select  absent`,
		`    health  failed, stale, 1h0m1s old`,
		`2026-11-23T09:30:03.123Z  node-a/1/2  subject AAAA  as contractor  refused  refused FORBIDDEN  0 rows`,
		`2026-11-23T09:30:04.123Z  node-a/1/3  app "a\x1b[2J  for nothing"  query  ok  0 rows`,
	}
	for name, c := range map[string]struct {
		o    TailOptions
		want []string
	}{
		"all":     {TailOptions{}, lines},
		"last":    {TailOptions{Last: 2}, lines[6:]},
		"plenty":  {TailOptions{Last: 100}, lines},
		"renamed": {TailOptions{Last: 1, Levels: schema.Levels{{Name: "open"}}}, lines[7:]},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Tail(t.Context(), opened(dir), &out, c.o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Join(c.want, "\n")+"\n", out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTailJSON(t *testing.T) {
	var out bytes.Buffer
	if err := Tail(t.Context(), opened(tailLog(t)), &out, TailOptions{JSON: true}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	delete(first, "hash")
	want := map[string]any{
		"position": "node-a/1/1", "time": "2026-11-23T09:30:02.123Z", "requestId": "r1", "kind": "query",
		"operation": "Newborn", "subject": "q83vEjRWeJCrze8SNFZ4kA", "application": "one-stop", "department": "health",
		"roles": []any{"clerk", "window"}, "purpose": "newborn-registration", "level": "L4", "status": "partial",
		"rows": 2.0, "tagCount": 2.0, "tags": []any{"0100000000000000", "0200000000000000"},
		"salt": "01000000000000000000000000000000", "answer": "02000000000000000000000000000000",
		"uses": []any{
			map[string]any{"department": "公安", "table": "person", "column": "id_number", "coordinate": "Person.idNumber", "level": "L4", "use": "match", "clear": 1.0, "masked": 0.0, "withheld": 0.0},
			map[string]any{"department": "公安", "table": "person", "column": "name", "coordinate": "Person.name", "level": "L3", "use": "select", "clear": 1.0, "masked": 1.0, "withheld": 0.0},
			map[string]any{"department": "公安", "table": "person", "column": "id_number", "coordinate": "Person.idNumber", "level": "L4", "use": "select", "clear": 0.0, "masked": 0.0, "withheld": 2.0},
			map[string]any{"department": "health", "table": "birth", "coordinate": "Birth", "level": "L2", "use": "select", "clear": 0.0, "masked": 0.0, "withheld": 0.0},
		},
		"tagGroups": []any{
			map[string]any{"sources": []any{"health"}, "tags": 1.0},
			map[string]any{"sources": []any{"公安", "health"}, "tags": 1.0},
		},
		"sources": []any{
			map[string]any{"department": "公安"},
			map[string]any{"department": "health", "asOf": "2026-11-23T08:30:01.123Z", "stale": true, "failed": true},
		},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
}

// lockedBuffer is read while Tail writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// TestTailFollow prints what comes, over rotations and restarts, each once.
func TestTailFollow(t *testing.T) {
	dir := t.TempDir()
	config := Config{Reading: testReading, Dir: dir, Origin: "node-a", SegmentSize: 2000}
	l := must(Open(config))
	ctx, cancel := context.WithCancel(t.Context())
	out := &lockedBuffer{}
	done := make(chan error)
	go func() {
		done <- Tail(ctx, opened(dir), out, TailOptions{Follow: true, Last: 5, Poll: time.Millisecond})
	}()
	for life := range 3 {
		for range 20 {
			appendOne(t, l, Written)
		}
		eventually(t, "following", func() bool { return out.count("node-a/") == 20*(life+1) })
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = must(Open(config))
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTailOfNothing(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := Tail(t.Context(), opened(filepath.Join(dir, "missing")), &out, TailOptions{Last: 3}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := Tail(t.Context(), opened(dir), &out, TailOptions{Last: 3}); err != nil {
		t.Error(err)
	}
	if err := must(Open(Config{Reading: testReading, Dir: dir, Origin: "node-a"})).Close(); err != nil {
		t.Fatal(err)
	}
	if err := Tail(t.Context(), opened(dir), &out, TailOptions{Last: 3}); err != nil || out.Len() > 0 {
		t.Error(err, out.String())
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1500 * time.Millisecond:        "2s",
		47*time.Hour + 59*time.Minute:  "47h59m0s",
		48 * time.Hour:                 "2 days",
		667*time.Hour + 31*time.Minute: "27 days",
	} {
		if got := age(d); got != want {
			t.Errorf("%v is %q instead of %q", d, got, want)
		}
	}
}
