package lineage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written makes a log of n records, each its own group, that was killed and not
// closed, and gives the path of its file with the offset of every frame.
func written(t testing.TB, n int) (*memFS, string, []int64) {
	t.Helper()
	files := newMemFS()
	l := openMem(t, files, Config{})
	for range n {
		appendOne(t, l, Synced)
	}
	left := files.kill()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("log", segmentName(1))
	return left, path, frameOffsets(t, left, path)
}

func frameOffsets(t testing.TB, files *memFS, path string) []int64 {
	t.Helper()
	s := &scanner{file: must(files.Open(path, false)), path: path, ordinal: 1}
	var offsets []int64
	for {
		f, err := s.next()
		if err != nil {
			return append(offsets, s.offset)
		}
		offsets = append(offsets, s.offset-int64(len(f)))
	}
}

// TestTornTail: cut anywhere, the log opens with every whole record before the
// cut, reports what it took, keeps it, and goes on without a gap.
func TestTornTail(t *testing.T) {
	besideNothing(t)
	whole, path, offsets := written(t, 3)
	size := int64(len(whole.files[path].now))
	for cut := range size + 1 {
		files := whole.kill()
		files.files[path].now = files.files[path].now[:cut]
		want := 0 // records that are whole
		for i, e := range must(records(files, "log")) {
			if e.Position.Sequence != uint64(i+1) {
				t.Fatalf("cut at %d: %v", cut, e.Position)
			}
			want++
		}
		l := openMem(t, files, Config{})
		r := l.Recovery()
		end := int64(0)
		for _, o := range offsets {
			if o <= cut {
				end = o
			}
		}
		if cut < offsets[1] { // not even the first frame
			end = 0
		}
		wantRecovery := Recovery{File: r.File, Offset: r.Offset, Bytes: cut - end, Kept: r.Kept}
		if want > 0 {
			wantRecovery.Last = Position{Origin: "node-a", Epoch: 1, Sequence: uint64(want)}
		}
		if diff := cmp.Diff(wantRecovery, r); diff != "" {
			t.Fatalf("cut at %d:\n%s", cut, diff)
		}
		if r.Bytes > 0 {
			if r.File != path || r.Offset != end {
				t.Fatalf("cut at %d: %+v", cut, r)
			}
			if got, want := files.files[r.Kept].now, whole.files[path].now[end:cut]; !bytes.Equal(got, want) {
				t.Fatalf("cut at %d: kept %d bytes of %d", cut, len(got), len(want))
			}
		}
		if p := appendOne(t, l, Synced); p.Sequence != uint64(want+1) {
			t.Fatalf("cut at %d: %v follows %d records", cut, p, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := must(records(files, "log")); len(got) != want+1 {
			t.Fatalf("cut at %d: %d records, want %d", cut, len(got), want+1)
		}
		again := openMem(t, files, Config{})
		if !again.Recovery().Clean {
			t.Fatalf("cut at %d: %+v the second time", cut, again.Recovery())
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCutLasts: what recovery cut off does not come back with a power cut, when
// the next segment says that there is nothing more.
func TestCutLasts(t *testing.T) {
	whole, path, offsets := written(t, 2)
	for seed := range uint64(20) {
		files := whole.kill()
		d := files.files[path]
		d.now = d.now[:offsets[len(offsets)-1]-5]
		d.synced = slices.Clone(d.now)
		l := openMem(t, files, Config{})
		appendOne(t, l, Synced)
		dark := files.powerCut(rand.New(rand.NewPCG(seed, 0)))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openMem(t, dark, Config{})
		if got, err := records(dark, "log"); err != nil || len(got) != 2 {
			t.Fatalf("seed %d: %d records, %v", seed, len(got), err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamage: a byte changed anywhere is found and named; only in the very last
// group, which a crash might have torn, is it cut off instead, and reported. No
// record is ever read that was not written.
func TestDamage(t *testing.T) {
	besideNothing(t)
	whole, path, offsets := written(t, 3)
	want := must(records(whole, "log"))
	lastGroup := offsets[len(offsets)-2]
	for at := range whole.files[path].now {
		for _, bit := range []byte{1, 0x80} {
			files := whole.kill()
			files.files[path].now[at] ^= bit
			got, err := records(files, "log")
			for i := range got {
				if diff := cmp.Diff(want[i], got[i]); diff != "" {
					t.Fatalf("byte %d: a changed record was read:\n%s", at, diff)
				}
			}
			if err == nil && (len(got) == len(want) || int64(at) < lastGroup) {
				t.Fatalf("byte %d: the change was not seen", at)
			}
			l, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: files})
			if int64(at) >= lastGroup {
				if err != nil {
					t.Fatalf("byte %d: %v", at, err)
				}
				if r := l.Recovery(); r.Bytes == 0 || r.Offset != lastGroup {
					t.Fatalf("byte %d: %+v", at, r)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.File != path || corrupt.Offset > int64(at) {
				t.Fatalf("byte %d: %v", at, err)
			}
			if !bytes.Equal(files.files[path].now[:at], whole.files[path].now[:at]) ||
				len(files.files[path].now) != len(whole.files[path].now) {
				t.Fatalf("byte %d: the damaged file was changed", at)
			}
		}
	}
}

// TestDamageAfterClose: a log closed in order ends with a frame that proves
// everything before it synced, so nothing before it is ever cut.
func TestDamageAfterClose(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{})
	appendOne(t, l, Synced)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("log", segmentName(1))
	end := len(files.files[path].now) - headerSize
	for at := range end {
		damaged := files.kill()
		damaged.files[path].now[at] ^= 4
		if _, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: damaged}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

// TestDamageInOlderSegments is found by reading, and at open where the newest
// two segments are concerned or any first frame.
func TestDamageInOlderSegments(t *testing.T) {
	besideNothing(t)
	files := newMemFS()
	l := openMem(t, files, Config{SegmentSize: 1000})
	for range 40 {
		appendOne(t, l, Synced)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	n := l.Stats().Segment - 1 // the last may hold one group, see TestDamage
	if n < 4 {
		t.Fatalf("%d segments", n)
	}
	for ordinal := uint64(1); ordinal <= n; ordinal++ {
		path := filepath.Join("log", segmentName(ordinal))
		for _, at := range []int{len(magic) + 6, len(files.files[path].now) - 9} {
			damaged := files.kill()
			damaged.files[path].now[at] ^= 1
			var corrupt *CorruptError
			if _, err := records(damaged, "log"); !errors.As(err, &corrupt) || corrupt.File != path {
				t.Errorf("segment %d byte %d: %v", ordinal, at, err)
			}
			l, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: damaged})
			if err == nil && (at < headerSize || ordinal == n) {
				t.Errorf("segment %d byte %d: opened", ordinal, at)
			}
			if err == nil {
				_ = l.Close()
			}
		}
		// A cut tail of a segment that is not the last.
		damaged := files.kill()
		d := damaged.files[path]
		d.now = d.now[:frameEnd(t, d.now)]
		if _, err := records(damaged, "log"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("segment %d without its last frame: %v", ordinal, err)
		}
	}
}

// frameEnd is where the last frame but one ends.
func frameEnd(t testing.TB, segment []byte) int64 {
	t.Helper()
	at, last := int64(len(magic)), int64(0)
	for at < int64(len(segment)) {
		last = at
		at += headerSize + int64(bodyLength(segment[at:]))
	}
	if at != int64(len(segment)) {
		t.Fatal("not a whole segment")
	}
	return last
}

// TestSwappedFrames: sound frames in another order do not link.
func TestSwappedFrames(t *testing.T) {
	files, path, offsets := written(t, 4)
	d := files.files[path]
	n := len(offsets)
	a, b, end := offsets[n-3], offsets[n-2], offsets[n-1]
	first, second := slices.Clone(d.now[a:b]), slices.Clone(d.now[b:end])
	for name, tail := range map[string][]byte{
		"swapped":    append(slices.Clone(second), first...),
		"dropped":    second,
		"duplicated": append(slices.Clone(first), append(slices.Clone(first), second...)...),
	} {
		damaged := files.kill()
		damaged.files[path].now = append(slices.Clone(d.now[:a]), tail...)
		if _, err := records(damaged, "log"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: damaged}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: opened: %v", name, err)
		}
	}
}

// TestForgedFrames: a changed record with a right checksum breaks the link of the
// next one; a record left out breaks the sequence even where the links are made
// to fit; an epoch does not change within a segment.
func TestForgedFrames(t *testing.T) {
	forge := func(files FS, change func(*encoder)) []byte {
		e := encoderAt(chain{sequence: 1, epoch: 1})
		e.keys = must(openKeys(files, "log", "node-a", time.Now, testReading))
		now := time.UnixMicro(1795000000000000)
		buf := e.beginSegment(nil, "node-a", 1, now)
		for i := range 3 {
			if i == 2 {
				change(e)
			}
			buf = must(e.write(buf, sampleRecord(), now, true))
		}
		return e.end(buf, true)
	}
	for name, c := range map[string]struct {
		change func(*encoder)
		says   string
	}{
		"whole":    {func(*encoder) {}, ""},
		"link":     {func(e *encoder) { e.last[3]++ }, "does not link"},
		"gap":      {func(e *encoder) { e.sequence++ }, "gap"},
		"repeated": {func(e *encoder) { e.sequence-- }, "gap"},
		"epoch":    {func(e *encoder) { e.epoch++ }, "epoch"},
	} {
		files := newMemFS()
		files.files[filepath.Join("log", segmentName(1))] = &memData{now: forge(files, c.change), named: true}
		_, err := records(files, "log")
		l, openErr := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: files})
		if openErr == nil {
			_ = l.Close()
		}
		for _, err := range []error{err, openErr} {
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestFolder: what does not belong there is named and left alone.
func TestFolder(t *testing.T) {
	whole, path, _ := written(t, 2)
	second := filepath.Join("log", segmentName(2))
	for name, c := range map[string]struct {
		change func(*memFS)
		want   error
		says   string
	}{
		"a foreign file": {func(m *memFS) { m.files["log/notes.txt"] = &memData{} }, ErrForeign, "log/notes.txt"},
		"a short name":   {func(m *memFS) { m.files["log/1.wal"] = &memData{} }, ErrForeign, "log/1.wal"},
		"a missing segment": {
			func(m *memFS) { m.files[filepath.Join("log", segmentName(3))] = m.files[path] }, ErrCorrupt, segmentName(2),
		},
		"a copied segment": {
			func(m *memFS) { m.files[second] = m.files[path] }, ErrCorrupt, segmentName(2),
		},
		"another file as the last segment": {
			func(m *memFS) { m.files[second] = &memData{now: bytes.Repeat([]byte("text "), 100)} }, ErrCorrupt, segmentName(2),
		},
		"a later version": {
			func(m *memFS) { m.files[second] = &memData{now: []byte("WEIRWAL\x03rest of it")} }, ErrCorrupt, "version 3",
		},
		"a missing beginning": {
			func(m *memFS) {
				d := m.files[path]
				at := len(magic) + atSequence // the sequence of the first frame
				d.now[at]++
				f := frame(d.now[len(magic) : len(magic)+headerSize+int(bodyLength(d.now[len(magic):]))])
				sum := castagnoliSum(f)
				copy(f, sum[:])
			}, ErrCorrupt, "does not begin the log",
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := whole.kill()
			c.change(files)
			before := files.kill()
			_, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: files})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			for p, d := range before.files {
				if !bytes.Equal(d.now, files.files[p].now) {
					t.Errorf("%s was changed", p)
				}
			}
		})
	}
	if _, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-b", Files: whole}); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "node-a") {
		t.Errorf("the log of another node: %v", err)
	}
}

func castagnoliSum(f frame) [4]byte {
	c := chain{}
	g := slices.Clone(f)
	c.close(g)
	return [4]byte(g[:4])
}

// TestReadBesideWriter: a reader of another process sees a prefix at any moment,
// and never an error.
func TestReadBesideWriter(t *testing.T) {
	dir := t.TempDir()
	l := must(Open(Config{Reading: testReading, Dir: dir, Origin: "node-a", SegmentSize: 4 << 10}))
	stop := make(chan struct{})
	readers := make(chan error)
	go func() {
		for {
			var last uint64
			for e, err := range Read(opened(dir), 0) {
				if err != nil {
					readers <- err
					return
				}
				if last = last + 1; e.Position.Sequence != last {
					readers <- fmt.Errorf("%v after %d", e.Position, last-1)
					return
				}
			}
			select {
			case <-stop:
				readers <- nil
				return
			default:
			}
		}
	}()
	for range 300 {
		appendOne(t, l, Written)
	}
	close(stop)
	if err := <-readers; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, segmentName(3))); err != nil {
		t.Error(err)
	}
	for _, err := range Read(opened(filepath.Join(dir, "missing")), 0) {
		if !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}
