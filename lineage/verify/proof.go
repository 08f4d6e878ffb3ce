package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof is one record with what proves it, as `weir lineage prove` writes it.
// Hashes and frames are standard base64.
type Proof struct {
	Format  string `json:"format"` // "weir proof v2"
	Receipt string `json:"receipt"`
	Record  Opened `json:"record"`
	// Meaning are the frames that the record refers to; absent where it has no
	// opening.
	Meaning []Opened `json:"meaning,omitempty"`
	// Signed is the promise of its commit group; absent where only the ledger
	// was at hand.
	Signed *Signed `json:"signed,omitempty"`
	// Included is the way into the tree; absent until a checkpoint covers it.
	Included *Included `json:"included,omitempty"`
	// Statement is a note of the node's on what a closed record says of the
	// person to whom the proof was given.
	Statement string `json:"statement,omitempty"`
}

// Opened is a frame, and what opens it: blinding value and plaintext.
type Opened struct {
	Frame   string `json:"frame"`
	Opening string `json:"opening,omitempty"`
}

// Signed is a signature over the Merkle root of a commit group's records.
type Signed struct {
	Index int64    `json:"index"`
	Path  []string `json:"path"`
	Note  string   `json:"note"`
}

// Included is the way from a record to a checkpoint.
type Included struct {
	Batch      string   `json:"batch"` // the leaf
	Index      int64    `json:"index"` // of the frame in the batch
	Path       []string `json:"path"`
	Leaf       int64    `json:"leaf"` // of the batch in the tree
	TreePath   []string `json:"treePath"`
	Checkpoint string   `json:"checkpoint"`
}

// Proven is what a proof holds.
type Proven struct {
	Record Record
	// Closed: the proof is that there is a record, and does not say what it
	// holds; of Record the position alone is set.
	Closed bool
	// Statement are the lines that the node stated of a closed record.
	Statement []string
	Signed    bool // the node promised it
	Included  bool // the ledger commits to it
	Batches   int64
	Witnessed []string

	at    position
	frame digest
	head  *treeHead
}

// CheckProof checks a proof offline. The error is a *TamperError where it does not
// hold, ErrInput where it or a key cannot be read.
func CheckProof(text []byte, key string, witnesses []string) (*Proven, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return nil, errPublicKey
	}
	w, err := parseWitnesses(witnesses, v)
	if err != nil {
		return nil, err
	}
	var p Proof
	if err := json.Unmarshal(text, &p); err != nil || p.Format == "" {
		return nil, &TamperError{Reason: "this is not a proof, or not the whole of one"}
	}
	// What is written once reads one way: nothing may hide in other spellings.
	if canonical, err := json.MarshalIndent(&p, "", "  "); err != nil || !bytes.Equal(append(canonical, '\n'), text) {
		return nil, &TamperError{Record: p.Receipt, Reason: "the proof is spelt in another way than it was written: it is to be kept byte for byte, its line ends as well"}
	}
	out, err := p.check(v, w)
	if err != nil {
		return nil, &TamperError{Record: p.Receipt, Reason: err.Error()}
	}
	if len(w) > 0 && len(out.Witnessed) == 0 {
		return nil, &TamperError{Record: p.Receipt, Reason: "the proof's checkpoint bears no cosignature of a witness that was named"}
	}
	return out, nil
}

// check follows the proof from the record up to the signatures.
func (p *Proof) check(key note.Verifier, witnesses []note.Verifier) (*Proven, error) {
	if p.Format != "weir proof v2" {
		return nil, fmt.Errorf("the format %q is not known", p.Format)
	}
	out := &Proven{}
	if err := p.read(out, key.Name()); err != nil {
		return nil, err
	}
	if out.at.origin != key.Name() {
		return nil, fmt.Errorf("the record is of origin %q, the key of %q", out.at.origin, key.Name())
	}
	if p.Signed == nil && p.Included == nil {
		return nil, errors.New("the file holds a record and nothing that proves it")
	}
	if p.Statement != "" {
		if err := p.stated(out, key); err != nil {
			return nil, err
		}
	}
	if p.Signed != nil {
		if err := p.Signed.check(out, key); err != nil {
			return nil, err
		}
	}
	if p.Included != nil {
		return out, p.Included.check(out, key, witnesses)
	}
	return out, nil
}

