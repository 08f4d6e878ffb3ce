package lineage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const archivedRecords = 16

// manySegments is a log of small segments.
func manySegments(t *testing.T) *memFS {
	t.Helper()
	files := newMemFS()
	l, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: files, SegmentSize: 900})
	if err != nil {
		t.Fatal(err)
	}
	for i := range archivedRecords {
		r := sampleRecord()
		r.RequestID = fmt.Sprintf("old-%d", i)
		_, ticket, err := l.Append(t.Context(), r)
		if err == nil {
			err = ticket.Wait(t.Context(), Synced)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return files
}

// archiveOnce opens a log and archives what it may.
func archiveOnce(files *memFS, a Archiving) ([]ArchivedSegment, error) {
	l, err := Open(Config{
		Reading: testReading, Dir: "log", Origin: "node-a", Files: files, SegmentSize: 900,
		Fatal: func(error) {},
	})
	if err != nil {
		return nil, err
	}
	moved, err := l.Archive(context.Background(), a)
	return moved, errors.Join(err, l.Close())
}

// wholeAgain reads log and archive as one, and wants every record.
func wholeAgain(files *memFS) error {
	f := Folder{Dir: "log", Reading: testReading, Archive: "archive", files: files}
	n := uint64(0)
	for e, err := range Read(f, 0) {
		if err != nil {
			return err
		}
		n++
		if e.Position.Sequence != n || n <= archivedRecords && e.Record.RequestID != fmt.Sprintf("old-%d", n-1) {
			return fmt.Errorf("record %d is %s, %q", n, e.Position, e.Record.RequestID)
		}
	}
	if n < archivedRecords {
		return fmt.Errorf("%d records of %d", n, archivedRecords)
	}
	return nil
}

func TestArchive(t *testing.T) {
	files := manySegments(t)
	before, err := segments(files, "log")
	if err != nil || len(before) < 8 {
		t.Fatal(before, err)
	}
	if moved, err := archiveOnce(files, Archiving{To: "archive", Limit: 2}); err != nil || len(moved) != 0 {
		t.Errorf("nothing is settled: %v, %v", moved, err)
	}
	if moved, err := archiveOnce(files, Archiving{To: "archive", Limit: 1 << 40, Before: time.Now().Add(-time.Hour)}); err != nil || len(moved) != 0 {
		t.Errorf("everything is young: %v, %v", moved, err)
	}
	moved, err := archiveOnce(files, Archiving{To: "archive", Limit: archivedRecords / 2})
	if err != nil || len(moved) == 0 {
		t.Fatal(moved, err)
	}
	last := moved[len(moved)-1]
	after, err := segments(files, "log")
	if err != nil || after[0] != last.Ordinal+1 || last.Last+2 > archivedRecords/2 {
		t.Errorf("%v, %v after %+v", after, err, last)
	}
	if err := wholeAgain(files); err != nil {
		t.Error(err)
	}
	here := Folder{Dir: "log", Reading: testReading, files: files}
	old := Position{"node-a", 1, 1}
	if _, err := Find(here, old); !errors.Is(err, ErrArchived) || !errors.Is(err, ErrUnknown) {
		t.Errorf("an archived record: %v", err)
	}
	if e, err := Find(Folder{Dir: "log", Reading: testReading, Archive: "archive", files: files}, old); err != nil || e.Record.RequestID != "old-0" {
		t.Errorf("%+v, %v", e, err)
	}
	frames := here.Frames(last.Last - 1)
	if _, err := frames.Next(); !errors.Is(err, ErrArchived) {
		t.Errorf("frames behind an archived record: %v", err)
	}
	frames.Close()
	list, err := readList(files, filepath.Join("log", ArchivedName), "node-a")
	if err != nil || len(list.Segments) != len(moved) || list.Segments[0] != moved[0] {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := readList(files, filepath.Join("log", ArchivedName), "node-b"); !errors.Is(err, ErrArchive) {
		t.Errorf("another ledger's archive: %v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "a line more": list.String() + "x\n", "another version": strings.Replace(list.String(), "archive 1", "archive 2", 1),
		"twice": list.String() + strings.SplitAfter(list.String(), "\n")[2], "another spelling": strings.Replace(list.String(), "segment 1 ", "segment 01 ", 1),
	} {
		if a, err := ParseArchived(text); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	// Again, into the same archive.
	if moved, err = archiveOnce(files, Archiving{To: "archive", Limit: 1 << 40}); err != nil || len(moved) == 0 || moved[0].Ordinal != last.Ordinal+1 {
		t.Fatal(moved, err)
	}
	if err := wholeAgain(files); err != nil {
		t.Error(err)
	}
}

// TestArchiveOverAnother: a file that is there already is not written over, and
// nothing goes.
func TestArchiveOverAnother(t *testing.T) {
	files := manySegments(t)
	f, err := files.Create(filepath.Join("archive", segmentName(2)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("another"), 0); err != nil {
		t.Fatal(err)
	}
	before, err := segments(files, "log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archiveOnce(files, Archiving{To: "archive", Limit: 1 << 40}); !errors.Is(err, ErrArchive) {
		t.Errorf("%v", err)
	}
	after, err := segments(files, "log")
	if err != nil || after[0] != before[0] {
		t.Errorf("%v, %v", after, err)
	}
}

// TestPowerCutWhileArchiving: at every operation, whatever the disk keeps holds
// every record, in the folder or in the archive, and the next time ends it.
func TestPowerCutWhileArchiving(t *testing.T) {
	besideNothing(t)
	base := manySegments(t)
	cutEverywhere(t, rounds(t, "WEIR_ARCHIVE_SEEDS", 1, 40), 100, func(step int, rnd *rand.Rand) (bool, error) { return cutArchiveAt(base, step, rnd) })
}

// cutArchiveAt archives out of a copy of the files and takes what the disk may
// hold at one operation; false when there are not so many.
func cutArchiveAt(base *memFS, step int, rnd *rand.Rand) (bool, error) {
	files := base.kill()
	cut := cutPower(files, step, rnd, func() {})
	if _, err := archiveOnce(files, Archiving{To: "archive", Limit: archivedRecords - 4}); err != nil {
		return false, err
	}
	dark := cut.left()
	if dark == nil {
		return false, nil
	}
	l, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: dark})
	if err == nil {
		err = l.Close() // recovered
	}
	if err == nil {
		err = wholeAgain(dark)
	}
	if err == nil {
		_, err = archiveOnce(dark, Archiving{To: "archive", Limit: archivedRecords - 4})
	}
	if err != nil {
		return true, err
	}
	ordinals, err := segments(dark, "log")
	if err == nil && ordinals[0] == 1 {
		err = fmt.Errorf("the second time left segments %v", ordinals)
	}
	return true, errors.Join(err, wholeAgain(dark))
}
