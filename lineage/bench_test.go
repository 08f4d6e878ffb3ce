package lineage

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/schema"
)

// sampleRecord is a usual answer: 20 fields of 2 departments, one person.
func sampleRecord() *Record {
	uses := make([]Use, 20)
	counts := make([]Counts, len(uses))
	for i := range uses {
		uses[i] = Use{
			Department: "public-security", Table: "person", Column: fmt.Sprintf("column_%d", i),
			Coordinate: schema.Coordinate{Type: "Person", Field: fmt.Sprintf("field%d", i)},
			Level:      schema.Rank(i % 4), Use: Select,
		}
		counts[i].Clear = 1
	}
	uses[0].Use, uses[7].Department = Match, "health"
	counts[3], counts[4] = Counts{Masked: 1}, Counts{Withheld: 1}
	return &Record{
		RequestID: "0193569a-2b5c-7d3e-8f40-123456789abc", Kind: "query", Operation: "Newborn",
		Subject: "q83vEjRWeJCrze8SNFZ4kA", Application: "one-stop", Department: "health",
		Roles: []string{"clerk", "window"}, Attributes: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
		Purpose: "newborn-registration",
		Schema:  "9f86d081884c7d65", Policy: "60303ae22b998861",
		Document: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		Uses:     uses, Counts: counts, Rows: 1,
		Tags: []SubjectTag{{9, 8, 7, 6, 5, 4, 3, 2}}, TagCount: 1,
		Sources: []SourceAge{{Department: "public-security", AsOf: time.UnixMicro(1795000000000000).UTC()}, {Department: "health"}},
		Status:  "ok", Salt: [16]byte{1, 2, 3}, Answer: [16]byte{4, 5, 6}, Level: 3,
	}
}

// BenchmarkAppend is the group commit under load on the disk of the temporary
// folder: every writer waits for its record before it appends the next.
func BenchmarkAppend(b *testing.B) {
	for _, durability := range []Durability{Written, Synced} {
		for _, writers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/writers=%d", [...]string{"written", "synced"}[durability], writers), func(b *testing.B) {
				benchmarkAppend(b, durability, writers)
			})
		}
	}
}

func benchmarkAppend(b *testing.B, durability Durability, writers int) {
	dir := b.TempDir()
	l, err := Open(Config{Reading: testReading, Dir: dir, Origin: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	template := sampleRecord()
	waits := make([][]time.Duration, writers)
	start := time.Now()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range writers {
		n := b.N / writers
		if w < b.N%writers {
			n++
		}
		wg.Go(func() {
			r := *template
			took := make([]time.Duration, 0, n)
			for range n {
				began := time.Now()
				_, t, err := l.Append(context.Background(), &r)
				if err == nil {
					err = t.Wait(context.Background(), durability)
				}
				if err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(began))
			}
			waits[w] = took
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(waits...)
	slices.Sort(all)
	b.ReportMetric(float64(len(all))/time.Since(start).Seconds(), "records/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	var size, n int64
	for _, ordinal := range must(segments(OS(), dir)) {
		f := must(OS().Open(l.path(ordinal), false))
		size += must(f.Size())
		_ = f.Close()
	}
	n = int64(b.N)
	b.ReportMetric(float64(size)/float64(n), "bytes/record")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// BenchmarkEncode is the part of Append under the lock.
func BenchmarkEncode(b *testing.B) {
	for _, people := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("people=%d", people), func(b *testing.B) {
			e := encoderAt(chain{sequence: 1})
			now := time.UnixMicro(1795000000000000)
			buf := e.beginSegment(nil, "bench", 1, now)
			r := sampleRecord()
			r.SetTags(somePeople(people))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = e.write(buf[:0], r, now, false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(buf)), "bytes/record")
		})
	}
}

// BenchmarkSetTags is the part of it outside of the lock.
func BenchmarkSetTags(b *testing.B) {
	for _, people := range []int{50, 1000} {
		b.Run(fmt.Sprintf("people=%d", people), func(b *testing.B) {
			var r Record
			from, tags := somePeople(people), make([]SubjectTag, people)
			for b.Loop() {
				copy(tags, from)
				r.SetTags(tags)
			}
		})
	}
}

// somePeople are tags as keyed as any: in no order.
func somePeople(n int) []SubjectTag {
	out := make([]SubjectTag, n)
	for i := range out {
		sum := sha256.Sum256([]byte(fmt.Sprint(i)))
		copy(out[i][:], sum[:])
	}
	return out
}
