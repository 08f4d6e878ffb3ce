// Package verify checks a ledger from its files and a public key alone.
//
// It promises: what it passes is, up to the newest checkpoint, what the holder
// of the key committed to, complete, in order and without a gap; and with an
// anchor from outside, that it is not an older or another one. It trusts no
// running server and shares no code with what wrote the files: it is written
// from docs/ledger-format.md. It does not say whether the records are true when
// they were written, and cannot find what was cut off behind both the newest
// checkpoint and every anchor.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// TamperError is the first place at which a ledger or a proof is not what was
// signed.
type TamperError struct {
	// Record is the first record that can no longer be vouched for, "" where
	// the finding is about no record.
	Record string
	// File and Offset are where; File may be "", and Offset is 0 where the finding
	// is about a file or folder as a whole.
	File   string
	Offset int64
	Reason string
	// Unwitnessed: what was missed is the cosignature of a witness, and nothing
	// else was looked at yet. It may come with the next checkpoint.
	Unwitnessed bool
}

// Error names record, file, place and what is wrong there.
func (f *TamperError) Error() string {
	s := f.Reason
	switch {
	case f.File != "" && f.Offset > 0:
		s = fmt.Sprintf("%s at byte %d: %s", f.File, f.Offset, s)
	case f.File != "":
		s = f.File + ": " + s
	}
	if f.Record != "" {
		s = "first bad record " + f.Record + ": " + s
	}
	return s
}

// ErrInput is the kind of errors in what was asked: a key or an anchor that
// cannot be read.
var ErrInput = errors.New("cannot verify")

var errPublicKey = fmt.Errorf("%w: --key is not a public key of a ledger (origin+hash+base64), as weir lineage key prints it", ErrInput)

// Options say what a folder is held against.
type Options struct {
	// Key is the public key of the origin (a note verifier key).
	Key string
	// Witnesses are public keys of witnesses. Where there are any, the newest
	// checkpoint or an anchor must bear the cosignature of one.
	Witnesses []string
	// ReadingKey is the text of the reading key's file. With it the contents are
	// checked too: that every record that can be read reads, and is what its
	// frame commits to.
	ReadingKey string
	// Anchors are what was kept outside: see [ParseAnchor].
	Anchors []Anchor
	// Tree is the folder of the tree, where it is not the log's own: a replica
	// keeps the log alone.
	Tree string
	// Archive is a folder with the segments that were archived out of the ledger's
	// own; "" where they are not looked at.
	Archive string
	// Auditors and Security are those who may have signed acts of retention, with
	// all keys that they ever had. Where there are any, an act that does not bear
	// the signature of one of each is a finding.
	Auditors, Security []Officer
	// LogOnly holds no tree against the log: frames are whole, linked and without
	// a gap, and are those that receipts among the anchors name. Who signed them
	// is not looked at.
	LogOnly bool
}

// Report is what a sound ledger was found to hold.
type Report struct {
	Origin     string
	Records    uint64    // under the checkpoint, and held against it
	Covered    uint64    // the last record under the checkpoint
	Absent     uint64    // records that were archived, and not looked at
	Batches    int64     // under the checkpoint
	Root       string    // of the tree
	Last       string    // last record under the checkpoint, "" for none
	Closed     time.Time // when the last batch was closed
	Read       uint64    // records whose contents were read
	Dropped    int       // data keys that acts have dropped
	Acts       []Act     // recorded, and whose texts are here, in their order
	Behind     uint64    // records behind the checkpoint: linked, not signed yet
	Anchors    int       // that were held against it
	Witnessed  []string  // names of witnesses whose cosignature it bears
	Notes      []string
	Heartbeats int64
}

