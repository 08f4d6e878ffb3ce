package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/weir-data/weir/lineage"
)

// Proof is one record with what proves it to whoever has the public key. Its
// JSON is described in docs/ledger-format.md; hashes and frames are standard
// base64.
type Proof struct {
	Format  string `json:"format"`
	Receipt string `json:"receipt"`
	Record  Opened `json:"record"`
	// Meaning is there where the record is open.
	Meaning  []Opened `json:"meaning,omitempty"`
	Signed   *Signed  `json:"signed,omitempty"`
	Included *Way     `json:"included,omitempty"`
	// Statement is a note of the node's on what a closed record says of one
	// person, for that person.
	Statement string `json:"statement,omitempty"`

	content lineage.Content
	behind  uint64
}

// Content is whether the proof says what the record holds, or only that there
// is one.
func (p *Proof) Content() lineage.Content { return p.content }

// Behind is set where the record's batch begins behind a record that was archived,
// and its way into the tree is not to be had here: that record.
func (p *Proof) Behind() uint64 { return p.behind }

// Opened is a frame with what opens it; a clear frame, and a record that cannot
// be read, have no opening.
type Opened struct {
	Frame   string `json:"frame"`
	Opening string `json:"opening,omitempty"`
}

func opened(d lineage.Disclosure) Opened {
	return Opened{base64.StdEncoding.EncodeToString(d.Frame), base64.StdEncoding.EncodeToString(d.Opening)}
}

// Signed is a receipt: the promise of a commit group, one signature for all its
// records.
type Signed struct {
	Index int      `json:"index"`
	Path  []string `json:"path"`
	Note  string   `json:"note"`
}

// Way leads from a record's frame to a checkpoint.
type Way struct {
	Batch      string   `json:"batch"`
	Index      int      `json:"index"`
	Path       []string `json:"path"`
	Leaf       int64    `json:"leaf"`
	TreePath   []string `json:"treePath"`
	Checkpoint string   `json:"checkpoint"`
}

// Text is the proof's file: its one spelling.
func (p *Proof) Text() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	return append(b, '\n'), err
}

// proofFormat is the first member of a proof.
const proofFormat = "weir proof v2"

// Prove makes the proof of a record from the files of a ledger's folder. It may
// run beside the node and needs the public key, to know which checkpoint is the
// ledger's. Without the reading key, or where the data key was dropped, it is the
// proof of a record that stays closed. ErrUnknown where there is no such record, ErrPending where no
// checkpoint covers it yet.
func Prove(folder lineage.Folder, public string, at lineage.Position) (*Proof, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if v.Name() != at.Origin {
		return nil, fmt.Errorf("%w: %s is of another origin than %s", ErrUnknown, at, v.Name())
	}
	// A record that is not there is none that waits for a checkpoint.
	p := &Proof{Format: proofFormat, Receipt: at.String()}
	if err := p.disclose(folder, at); err != nil {
		return nil, err
	}
	files := reader{treeDir(folder.Dir)}
	checkpoint, head, err := files.checkpoint(v)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is none in %s", ErrPending, files.dir)
		}
		return nil, err
	}
	leaf, b, err := files.find(head.N, at.Sequence)
	if err != nil {
		return nil, err
	}
	index, path, err := fromBatch(folder, b, at)
	if errors.Is(err, lineage.ErrArchived) {
		err = &acrossError{b.First - 1}
	}
	if err != nil {
		return nil, err
	}
	treePath, err := tlog.ProveRecord(head.N, leaf, tlog.TileHashReader(head, files))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	p.Included = &Way{
		Batch: string(b.text()), Index: index, Path: texts(path),
		Leaf: leaf, TreePath: texts(treePath), Checkpoint: string(checkpoint),
	}
	return p, nil
}

// acrossError is an ErrArchived of a record that is here, in a batch that begins
// behind one that is not: of a batch's frames the tree has the root alone.
type acrossError struct{ behind uint64 }

func (e *acrossError) Unwrap() error { return lineage.ErrArchived }

func (e *acrossError) Error() string {
	return fmt.Sprintf("the way from the record into the tree begins behind record %d, which was archived", e.behind)
}

