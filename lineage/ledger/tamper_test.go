package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// evidence is a ledger that was closed in order, with all that is needed to
// change it and put it back.
type evidence struct {
	t       *testing.T
	dir     string
	key     string
	files   map[string][]byte   // by path within dir
	paths   []string            // of files that an edit may change
	places  map[string][]place  // of segments
	before  []map[string][]byte // earlier states of the whole folder
	anchors []verify.Anchor
	proofs  [][]byte
}

// place is where a frame stands.
type place struct {
	from, to int
	sequence uint64
	record   bool
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("WEIR_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WEIR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func gather(t *testing.T) *evidence {
	t.Helper()
	e := &evidence{t: t, dir: filepath.Join(inMemory(t), "ledger"), places: map[string][]place{}}
	var last lineage.Position
	for epoch := range 3 {
		n := open(t, e.dir, func(_ *lineage.Config, c *Config) { c.Every, c.Heartbeat = time.Millisecond, time.Millisecond })
		for range 4 {
			last = n.append(60)
		}
		n.proven(last)
		for n.led.Stats().Batches < int64(87*(epoch+1)) { // just over one full tile in the end
			time.Sleep(5 * time.Millisecond)
		}
		if epoch == 2 {
			for _, sequence := range []uint64{1, 200, 500, last.Sequence} {
				p, err := n.led.Receipt(lineage.Position{Origin: origin, Epoch: uint32((sequence-1)/240 + 1), Sequence: sequence})
				if err != nil {
					t.Fatal(err)
				}
				text, err := p.Text()
				if err != nil {
					t.Fatal(err)
				}
				e.proofs = append(e.proofs, text)
			}
		}
		e.key = n.key.Public()
		n.close()
		e.tidy()
		e.before = append(e.before, e.read())
	}
	e.files = e.before[2]
	e.before = e.before[:2]
	e.anchors = []verify.Anchor{
		verify.ParseAnchor("checkpoint", e.files["tree/checkpoint"]),
		verify.ParseAnchor("receipt", []byte(last.String())),
		verify.ParseAnchor("proof", e.proofs[2]),
	}
	for path, b := range e.files {
		if strings.HasSuffix(path, ".wal") {
			e.places[path] = places(b)
		}
		if len(b) > 0 {
			e.paths = append(e.paths, path)
		}
	}
	slices.Sort(e.paths)
	if err := e.verify(); err != nil {
		t.Fatalf("before any edit: %v", err)
	}
	r, err := verify.Folder(t.Context(), e.dir, verify.Options{Key: e.key, Anchors: e.anchors, ReadingKey: readingText(t, e.dir)})
	if err != nil || r.Read != r.Records {
		t.Fatalf("with the reading key: %+v, %v", r, err)
	}
	return e
}

// inMemory is a folder in memory where the system has one: thousands of edits
// are made, and none is about the disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "weir-ledger-*") //nolint:usetesting // TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tidy removes what the storage removes every minute, partial tiles beside full
// ones, and what its last write may have left.
func (e *evidence) tidy() {
	err := filepath.WalkDir(filepath.Join(e.dir, "tree"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		full, partial := strings.CutSuffix(path, ".p")
		if _, err := os.Stat(full); partial && d.IsDir() && err == nil {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		if leftover, _ := regexp.MatchString(`(checkpoint|treeState|/[0-9]{1,3})[0-9]{4,}$`, path); leftover {
			return os.Remove(path)
		}
		return nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// read gives all files of the folder.
func (e *evidence) read() map[string][]byte {
	files := map[string][]byte{}
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(e.dir, path)
		if err != nil {
			return err
		}
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return files
}

// write puts a file, nil for none.
func (e *evidence) write(path string, b []byte) {
	full := filepath.Join(e.dir, path)
	var err error
	if b == nil {
		err = os.Remove(full)
	} else if err = os.MkdirAll(filepath.Dir(full), 0o700); err == nil {
		err = os.WriteFile(full, b, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.t.Fatal(err)
	}
}

func (e *evidence) verify() error {
	_, err := verify.Folder(e.t.Context(), e.dir, verify.Options{Key: e.key, Anchors: e.anchors})
	return err
}

func places(b []byte) (out []place) {
	for at := 8; at < len(b); {
		f := b[at:]
		to := at + 34 + int(binary.LittleEndian.Uint32(f[4:])&0xffffff)
		out = append(out, place{at, to, binary.LittleEndian.Uint64(f[11:]) & (1<<48 - 1), f[33]&0x7f == 5})
		at = to
	}
	return out
}

// committed is how much of a segment the tree commits to: up to its last record,
// or all of it when later ones follow.
func (e *evidence) committed(path string) int {
	b := e.files[path]
	if !e.newest(path) {
		return len(b)
	}
	last := 0
	for _, p := range e.places[path] {
		if p.record {
			last = p.to
		}
	}
	return last
}

// newest reports whether no segment follows.
func (e *evidence) newest(path string) bool {
	for p := range e.places {
		if p > path {
			return false
		}
	}
	return true
}

// sequenceAt is the record that is lost with a byte of a segment.
func (e *evidence) sequenceAt(path string, offset int) uint64 {
	for _, p := range e.places[path] {
		if offset < p.to {
			return p.sequence
		}
	}
	last := e.places[path][len(e.places[path])-1] // behind it the next is due
	if last.record {
		return last.sequence + 1
	}
	return last.sequence
}

// edit changes bytes; it may give back what it got.
func edit(kind string, b []byte, rnd *rand.Rand) []byte {
	n := len(b)
	out := slices.Clone(b)
	from := rnd.IntN(n)
	to := min(n, from+1+rnd.IntN(200))
	switch kind {
	case "flip":
		out[from] ^= 1 << rnd.IntN(8)
	case "cut":
		out = out[:from]
	case "drop":
		out = slices.Delete(out, from, to)
	case "duplicate":
		out = slices.Insert(out, to, b[from:to]...)
	case "swap":
		size := min(to-from, n-to)
		if size == 0 {
			return out
		}
		other := to + rnd.IntN(n-to-size+1)
		copy(out[from:], b[other:other+size])
		copy(out[other:], b[from:from+size])
	}
	return out
}

// swapFrames exchanges, drops or duplicates whole frames.
func editFrames(kind string, b []byte, at []place, rnd *rand.Rand) []byte {
	i := rnd.IntN(len(at))
	j := rnd.IntN(len(at))
	frame := func(p place) []byte { return b[p.from:p.to] }
	out := slices.Clone(b[:8])
	for k, p := range at {
		switch {
		case kind == "swap" && k == i:
			out = append(out, frame(at[j])...)
		case kind == "swap" && k == j:
			out = append(out, frame(at[i])...)
		case kind == "drop" && k == i:
		case kind == "duplicate" && k == i:
			out = append(append(out, frame(p)...), frame(p)...)
		default:
			out = append(out, frame(p)...)
		}
	}
	return out
}

// reseal makes sums, links and checksums of a log right again, as an attacker
// without the key would.
func reseal(files map[string][]byte) {
	var segments []string
	for p := range files {
		if strings.HasSuffix(p, ".wal") {
			segments = append(segments, p)
		}
	}
	slices.Sort(segments)
	var last [32]byte
	for _, s := range segments {
		b := files[s]
		for _, p := range places(b) {
			f := b[p.from:p.to]
			copy(f[17:33], last[:16])
			binary.LittleEndian.PutUint32(f, crc32.Checksum(f[4:], crc32.MakeTable(crc32.Castagnoli)))
			last = sha256.Sum256(f)
		}
	}
}

// TestTampering edits a ledger and its proofs at random: the verifier finds
// every edit, and names the first bad record.
func TestTampering(t *testing.T) {
	if os.Getenv("WEIR_SMALL") != "" {
		t.Skip("SKIPPED: WEIR_SMALL leaves out what nothing runs beside")
	}
	rounds := 500
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 10_000
	}
	rnd := seeded(t)
	e := gather(t)
	kinds := [...]string{"flip", "cut", "swap", "drop", "duplicate", "swap frames", "drop frames", "duplicate frames", "remove", "roll back", "roll back part", "reseal", "proof"}
	done := map[string]int{}
	for round := 0; round < rounds; {
		kind := kinds[rnd.IntN(len(kinds))]
		ok, found := e.tamper(kind, rnd)
		if !ok {
			continue // nothing was changed
		}
		if found != nil {
			t.Fatalf("round %d, %s: %v", round, kind, found)
		}
		done[kind]++
		round++
	}
	if err := e.verify(); err != nil {
		t.Fatalf("after all edits were undone: %v", err)
	}
	t.Logf("%d edits, all found: %v", rounds, done)
}

// tamper makes one edit, verifies, undoes it, and gives what is wrong with the
// verifier's answer; false when the edit changed nothing.
func (e *evidence) tamper(kind string, rnd *rand.Rand) (ok bool, wrong error) {
	switch kind {
	case "proof":
		return e.tamperProof(rnd)
	case "roll back", "roll back part":
		return e.rollBack(kind == "roll back part", rnd)
	case "reseal":
		return e.resealed(rnd)
	}
	path := e.paths[rnd.IntN(len(e.paths))]
	original := e.files[path]
	scope := original
	segment := e.places[path] != nil
	if segment {
		scope = original[:e.committed(path)]
	}
	var changed []byte
	base, frames := strings.CutSuffix(kind, " frames")
	switch {
	case frames && !segment, path == "lock", len(scope) == 0:
		return false, nil
	case frames:
		at := slices.DeleteFunc(slices.Clone(e.places[path]), func(p place) bool { return p.to > len(scope) })
		changed = append(editFrames(base, original, at, rnd), original[len(scope):]...)
	case kind == "remove":
		if strings.HasPrefix(path, "tree/.state") || strings.Contains(path, ".p/") && !e.needed(path) {
			return false, nil // the proof does not rest on it
		}
	default:
		changed = append(edit(kind, scope, rnd), original[len(scope):]...)
	}
	if changed != nil && bytes.Equal(changed, original) {
		return false, nil
	}
	if segment && e.newest(path) && bytes.HasPrefix(changed, scope) {
		return false, nil // what the tree commits to is whole: a write cut short may leave anything behind it
	}
	e.write(path, changed)
	err := e.verify()
	e.write(path, original)
	var found *verify.TamperError
	switch {
	case err == nil:
		return true, fmt.Errorf("%s: not found", path)
	case !errors.As(err, &found) || found.File == "" && found.Record == "":
		return true, fmt.Errorf("%s: names no place: %w", path, err)
	case segment && changed != nil:
		first := 0
		for first < len(changed) && first < len(original) && changed[first] == original[first] {
			first++
		}
		if want := fmt.Sprintf("/%d", e.sequenceAt(path, first)); !strings.HasSuffix(found.Record, want) {
			return true, fmt.Errorf("%s: byte %d: names %s, want %s: %w", path, first, found.Record, want, err)
		}
	case segment:
		if want := fmt.Sprintf("/%d", e.places[path][0].sequence); found.Record != "" && !strings.HasSuffix(found.Record, want) {
			return true, fmt.Errorf("%s removed: names %s, want %s: %w", path, found.Record, want, err)
		}
	}
	return true, nil
}

// needed reports whether a partial tile is the newest of its kind.
func (e *evidence) needed(path string) bool {
	dir, width := filepath.Split(path)
	n, err := strconv.Atoi(width)
	if err != nil {
		e.t.Fatal(path)
	}
	if e.files[strings.TrimSuffix(dir, ".p/")] != nil {
		return false
	}
	for other := range e.files {
		if rest, ok := strings.CutPrefix(other, dir); ok {
			if m, _ := strconv.Atoi(rest); m > n {
				return false
			}
		}
	}
	return true
}

// rollBack puts an earlier state in place, of everything or of a part.
func (e *evidence) rollBack(part bool, rnd *rand.Rand) (bool, error) {
	old := e.before[rnd.IntN(len(e.before))]
	what := rnd.IntN(3)
	touched := func(path string) bool {
		switch {
		case path == "lock":
			return false
		case !part:
			return true
		case what == 0:
			return path == "tree/checkpoint"
		case what == 1:
			return strings.HasSuffix(path, ".wal")
		}
		return strings.HasPrefix(path, "tree/")
	}
	for path := range e.files {
		if touched(path) && old[path] == nil {
			e.write(path, nil)
		}
	}
	for path, b := range old {
		if touched(path) {
			e.write(path, b)
		}
	}
	err := e.verify()
	for path := range old {
		if touched(path) && e.files[path] == nil {
			e.write(path, nil)
		}
	}
	for path, b := range e.files {
		if touched(path) {
			e.write(path, b)
		}
	}
	var found *verify.TamperError
	if !errors.As(err, &found) {
		return true, fmt.Errorf("part %v %d: %w", part, what, err)
	}
	return true, nil
}

// resealed edits records and makes everything fit that needs no key.
func (e *evidence) resealed(rnd *rand.Rand) (bool, error) {
	files := map[string][]byte{}
	for p, b := range e.files {
		if e.places[p] != nil {
			files[p] = slices.Clone(b)
		}
	}
	var segments []string
	for p := range files {
		segments = append(segments, p)
	}
	slices.Sort(segments)
	path := segments[rnd.IntN(len(segments))]
	at := slices.DeleteFunc(slices.Clone(e.places[path]), func(p place) bool { return !p.record })
	if len(at) == 0 {
		return false, nil
	}
	p := at[rnd.IntN(len(at))]
	files[path][p.to-1-rnd.IntN(32)] ^= 1 << rnd.IntN(8) // salt or answer
	reseal(files)
	for p, b := range files {
		e.write(p, b)
	}
	err := e.verify()
	for p := range files {
		e.write(p, e.files[p])
	}
	var found *verify.TamperError
	if !errors.As(err, &found) || found.Record == "" {
		return true, fmt.Errorf("record %d: %w", p.sequence, err)
	}
	named, perr := lineage.ParsePosition(found.Record)
	if perr != nil || named.Sequence > p.sequence {
		return true, fmt.Errorf("record %d: names %s: %w", p.sequence, found.Record, err)
	}
	return true, nil
}

func (e *evidence) tamperProof(rnd *rand.Rand) (bool, error) {
	proof := e.proofs[rnd.IntN(len(e.proofs))]
	changed := edit([]string{"flip", "cut", "drop", "duplicate", "swap"}[rnd.IntN(5)], proof, rnd)
	if bytes.Equal(changed, proof) {
		return false, nil
	}
	_, err := verify.CheckProof(changed, e.key, nil)
	var found *verify.TamperError
	if !errors.As(err, &found) {
		return true, fmt.Errorf("a changed proof: %w", err)
	}
	if _, err := verify.CheckProof(proof, e.key, nil); err != nil {
		return true, fmt.Errorf("the proof itself: %w", err)
	}
	return true, nil
}