// Folder verifies a ledger's folder: segments, and the tree in its folder
// "tree". The error is a *TamperError where the ledger is not what was signed, an
// ErrInput where the question cannot be asked, and otherwise what kept the files
// from being read.
func Folder(ctx context.Context, dir string, o Options) (*Report, error) {
	key, err := note.NewVerifier(o.Key)
	if err != nil {
		return nil, errPublicKey
	}
	w, err := parseWitnesses(o.Witnesses, key)
	if err != nil {
		return nil, err
	}
	who, err := parseSignatories(o.Auditors, o.Security)
	if err != nil {
		return nil, err
	}
	tree := o.Tree
	if tree == "" {
		tree = filepath.Join(dir, "tree")
	}
	// A folder that is not there, or holds no ledger, was not tampered with: its
	// name is wrong.
	if err := isLedger(dir); err != nil {
		return nil, err
	}
	v := &verification{key: key, witnesses: w, tiles: tiles{tree}, report: &Report{Origin: key.Name()}}
	if v.anchors, err = v.sortAnchors(o.Anchors); err != nil {
		return nil, err
	}
	if o.LogOnly {
		if len(w) > 0 {
			return nil, fmt.Errorf("%w: without the tree there is nothing that a witness signed", ErrInput)
		}
		if o.Tree != "" {
			return nil, fmt.Errorf("%w: a tree is named, and only the log is looked at: --tree or --log-only", ErrInput)
		}
		for _, a := range v.anchors {
			if a.head != nil {
				return nil, fmt.Errorf("%w: %s is held against the tree, and only the log is looked at", ErrInput, a.name)
			}
		}
	} else if err := v.checkpoint(); err != nil {
		return nil, err
	}
	if v.log, v.report.Notes, err = openLog(dir, o.Archive, key.Name()); err != nil {
		return nil, err
	}
	var reading readingKey
	if o.ReadingKey != "" {
		if reading, err = parseReadingKey(o.ReadingKey); err != nil {
			return nil, err
		}
	}
	if v.log.keyFiles, err = openKeyFolder(dir, key.Name(), reading, who); err != nil {
		return nil, err
	}
	defer v.log.close()
	v.log.origin = key.Name()
	if o.LogOnly {
		err = v.rest()
	} else {
		err = v.walk(ctx)
	}
	if err != nil {
		return nil, err
	}
	return v.report, nil
}

// verification is one run over a folder.
type verification struct {
	key       note.Verifier
	witnesses []note.Verifier
	anchors   []anchor
	tiles     tiles
	log       *log
	head      treeHead
	tower     tower
	report    *Report
	last      batch
	leaves    []hash
	bundleRaw []byte // of the bundle that is read
}

// checkpoint reads the signed head that everything is held against.
func (v *verification) checkpoint() error {
	path := filepath.Join(v.tiles.dir, "checkpoint")
	text, err := os.ReadFile(path) //nolint:gosec // the operator's folder
	if errors.Is(err, fs.ErrNotExist) {
		return &TamperError{File: path, Reason: "there is no checkpoint; of a second machine's copy, which has no tree, give the node's with --tree, or look at the log alone with --log-only"}
	}
	if err != nil {
		return err
	}
	var names []string
	if v.head, names, err = openCheckpoint(text, v.key, v.witnesses); err != nil {
		return &TamperError{File: path, Reason: err.Error()}
	}
	v.report.Witnessed = names
	for _, a := range v.anchors {
		v.report.Witnessed = append(v.report.Witnessed, a.witnessed...)
	}
	if len(v.witnesses) > 0 && len(v.report.Witnessed) == 0 {
		return &TamperError{File: path, Reason: "neither the checkpoint nor an anchor bears the cosignature of a witness that was named", Unwitnessed: true}
	}
	for _, a := range v.anchors {
		if a.head != nil && a.head.size > v.head.size {
			return &TamperError{
				File:   path,
				Reason: fmt.Sprintf("the ledger was rolled back or cut: the checkpoint covers %d batches, and %s was signed over %d", v.head.size, a.name, a.head.size),
			}
		}
	}
	return nil
}