// find gives the batch that holds a record, of a tree of a size.
func (r reader) find(size int64, sequence uint64) (int64, Batch, error) {
	var failed error
	n := sort.Search(int(size), func(i int) bool {
		b, err := r.leaf(size, int64(i))
		failed = errors.Join(failed, err)
		return err != nil || b.Last >= sequence
	})
	if failed != nil {
		return 0, Batch{}, fmt.Errorf("%w: %w", ErrTree, failed)
	}
	if int64(n) == size {
		return 0, Batch{}, ErrPending
	}
	b, err := r.leaf(size, int64(n))
	return int64(n), b, err
}

// fromBatch walks the frames of a batch, and gives a record's place and path
// among them.
func fromBatch(folder lineage.Folder, b Batch, at lineage.Position) (index int, path []tlog.Hash, err error) {
	frames := folder.Frames(b.First - 1)
	defer frames.Close()
	var leaves []tlog.Hash
	index = -1
	for len(leaves) < b.Frames {
		f, err := frames.Next()
		if err != nil {
			return 0, nil, missing(err, at)
		}
		if f.Record && f.Sequence == at.Sequence && f.Epoch == at.Epoch {
			index = len(leaves)
		}
		leaves = append(leaves, leafOf(&f))
	}
	if index < 0 {
		return 0, nil, fmt.Errorf("%w: record %d is of another epoch than %d", ErrUnknown, at.Sequence, at.Epoch)
	}
	if rootOf(leaves) != b.Root {
		return 0, nil, fmt.Errorf("%w: the records %d to %d are not what the tree commits to", ErrTree, b.First, b.Last)
	}
	return index, pathOf(leaves, index), nil
}

func missing(err error, at lineage.Position) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s", ErrUnknown, at)
	}
	return err
}

// disclose fills in the record and what it refers to.
func (p *Proof) disclose(folder lineage.Folder, at lineage.Position) error {
	frames := lineage.NewSegmentFrames(folder, at.Sequence)
	defer frames.Close()
	for {
		f, err := frames.Next()
		if err != nil {
			return missing(err, at)
		}
		if f.Record && f.Sequence >= at.Sequence {
			if f.Sequence > at.Sequence {
				return fmt.Errorf("%w: %s", lineage.ErrArchived, at)
			}
			if f.Sequence != at.Sequence || f.Epoch != at.Epoch {
				return fmt.Errorf("%w: record %d is of another epoch than %d", ErrUnknown, at.Sequence, at.Epoch)
			}
			return p.fill(frames)
		}
	}
}

// fill takes the record that was read last.
func (p *Proof) fill(frames *lineage.Frames) error {
	record, meaning, content, err := frames.Disclose()
	if err != nil {
		return err
	}
	p.content, p.Record, p.Meaning = content, opened(record), nil
	for _, m := range meaning {
		p.Meaning = append(p.Meaning, opened(m))
	}
	return nil
}

func texts(path []tlog.Hash) []string {
	out := make([]string, len(path))
	for i, h := range path {
		out[i] = h.String()
	}
	return out
}

// receiptMagic is the first line of what a receipt signs. No origin holds a
// space, so no checkpoint reads like it.
const receiptMagic = "weir receipt v1"

// receipts keeps the newest signatures, so that a commit group is signed once
// however many of its receipts are asked for.
type receipts struct {
	mu    sync.Mutex
	notes map[uint64]string // by the group's first sequence
}

const maxReceipts = 1024

// Find gives a record of this ledger's log that no power cut takes back;
// ErrUnknown where there is none.
func (l *Ledger) Find(at lineage.Position) (lineage.Entry, error) {
	if at.Origin != l.config.Source.Origin() || at.Sequence > l.config.Source.SyncedTo() {
		return lineage.Entry{}, ErrUnknown
	}
	return lineage.Find(l.folder(), at)
}

// folder is the log's, with the reading key.
func (l *Ledger) folder() lineage.Folder {
	return lineage.Folder{Dir: l.config.Dir, Reading: l.config.Reading}
}

// ArchivedTo is the last record that was archived, 0 for none. A record that
// [lineage.ErrArchived] tells of and that is behind it is missing for another
// reason.
func (l *Ledger) ArchivedTo() (uint64, error) {
	return lineage.ArchivedTo(l.config.Dir, l.config.Source.Origin())
}

