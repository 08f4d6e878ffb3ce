package ledger

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// TestArchiveVerified: a ledger whose old segments are in an archive is verified
// with it as before, without it as far as it is here; a proof needs what it
// proves; the node goes on; and whatever is changed in the folder, in the list or
// in the archive is found.
func TestArchiveVerified(t *testing.T) {
	dir := filepath.Join(inMemory(t), "ledger")
	archive := filepath.Join(filepath.Dir(dir), "archive")
	small := func(lc *lineage.Config, _ *Config) { lc.SegmentSize = 3 << 10 }
	n := open(t, dir, small)
	var at []lineage.Position
	for range 12 { // batches across the ends of segments
		at = append(at, n.append(25))
		n.proven(at[len(at)-1]) // else one batch could hold them all
	}
	key := n.key.Public()
	n.close()
	o := verify.Options{Key: key, ReadingKey: readingText(t, dir), Anchors: []verify.Anchor{verify.ParseAnchor("receipt "+at[3].String(), []byte(at[3].String()))}}
	whole, err := verify.Folder(t.Context(), dir, o)
	if err != nil || whole.Records != 300 || whole.Covered != 300 {
		t.Fatalf("%+v, %v", whole, err)
	}
	moved := archived(t, dir, archive, at[7].Sequence)
	last := moved[len(moved)-1].Last
	if last < at[5].Sequence {
		t.Fatalf("only records up to %d were archived", last)
	}

	var input error
	if _, input = verify.Folder(t.Context(), dir, o); !errors.Is(input, verify.ErrInput) {
		t.Errorf("an anchor of the archived: %v", input)
	}
	with := o
	with.Archive = archive
	if r, err := verify.Folder(t.Context(), dir, with); err != nil || r.Records != 300 || r.Absent != 0 || r.Root != whole.Root || r.Read != 301 || r.Anchors != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	without := o
	without.Anchors = nil
	r, err := verify.Folder(t.Context(), dir, without)
	if err != nil || r.Absent != last || r.Records != 300-last || r.Covered != 300 || r.Root != whole.Root || len(r.Notes) == 0 {
		t.Errorf("%+v, %v", r, err)
	}

	// Proofs of both, and of the first record here, whose batch may begin there.
	reading := must(readingRing(dir)).Box(readingUse)
	here, both := lineage.Folder{Dir: dir, Reading: reading}, lineage.Folder{Dir: dir, Reading: reading, Archive: archive}
	for _, sequence := range []uint64{1, last, last + 1, last + 2, 300} {
		e := firstFrom(t, both, sequence)
		p, err := Prove(both, key, e.Position)
		if err != nil {
			t.Fatalf("record %d: %v", sequence, err)
		}
		if _, err := verify.CheckProof(must(p.Text()), key, nil); err != nil {
			t.Errorf("record %d: %v", sequence, err)
		}
		if _, err := Prove(here, key, e.Position); sequence <= last != errors.Is(err, lineage.ErrArchived) && sequence != last+1 && sequence != last+2 {
			t.Errorf("record %d without the archive: %v", sequence, err)
		}
	}

	n = open(t, dir, small)
	n.proven(n.append(30))
	receiptsBehind(t, n, both, last)
	n.close()
	if r, err := verify.Folder(t.Context(), dir, with); err != nil || r.Records != 331 || r.Absent != 0 {
		t.Errorf("after it went on: %+v, %v", r, err)
	}
	changes(t, dir, archive, without, with)
}