// walk holds leaves against frames and tiles, from the first to the last.
func (v *verification) walk(ctx context.Context) error {
	v.tower.full = func(level int, index int64, hashes []hash) error {
		return v.blame(v.tiles.holds(level, index, hashes, true))
	}
	if err := v.reached(); err != nil {
		return err
	}
	for n := int64(0); n*width < v.head.size; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.bundle(n, int(min(width, v.head.size-n*width))); err != nil {
			return err
		}
	}
	if root := v.tower.root(); root != v.head.root {
		return &TamperError{
			File:   filepath.Join(v.tiles.dir, "checkpoint"),
			Reason: "the checkpoint has another root than the leaves: the ledger or its checkpoint is from another copy (fork)",
		}
	}
	for level, hashes := range v.tower.levels {
		if len(hashes) > 0 {
			if err := v.tiles.holds(level, v.tower.size>>(8*(level+1)), hashes, true); err != nil {
				return err
			}
		}
	}
	if err := v.tiles.state(v.head.size, v.head.root); err != nil {
		return err
	}
	if err := v.tiles.strays(); err != nil {
		return err
	}
	return v.rest()
}

// bundle reads up to 256 leaves and the frames that they commit to.
func (v *verification) bundle(n int64, filled int) error {
	path, raw, err := v.tiles.read("entries", n, filled)
	if errors.Is(err, fs.ErrNotExist) {
		return v.blame(&TamperError{File: path, Reason: "the bundle of leaves is missing"})
	}
	if err != nil {
		return err
	}
	leaves, err := bundle(raw)
	if err != nil {
		return v.blame(&TamperError{File: path, Reason: err.Error()})
	}
	if len(leaves) < filled || filled == width && len(leaves) > width {
		return v.blame(&TamperError{File: path, Reason: fmt.Sprintf("the bundle has %d leaves, expected %d", len(leaves), filled)})
	}
	ends := make([]int, 1, filled+1)
	for _, leaf := range leaves[:filled] {
		if err := v.leaf(path, int64(ends[len(ends)-1]), leaf); err != nil {
			return err
		}
		ends = append(ends, ends[len(ends)-1]+2+len(leaf))
	}
	return v.blame(v.tiles.partials(v.tiles.path("entries", n), raw[:ends[filled]], func(k int) int {
		if k <= filled {
			return ends[k]
		}
		return len(raw) + 1
	}))
}

// blame names the record that was due where a finding names none.
func (v *verification) blame(err error) error {
	var f *TamperError
	if errors.As(err, &f) && f.Record == "" {
		f.Record = v.log.due()
	}
	return err
}

// leaf holds one batch against the frames of the log.
func (v *verification) leaf(path string, offset int64, text []byte) error {
	bad := func(record, reason string) error {
		if record == "" {
			record = v.log.due()
		}
		return &TamperError{Record: record, File: path, Offset: offset, Reason: fmt.Sprintf("batch %d: %s", v.tower.size, reason)}
	}
	b, err := parseBatch(text)
	switch {
	case err != nil:
		return bad("", err.Error())
	case b.origin != v.key.Name():
		return bad("", fmt.Sprintf("it is of origin %q", b.origin))
	case b.first != v.due():
		return bad("", fmt.Sprintf("it begins with record %d", b.first))
	case b.epoch < v.last.epoch:
		return bad("", "its epoch goes back")
	}
	if v.log.absent > 0 && b.last <= v.log.absent {
		return v.take(b, text, 0)
	}
	first, begins := v.log.due(), v.log.sequence
	var fork error // what is wrong in the batch itself comes before it
	v.leaves = v.leaves[:0]
	for v.log.sequence <= b.last {
		it, err := v.log.next()
		if errors.Is(err, io.EOF) {
			return &TamperError{
				Record: v.log.due(), File: v.log.end(),
				Reason: fmt.Sprintf("the log was cut: it ends before this record, and the tree commits to all up to %d", b.last),
			}
		}
		if err != nil {
			return err
		}
		v.leaves = append(v.leaves, it.leaf)
		if it.record() {
			if it.epoch() != b.epoch {
				return bad(position{b.origin, it.epoch(), it.sequence()}.String(), fmt.Sprintf("the record is of another epoch than the batch, %d", b.epoch))
			}
			if err := v.anchored(it); fork == nil {
				fork = err
			}
		}
	}
	// Of the batch across the end of the archived, some frames may not be here: the
	// links from here to later batches hold those that are.
	across := v.log.absent > 0 && begins == v.log.absent+1 && len(v.leaves) < b.frames
	if !across && (rootOf(v.leaves) != b.root || len(v.leaves) != b.frames) {
		reason := fmt.Sprintf("the records %d to %d are not what the tree commits to", b.first, b.last)
		if b.heartbeat() {
			first, reason = "", "a batch without records has a root of its own"
		}
		return bad(first, reason)
	}
	if fork != nil {
		return fork
	}
	return v.take(b, text, b.last+1-begins)
}

