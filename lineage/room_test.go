package lineage

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// killed gives what a killed process left of n records in one segment with room
// behind them.
func killed(t *testing.T, n int) (files *memFS, path string, offsets []int64) {
	t.Helper()
	files = newMemFS()
	l := openMem(t, files, Config{Room: 4096})
	for range n {
		appendOne(t, l, Synced)
	}
	left := files.kill()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join("log", segmentName(1))
	offsets = frameOffsets(t, left, path)
	end := offsets[len(offsets)-1]
	if size := int64(len(left.files[path].now)); size <= end {
		t.Fatalf("the file ends at %d with its frames at %d: there is no room", size, end)
	}
	return left, path, offsets
}

// TestRoom: groups are written over zeroes, that neither a reader nor recovery
// takes for anything, and that no finished segment has.
func TestRoom(t *testing.T) {
	left, path, offsets := killed(t, 3)
	if got, err := records(left, "log"); err != nil || len(got) != 3 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if b := left.files[path].synced; !zero(b[offsets[len(offsets)-1]:]) || len(b) != len(left.files[path].now) {
		t.Error("the room was not synced with its group")
	}
	l := openMem(t, left, Config{Room: 4096, SegmentSize: 1200})
	if r := l.Recovery(); r.Bytes != 0 || r.Kept != "" || r.Last.Sequence != 3 {
		t.Errorf("zeroes are said to be an unfinished write: %+v", r)
	}
	for range 12 {
		appendOne(t, l, Synced)
	}
	if got, err := records(left, "log"); err != nil || len(got) != 15 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for p, d := range left.files {
		if !strings.HasSuffix(p, segmentSuffix) {
			continue
		}
		s := &scanner{file: must(left.Open(p, false)), path: p, ordinal: ordinalAt(t, p)}
		for err := error(nil); err == nil; {
			_, err = s.next()
		}
		if s.offset != int64(len(d.now)) || !bytes.Equal(d.now, d.synced) {
			t.Errorf("%s: frames end at %d, the file at %d, of which %d are synced", p, s.offset, len(d.now), len(d.synced))
		}
	}
}

func ordinalAt(t *testing.T, path string) uint64 {
	t.Helper()
	ordinals := must(segments(&memFS{files: map[string]*memData{path: {}}}, "log"))
	return ordinals[0]
}

// TestTornOverRoom: of a group that was being written over zeroes there may be
// any beginning. It is not read, and recovery cuts it off and keeps it.
func TestTornOverRoom(t *testing.T) {
	whole, path, offsets := killed(t, 3)
	group, end := offsets[len(offsets)-2], offsets[len(offsets)-1]
	frameBytes := slices.Clone(whole.files[path].now[group:end])
	for cut := range frameBytes {
		files := whole.kill()
		clear(files.files[path].now[group+int64(cut) : end])
		if bytes.Equal(files.files[path].now[group:end], frameBytes) {
			continue // it ends in zeroes
		}
		got, err := records(files, "log")
		if err != nil && end-group-int64(cut) > fade || len(got) != 2 {
			t.Fatalf("cut at %d: %d records, %v", cut, len(got), err)
		}
		l := openMem(t, files, Config{})
		r := l.Recovery()
		if r.Last.Sequence != 2 || (r.Bytes == 0) != zero(frameBytes[:cut]) || (r.Kept == "") != (r.Bytes == 0) {
			t.Fatalf("cut at %d: %+v", cut, r)
		}
		if r.Kept != "" && !bytes.HasPrefix(files.files[r.Kept].now, bytes.TrimRight(frameBytes[:cut], "\x00")) {
			t.Fatalf("cut at %d: something else was kept", cut)
		}
		if p := appendOne(t, l, Synced); p.Sequence != 3 {
			t.Fatalf("cut at %d: goes on with %s", cut, p)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestZeroedFrame: a frame with groups behind it that turns to zeroes is damage
// for readers and for recovery, not room.
func TestZeroedFrame(t *testing.T) {
	whole, path, offsets := killed(t, 3)
	for i := range len(offsets) - 2 {
		files := whole.kill()
		clear(files.files[path].now[offsets[i]:offsets[i+1]])
		if _, err := records(files, "log"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("frame %d is zeroes: a reader says %v", i, err)
		}
		if _, err := Open(Config{Dir: "log", Origin: "node-a", Files: files}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("frame %d is zeroes: recovery says %v", i, err)
		}
	}
}

// TestNoPlaceForRoom: a disk without a place for zeroes takes records as long as
// it has one for them.
func TestNoPlaceForRoom(t *testing.T) {
	files := newMemFS()
	l := openMem(t, files, Config{Room: 1000})
	appendOne(t, l, Synced)
	files.set(func() { files.space = 900 })
	for range 3 {
		appendOne(t, l, Synced)
	}
	if got, err := records(files, "log"); err != nil || len(got) != 4 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