// stated checks the node's statement on the record.
func (p *Proof) stated(out *Proven, key note.Verifier) error {
	n, err := note.Open([]byte(p.Statement), note.VerifierList(key))
	if err != nil {
		return fmt.Errorf("the statement is not signed with the key of %s", key.Name())
	}
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return errors.New("the signature of the statement is spelt in another way")
		}
	}
	lines := strings.Split(strings.TrimSuffix(n.Text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != "weir statement v1" || lines[1] != p.Receipt || lines[2] != hash(out.frame).String() || !out.Closed {
		return errors.New("the statement is of another record")
	}
	out.Statement = lines[3:]
	return nil
}

// read takes the frames apart.
func (p *Proof) read(out *Proven, origin string) error {
	record, opening, err := p.Record.frame(typeRecord)
	if err != nil {
		return err
	}
	out.frame = record.hash()
	out.at = position{origin, record.epoch(), record.sequence()}
	out.Record.Position = p.Receipt
	if opening == nil {
		if len(p.Meaning) > 0 {
			return errors.New("the frames that a closed record refers to are not its own")
		}
		out.Closed = true
	} else if err := p.open(out, record, opening); err != nil {
		return err
	}
	if out.at.String() != p.Receipt {
		return fmt.Errorf("the record is %s and not the receipt's", out.at)
	}
	return nil
}

// open reads an opened record: what it commits to, with the frames that it
// refers to.
func (p *Proof) open(out *Proven, record frame, opening []byte) error {
	if len(p.Meaning) < 3 {
		return errors.New("the frames that the record refers to are missing")
	}
	texts := make([][]byte, len(p.Meaning))
	hashes := make([]digest, len(p.Meaning))
	tagged := false
	for i := range p.Meaning {
		kind := byte(typeName)
		if i < 3 {
			kind = [...]byte{typeSegment, typeContext, typeShape}[i]
		}
		if i >= 3 && i == len(p.Meaning)-1 && p.Meaning[i].Opening == "" {
			// The tags of a record with many stay closed; only that they are
			// these is shown.
			kind, tagged = typeTags, true
		}
		f, opening, err := p.Meaning[i].frame(kind)
		if err != nil {
			return err
		}
		if hashes[i] = f.hash(); kind == typeTags {
			continue
		}
		if texts[i] = f.body(); i > 0 {
			if texts[i], err = plaintext(f, opening); err != nil {
				return err
			}
		}
	}
	text, err := plaintext(record, opening, hashes...)
	if err != nil {
		return err
	}
	h, err1 := parseHead(texts[0])
	context, err2 := parseContext(texts[1])
	shape, err3 := parseShape(texts[2])
	b, err4 := parseRecord(text, func(uint64) (int, bool) { return len(shape.Uses), true })
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return errBody
	}
	if tagged {
		texts = texts[:len(texts)-1]
	}
	if len(b.names) != len(texts)-3 || b.tagged != tagged {
		return errors.New("the record refers to other frames than the proof has")
	}
	names := make([]string, len(b.names))
	for i := range names {
		names[i] = string(texts[3+i])
	}
	out.at.origin = h.origin
	out.Record = b.with(p.Receipt, h, context, shape, names)
	return nil
}

// frame gives a frame of a type, and its opening; nil for none.
func (o *Opened) frame(kind byte) (f frame, opening []byte, err error) {
	f.bytes, err = base64.StdEncoding.Strict().DecodeString(o.Frame)
	if err != nil {
		return f, nil, errors.New("a frame is not base64")
	}
	if reason := f.fault(); reason != "" {
		return f, nil, errors.New(reason)
	}
	if f.kind() != kind || (f.key() == 0) != (kind == typeSegment) {
		return f, nil, fmt.Errorf("a frame of type %d stands where type %d belongs", f.kind(), kind)
	}
	if o.Opening == "" {
		return f, nil, nil
	}
	if opening, err = base64.StdEncoding.Strict().DecodeString(o.Opening); err != nil || kind == typeSegment {
		return f, nil, errors.New("the opening of a frame is not base64, or of a frame that has none")
	}
	return f, opening, nil
}

func (s *Signed) check(out *Proven, key note.Verifier) error {
	n, err := note.Open([]byte(s.Note), note.VerifierList(key))
	if err != nil {
		return fmt.Errorf("the receipt is not signed with the key of %s", key.Name())
	}
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return errors.New("the signature of the receipt is spelt in another way")
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 6 || lines[0] != "weir receipt v1" || lines[1] != out.at.origin || lines[2] != fmt.Sprint(out.at.epoch) {
		return errors.New("the signed receipt is of another origin or epoch")
	}
	from, to, _ := strings.Cut(lines[3], " ")
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	root, err3 := parseHash(lines[4])
	path, err4 := parsePath(s.Path)
	if err := errors.Join(err1, err2, err3, err4); err != nil || last < first || last-first > 1<<40 {
		return errors.New("the signed receipt does not parse")
	}
	if s.Index < 0 || first+uint64(s.Index) != out.at.sequence || out.at.sequence > last {
		return errors.New("the signed receipt is of other records")
	}
	if tlog.CheckRecord(path, int64(last-first)+1, root, s.Index, tlog.RecordHash(out.frame[:])) != nil {
		return errors.New("the record is not the one that the receipt was signed for")
	}
	out.Signed = true
	return nil
}

func (i *Included) check(out *Proven, key note.Verifier, witnesses []note.Verifier) error {
	b, err := parseBatch([]byte(i.Batch))
	if err != nil {
		return err
	}
	path, err := parsePath(i.Path)
	if err != nil {
		return err
	}
	treePath, err := parsePath(i.TreePath)
	if err != nil {
		return err
	}
	if b.origin != out.at.origin || b.epoch != out.at.epoch || out.at.sequence < b.first || out.at.sequence > b.last {
		return errors.New("the batch does not hold the record's sequence")
	}
	if i.Index < 0 || i.Index >= int64(b.frames) || tlog.CheckRecord(path, int64(b.frames), b.root, i.Index, tlog.RecordHash(out.frame[:])) != nil {
		return errors.New("the record is not in the batch")
	}
	head, names, err := openCheckpoint([]byte(i.Checkpoint), key, witnesses)
	if err != nil {
		return err
	}
	if i.Leaf < 0 || i.Leaf >= head.size || tlog.CheckRecord(treePath, head.size, head.root, i.Leaf, tlog.RecordHash([]byte(i.Batch))) != nil {
		return errors.New("the batch is not in the tree")
	}
	out.Included, out.Batches, out.Witnessed, out.head = true, head.size, names, &head
	return nil
}

func parsePath(texts []string) ([]hash, error) {
	if len(texts) > 64 {
		return nil, errors.New("a path is too long")
	}
	out := make([]hash, len(texts))
	for i, t := range texts {
		var err error
		if out[i], err = parseHash(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}