// due is the record that the next batch begins with.
func (v *verification) due() uint64 { return v.report.Covered + 1 }

// take adds a leaf to the tree, with so many records that were held against it.
func (v *verification) take(b batch, text []byte, records uint64) error {
	v.last = b
	if err := v.tower.add(tlog.RecordHash(text)); err != nil {
		return err
	}
	if b.heartbeat() {
		v.report.Heartbeats++
	} else {
		v.report.Records += records
		v.report.Covered = b.last
		v.report.Last = position{b.origin, b.epoch, b.last}.String()
	}
	v.report.Batches, v.report.Closed = v.tower.size, time.UnixMicro(b.time).UTC()
	return v.reached()
}

// rest reads what no checkpoint covers yet: it must be sound and linked.
func (v *verification) rest() error {
	v.report.Root = v.head.root.String()
	for {
		it, err := v.log.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var f *TamperError
			if errors.As(err, &f) {
				f.Reason += v.log.behindCheckpoint()
			}
			return err
		}
		if it.record() {
			v.report.Behind++
			if err := v.anchored(it); err != nil {
				return err
			}
		}
	}
	if v.log.truncated != "" {
		v.report.Notes = append(v.report.Notes, v.log.truncated+" ends within a frame behind the newest checkpoint, as a copy of a running node does")
	}
	v.report.Read, v.report.Dropped, v.report.Acts = v.log.opened, len(v.log.keyFiles.gone), v.log.keyFiles.looked
	if err := v.log.keyFiles.unrecorded(); err != nil {
		return err
	}
	if v.log.absent > 0 {
		v.report.Absent = v.log.absent
		v.report.Notes = append(v.report.Notes, v.log.notHere())
	}
	if n := len(v.log.keyFiles.missing); n > 0 {
		if v.log.keyFiles.reading != nil {
			return fmt.Errorf("%w: the folder keys, which the reading key opens, is not in this copy: one made with --keys has it", ErrInput)
		}
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("the folder keys is not in this copy; its %d files were not looked at", n))
	}
	if n := len(v.log.keyFiles.acts); n > 0 && !v.log.keyFiles.there {
		if v.log.keyFiles.who != nil {
			return fmt.Errorf("%w: the folder keys with the texts of the acts of retention is not in this copy: one made with --keys has it", ErrInput)
		}
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("acts of retention that the ledger records, and whose texts are not in this copy: %d; who signed them was not looked at", n))
	}
	return v.unmet()
}

// behindCheckpoint says what a finding behind the newest checkpoint may come from.
func (l *log) behindCheckpoint() string {
	if l.at < len(l.ordinals)-1 {
		return " (behind the newest checkpoint)"
	}
	return " (behind the newest checkpoint, in the newest file: what a crash left there the next start of the node cuts off and keeps beside, and refuses anything else)"
}

// isLedger refuses a folder with neither segments nor a tree.
func isLedger(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, segment := segmentOrdinal(e.Name()); segment || e.Name() == "tree" {
			return nil
		}
	}
	return fmt.Errorf("there is no ledger in %s", dir)
}

// end is the file in which the log ends.
func (l *log) end() string {
	if len(l.ordinals) == 0 {
		return l.dir
	}
	return filepath.Join(l.dir, segmentName(l.ordinals[len(l.ordinals)-1]))
}