// Receipt gives a record of this ledger's log with its signed receipt and, when
// a checkpoint covers it and its batch is here whole, the way there. ErrUnknown
// where there is no such record, or none that a power cut could not take back.
func (l *Ledger) Receipt(at lineage.Position) (*Proof, error) {
	if at.Origin != l.config.Source.Origin() || at.Sequence == 0 || at.Sequence > l.config.Source.SyncedTo() {
		return nil, ErrUnknown
	}
	p, err := Prove(l.folder(), l.config.Key.public, at)
	var across *acrossError
	switch {
	case errors.Is(err, ErrPending):
		p = &Proof{Format: proofFormat, Receipt: at.String()}
	case errors.As(err, &across):
		p = &Proof{Format: proofFormat, Receipt: at.String(), behind: across.behind}
	case err != nil:
		return nil, err
	}
	if err := l.sign(p, at); err != nil {
		return nil, err
	}
	return p, nil
}

// statementMagic is the first line of a statement. No origin holds a space, so no
// checkpoint reads like it.
const statementMagic = "weir statement v1"

// Statement proves a record to somebody who may know of it and not read it, a
// person whom it is about among others: the proof stays closed, and the node
// signs what it tells him of it, bound to the frame that the proof is of. Whoever
// holds the reading key can open that frame and hold the node to its word. The
// lines hold no newline.
func (l *Ledger) Statement(at lineage.Position, lines []string) (*Proof, error) {
	p, err := l.Receipt(at)
	if err != nil {
		return nil, err
	}
	p.Record.Opening, p.Meaning = "", nil
	frame, err := base64.StdEncoding.DecodeString(p.Record.Frame)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	text := fmt.Sprintf("%s\n%s\n%s\n", statementMagic, at, tlog.Hash(sha256.Sum256(frame)))
	for _, line := range lines {
		text += line + "\n"
	}
	n, err := note.Sign(&note.Note{Text: text}, l.config.Key.signer)
	if err != nil {
		return nil, fmt.Errorf("sign a statement: %w", err)
	}
	p.Statement = string(n)
	return p, nil
}

// sign adds the signature of the record's commit group, and the record where
// the way into the tree has not brought it.
func (l *Ledger) sign(p *Proof, at lineage.Position) error {
	first, leaves, err := l.group(p, at)
	if err != nil {
		return err
	}
	index := int(at.Sequence - first)
	p.Signed = &Signed{Index: index, Path: texts(pathOf(leaves, index))}
	p.Signed.Note, err = l.promise(at, first, leaves)
	return err
}

// group finds the commit group of a record: its first sequence and the leaf
// hashes of its records. Only groups that are on disk whole are looked at, so
// one always reads alike.
func (l *Ledger) group(p *Proof, at lineage.Position) (first uint64, leaves []tlog.Hash, err error) {
	frames := lineage.NewSegmentFrames(l.folder(), at.Sequence)
	defer frames.Close()
	to := l.config.Source.SyncedTo()
	found := false
	for next := uint64(0); next <= to; {
		f, err := frames.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, nil, err
		}
		if f.StartsGroup {
			if found {
				break
			}
			first, leaves = f.Sequence, leaves[:0]
		}
		if !f.Record {
			continue
		}
		if f.Sequence == at.Sequence {
			if f.Epoch != at.Epoch {
				return 0, nil, fmt.Errorf("%w: record %d is of another epoch than %d", ErrUnknown, at.Sequence, at.Epoch)
			}
			found = true
			if err := p.fill(frames); err != nil {
				return 0, nil, err
			}
		}
		leaves = append(leaves, leafOf(&f))
		next = f.Sequence + 1
	}
	if !found {
		return 0, nil, ErrUnknown
	}
	return first, leaves, nil
}

// promise signs a group, or gives the signature made before.
func (l *Ledger) promise(at lineage.Position, first uint64, leaves []tlog.Hash) (string, error) {
	l.receipts.mu.Lock()
	defer l.receipts.mu.Unlock()
	if n, ok := l.receipts.notes[first]; ok {
		return n, nil
	}
	text := fmt.Sprintf("%s\n%s\n%d\n%d %d\n%s\n", receiptMagic, at.Origin, at.Epoch,
		first, first+uint64(len(leaves))-1, rootOf(leaves))
	n, err := note.Sign(&note.Note{Text: text}, l.config.Key.signer)
	if err != nil {
		return "", fmt.Errorf("sign a receipt: %w", err)
	}
	if len(l.receipts.notes) >= maxReceipts {
		clear(l.receipts.notes)
	}
	l.receipts.notes[first] = string(n)
	return string(n), nil
}