// receiptsBehind holds a running node to what it can prove once records up to last
// were archived: nothing of these, of a record whose batch begins among them that
// the node has it, and of later ones everything.
func receiptsBehind(t *testing.T, n *node, both lineage.Folder, last uint64) {
	t.Helper()
	if to, err := n.led.ArchivedTo(); err != nil || to != last {
		t.Errorf("archived up to %d, %v; want %d", to, err, last)
	}
	across, whole := 0, 0
	for _, sequence := range []uint64{1, last, last + 1, last + 2, last + 40, 300, 331} {
		at := firstFrom(t, both, sequence).Position
		p, err := n.led.Receipt(at)
		if sequence <= last {
			if _, missed := n.led.Find(at); !errors.Is(err, lineage.ErrArchived) || !errors.Is(missed, lineage.ErrArchived) {
				t.Errorf("record %d: %v, %v", sequence, err, missed)
			}
			continue
		}
		if err != nil {
			t.Errorf("record %d: %v", sequence, err)
			continue
		}
		r, err := verify.CheckProof(must(p.Text()), n.key.Public(), nil)
		if err != nil || !r.Signed || r.Closed || r.Record.Position != at.String() {
			t.Errorf("record %d: %+v, %v", sequence, r, err)
			continue
		}
		switch {
		case p.Behind() > 0 && p.Behind() <= last && !r.Included:
			across++
		case p.Behind() == 0 && r.Included:
			whole++
		default:
			t.Errorf("record %d: included %v, its batch begins behind %d", sequence, r.Included, p.Behind())
		}
	}
	if across == 0 || whole < 3 {
		t.Errorf("%d records of a batch across the end, %d behind it", across, whole)
	}
}

// archived moves what it may into an archive.
func archived(t *testing.T, dir, archive string, limit uint64) []lineage.ArchivedSegment {
	t.Helper()
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: origin, Reading: must(readingRing(dir)).Box(readingUse)})
	if err != nil {
		t.Fatal(err)
	}
	moved, err := log.Archive(t.Context(), lineage.Archiving{To: archive, Limit: limit})
	if err := errors.Join(err, log.Close()); err != nil || len(moved) < 3 {
		t.Fatal(moved, err)
	}
	return moved
}

func firstFrom(t *testing.T, f lineage.Folder, sequence uint64) lineage.Entry {
	t.Helper()
	for e, err := range lineage.Read(f, sequence) {
		if err != nil || e.Position.Sequence != sequence {
			t.Fatal(e.Position, err)
		}
		return e
	}
	t.Fatalf("no record %d", sequence)
	return lineage.Entry{}
}

// changes makes random edits, each of which must be found.
func changes(t *testing.T, dir, archive string, without, with verify.Options) {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 5))
	files := func(folder string) []string {
		found := must(filepath.Glob(filepath.Join(folder, "*.wal")))
		return found[:len(found)-1] // the newest may end anyhow
	}
	for i := range 120 {
		folder, options := dir, without
		paths := files(dir)
		switch i % 3 {
		case 1:
			folder, options = archive, with
			paths = must(filepath.Glob(filepath.Join(archive, "*.wal")))
		case 2:
			paths = []string{filepath.Join(dir, lineage.ArchivedName)}
		}
		path := paths[r.IntN(len(paths))]
		old := must(os.ReadFile(path))
		b := slices.Clone(old)
		place := r.IntN(len(b))
		if i%3 == 2 {
			// Of the list, what says where the log goes on.
			line := strings.LastIndex(strings.TrimSuffix(string(b), "\n"), "\n") + 1
			words := strings.Split(strings.TrimSuffix(string(b[line:]), "\n"), " ")
			words[[]int{5, 7}[r.IntN(2)]] += "0"
			b = append(b[:line:line], strings.Join(words, " ")+"\n"...)
		} else {
			b[place] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var found *verify.TamperError
		if _, err := verify.Folder(t.Context(), dir, options); !errors.As(err, &found) {
			t.Errorf("%s of %s, byte %d: %v", filepath.Base(path), filepath.Base(folder), place, err)
		}
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range must(filepath.Glob(filepath.Join(archive, "*.wal"))) {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".away", filepath.Join(filepath.Dir(archive), "away")); err != nil {
			t.Fatal(err)
		}
		var found *verify.TamperError
		if _, err := verify.Folder(t.Context(), dir, with); !errors.As(err, &found) || found.File != path {
			t.Errorf("%s is missing: %v", path, err)
		}
		if err := os.Rename(filepath.Join(filepath.Dir(archive), "away"), path); err != nil {
			t.Fatal(err)
		}
	}
}
