package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// postingsOf draws postings, some of them of one person, in any order.
func postingsOf(least, most int) *rapid.Generator[[]posting] {
	tag := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 5), rapid.Int64Range(1_700_000_000_000_000, 1_900_000_000_000_000))
	one := rapid.Custom(func(t *rapid.T) posting {
		return posting{tag: tag.Draw(t, "tag"), time: number.Draw(t, "time"), sequence: number.Draw(t, "sequence")}
	})
	return rapid.Custom(func(t *rapid.T) []posting {
		list := rapid.SliceOfN(one, least, most).Draw(t, "list")
		among := rapid.SampledFrom([]uint64{0, 1, 0xff, 0x1ff, math.MaxUint64}).Draw(t, "departments")
		for i := range list {
			p := &list[i]
			p.from = departmentSet(uint64(p.tag^p.time^p.sequence) & among) // a record says one thing of a person
		}
		return list
	})
}

func inOrder(list []posting) []posting {
	list = slices.Clone(list)
	slices.SortFunc(list, posting.compare)
	return slices.Compact(list)
}

// TestChunks: postings come back as they were, whole and tag by tag, and every
// changed, missing or further byte is found.
func TestChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := inOrder(postingsOf(1, 200).Draw(t, "postings"))
		b := appendChunk([]byte("before"), list)[len("before"):]
		got, err := readChunk(nil, b)
		if err != nil || !slices.Equal(got, list) {
			t.Fatalf("%v comes back as %v, %v", list, got, err)
		}
		tag := rapid.SampledFrom(list).Draw(t, "one").tag + rapid.Int64Range(0, 1).Draw(t, "beside")
		var want []posting
		for _, p := range list {
			if p.tag == tag {
				want = append(want, p)
			}
		}
		if got, err = readTag(nil, b, list[0].tag, tag); err != nil || !slices.Equal(got, want) {
			t.Fatalf("of %d: %v instead of %v, %v", tag, got, want, err)
		}
		if _, err := readTag(nil, b, list[0].tag+1, tag); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a chunk in another's place is %v", err)
		}
		bad := slices.Clone(b)
		bad[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		for _, bad := range [][]byte{bad, b[:rapid.IntRange(0, len(b)-1).Draw(t, "end")], append(slices.Clone(b), 0)} {
			if _, err := readChunk(nil, bad); !errors.Is(err, ErrDamaged) {
				t.Fatalf("damage is %v", err)
			}
			if _, err := readTag(nil, bad, list[0].tag, tag); !errors.Is(err, ErrDamaged) {
				t.Fatalf("damage is %v, for one tag", err)
			}
		}
	})
}

// TestSort: sorted is sorted, each once, whatever the tags are.
func TestSort(t *testing.T) {
	var s sorter
	rapid.Check(t, func(t *rapid.T) {
		list := postingsOf(0, 300).Draw(t, "postings")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for range rapid.IntRange(0, 1).Draw(t, "many") * 2000 { // spread as tags are
			list = append(list, posting{tag: int64(r.Uint64()), time: r.Int64(), sequence: r.Int64N(10)})
		}
		want := inOrder(list)
		if got := s.sort(list); !slices.Equal(got, want) {
			t.Fatalf("%d postings are %d, or not in order", len(want), len(got))
		}
	})
}

// FuzzChunk: whatever a chunk's bytes are, it is refused or says what one that
// was written says.
func FuzzChunk(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range [...]int{1, 2, 300} {
		var list []posting
		for range n {
			list = append(list, posting{r.Int64N(1 << 40), r.Int64N(1 << 30), r.Int64N(1 << 20), 0}, posting{7, r.Int64N(1 << 30), r.Int64N(1 << 20), departmentSet(n)})
		}
		f.Add(appendChunk(nil, inOrder(list))[4:])
	}
	f.Add(appendChunk(nil, []posting{{math.MinInt64, math.MinInt64, math.MinInt64, 0}, {math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxUint64}})[4:])
	f.Fuzz(func(t *testing.T, rest []byte) {
		// The checksum would keep the fuzzer out.
		b := append(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(rest, castagnoli)), rest...)
		list, err := readChunk(nil, b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) || list != nil {
				t.Fatalf("%v, %v", list, err)
			}
			return
		}
		if len(list) == 0 || len(list) > chunkPostings || !slices.Equal(list, inOrder(list)) {
			t.Fatalf("postings in no order: %v", list)
		}
		again, err := readChunk(nil, appendChunk(nil, list))
		if err != nil || !slices.Equal(list, again) {
			t.Fatalf("%v comes back as %v, %v", list, again, err)
		}
		for _, p := range []posting{list[0], list[len(list)/2], list[len(list)-1]} {
			of, err := readTag(nil, b, list[0].tag, p.tag)
			if err != nil || !slices.Contains(of, p) {
				t.Fatalf("%v is not among %v, %v", p, of, err)
			}
		}
	})
}

// BenchmarkChunks is what a posting costs on its way into a chunk and out of it.
func BenchmarkChunks(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 1 << 15
	list := make([]posting, n)
	for i := range list {
		list[i] = posting{tag: int64(r.Uint64()), time: 1_700_000_000_000_000 + r.Int64N(1<<42), sequence: r.Int64N(1 << 24)}
	}
	var s sorter
	b.Run("sort", func(b *testing.B) {
		work := make([]posting, n)
		for b.Loop() {
			work = s.sort(append(work[:0], list...))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/posting")
	})
	sorted := inOrder(list)
	var chunks [][]byte
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			chunks = chunks[:0]
			for part := range slices.Chunk(sorted, chunkPostings) {
				chunks = append(chunks, appendChunk(nil, part))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/posting")
		b.ReportMetric(float64(len(chunks[0]))/chunkPostings, "bytes/posting")
	})
	b.Run("read", func(b *testing.B) {
		to := make([]posting, 0, n)
		for b.Loop() {
			to = to[:0]
			for _, c := range chunks {
				var err error
				if to, err = readChunk(to, c); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/posting")
	})
}
