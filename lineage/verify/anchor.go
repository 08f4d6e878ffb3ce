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
)

// treeHead is what a checkpoint signs.
type treeHead struct {
	size int64
	root hash
}

// openCheckpoint checks a C2SP tlog-checkpoint against the origin's key, and
// gives the names of the witnesses, of those given, who cosigned it.
func openCheckpoint(text []byte, key note.Verifier, witnesses []note.Verifier) (h treeHead, witnessed []string, err error) {
	n, err := note.Open(text, note.VerifierList(append([]note.Verifier{key}, witnesses...)...))
	var unsigned *note.UnverifiedNoteError
	var altered *note.InvalidSignatureError
	switch {
	case errors.As(err, &unsigned):
		return h, nil, fmt.Errorf("the checkpoint is not signed with the key of %s: it is of another ledger or was altered", key.Name())
	case errors.As(err, &altered):
		return h, nil, fmt.Errorf("the signature of %s does not fit the checkpoint: it was altered", altered.Name)
	case err != nil:
		return h, nil, errors.New("it is no checkpoint, or not as it was signed: it is to be kept byte for byte, its line ends as well")
	}
	own := false
	for _, s := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return h, nil, errors.New("a signature of the checkpoint is spelt in another way")
		}
		if s.Name == key.Name() && s.Hash == key.KeyHash() {
			own = true
		} else {
			witnessed = append(witnessed, s.Name)
		}
	}
	if !own {
		return h, nil, fmt.Errorf("the checkpoint is not signed with the key of %s: it is of another ledger or was altered", key.Name())
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != key.Name() {
		return h, nil, fmt.Errorf("the checkpoint is not of origin %s", key.Name())
	}
	if h.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || h.size < 0 || strconv.FormatInt(h.size, 10) != lines[1] {
		return h, nil, errors.New("the checkpoint names no size")
	}
	if h.root, err = parseHash(lines[2]); err != nil {
		return h, nil, errors.New("the checkpoint names no root")
	}
	return h, witnessed, nil
}

// Anchor is something that left the house while the ledger was written.
type Anchor struct {
	Name string // for messages: the file it came from
	text []byte
	id   *position
}

// ParseAnchor takes a checkpoint, cosigned or not, a proof, a signed receipt, or
// a receipt's short id as it stands in extensions.weir.receipt.
func ParseAnchor(name string, text []byte) Anchor {
	a := Anchor{Name: name, text: text}
	if p, ok := parsePosition(strings.TrimSpace(string(text))); ok {
		a.id = &p
	}
	return a
}

// anchor is what an Anchor comes to.
type anchor struct {
	name      string
	head      *treeHead
	witnessed []string
	at        *position
	frame     *digest // of the record; nil when only its place is known
	met       bool
}

// sortAnchors checks what was signed on the anchors themselves.
func (v *verification) sortAnchors(given []Anchor) ([]anchor, error) {
	var out []anchor
	for _, g := range given {
		a := anchor{name: g.Name}
		trimmed := bytes.TrimSpace(g.text)
		switch {
		case g.id != nil:
			if g.id.origin != v.key.Name() {
				return nil, fmt.Errorf("%w: anchor %s is of origin %q, the key of %q", ErrInput, g.Name, g.id.origin, v.key.Name())
			}
			a.at = g.id
		case len(trimmed) > 0 && trimmed[0] == '{':
			var p Proof
			if err := json.Unmarshal(trimmed, &p); err != nil || p.Format == "" {
				return nil, fmt.Errorf("%w: anchor %s is no proof; of an answer give the receipt (extensions.weir.receipt)", ErrInput, g.Name)
			}
			result, err := p.check(v.key, v.witnesses)
			if err != nil {
				return nil, fmt.Errorf("%w: anchor %s does not hold itself: %w", ErrInput, g.Name, err)
			}
			a.at, a.frame, a.head, a.witnessed = &result.at, &result.frame, result.head, result.Witnessed
		default:
			h, names, err := openCheckpoint(g.text, v.key, v.witnesses)
			if err != nil {
				return nil, fmt.Errorf("%w: anchor %s: %w", ErrInput, g.Name, err)
			}
			a.head, a.witnessed = &h, names
		}
		out = append(out, a)
	}
	return out, nil
}

// reached compares the tree, as it is now, with the anchors of its size.
func (v *verification) reached() error {
	for i := range v.anchors {
		a := &v.anchors[i]
		if a.head == nil || a.head.size != v.tower.size {
			continue
		}
		if v.tower.root() != a.head.root {
			return &TamperError{
				Record: position{v.key.Name(), max(v.last.epoch, 1), max(v.last.last, 1)}.String(), File: v.tiles.dir,
				Reason: fmt.Sprintf("fork: of its first %d batches %s was signed with another content; this record or one before it is not what was signed then", a.head.size, a.name),
			}
		}
		a.met = true
	}
	return nil
}

// anchored compares a record with the anchors that name its sequence.
func (v *verification) anchored(it item) error {
	for i := range v.anchors {
		a := &v.anchors[i]
		if a.at == nil || a.at.sequence != it.sequence() {
			continue
		}
		file := v.log.path()
		record := position{v.key.Name(), it.epoch(), it.sequence()}.String()
		if a.at.epoch != it.epoch() {
			return &TamperError{Record: record, File: file, Offset: it.offset, Reason: fmt.Sprintf("fork: the record is of epoch %d, and %s is of epoch %d", it.epoch(), a.name, a.at.epoch)}
		}
		if a.frame != nil && *a.frame != v.log.last {
			return &TamperError{Record: record, File: file, Offset: it.offset, Reason: fmt.Sprintf("fork: the record is not the one that %s was given out for", a.name)}
		}
		if a.head == nil {
			a.met = true
		}
	}
	return nil
}

func (l *log) path() string {
	if l.seg != nil {
		return l.seg.path
	}
	return l.dir
}

// unmet finds anchors that nothing answered to.
func (v *verification) unmet() error {
	for _, a := range v.anchors {
		if !a.met && a.at != nil && a.at.sequence <= v.log.absent {
			return fmt.Errorf("%w: the record of %s was archived: name the archive with --archive", ErrInput, a.name)
		}
		if !a.met && a.at != nil {
			return &TamperError{
				Record: a.at.String(), File: v.log.end(),
				Reason: fmt.Sprintf("the log was cut or rolled back: %s was given out for this record, and the log ends before it", a.name),
			}
		}
		v.report.Anchors++
	}
	return nil
}
