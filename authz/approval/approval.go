// Package approval is the signature of two officers under a revision that widens
// rights.
//
// It promises that an approval holds for one revision after one other, until one
// moment, and only with the signatures of two different officers, the second
// over what the first signed. It reads no files, holds no keys, and does not
// judge what a revision does.
//
// An approval is a text, kept beside the policy:
//
//	weir policy approval 1
//	parent 5f0c…
//	revision 91ab…
//	expires 2026-12-01T08:00:00Z
//	proposed by wang YmFzZTY0…
//	approved by li YmFzZTY0…
//
// Each signature (Ed25519, RFC 8032) is over all lines above it and its own up to
// the officer's name.
package approval

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Errors of the package.
var (
	// ErrFormat: the text is no approval.
	ErrFormat = errors.New("not an approval")
	// ErrInvalid: the text is an approval, and not a valid one.
	ErrInvalid = errors.New("approval is not valid")
)

// First is the parent of a node's first revision.
const First = "none"

// Officer may propose and approve.
type Officer struct {
	ID  string
	Key ed25519.PublicKey
}

// Signature is one officer's.
type Signature struct {
	Officer string
	Bytes   []byte
}

// Approval is a proposal with one signature, or an approval with two.
type Approval struct {
	// Parent is the revision in force when it was proposed, Revision the one to
	// come: lower-case hex digests of 64 characters, or First.
	Parent, Revision string
	// Expires is the last moment at which it brings the revision into force, in
	// whole seconds.
	Expires            time.Time
	Proposed, Approved Signature
}

const (
	headline      = "weir policy approval 1"
	wordParent    = "parent "
	wordRevision  = "revision "
	wordExpires   = "expires "
	wordProposed  = "proposed by "
	wordApproved  = "approved by "
	maxText       = 4 << 10
	digestLetters = 64
)

// statement is what is proposed.
func (a *Approval) statement() string {
	return headline + "\n" + wordParent + a.Parent + "\n" + wordRevision + a.Revision + "\n" +
		wordExpires + a.Expires.UTC().Format(time.RFC3339) + "\n"
}

func (a *Approval) proposedText() string { return a.statement() + wordProposed + a.Proposed.Officer }

func (a *Approval) approvedText() string {
	return a.proposedText() + " " + encode(a.Proposed.Bytes) + "\n" + wordApproved + a.Approved.Officer
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Propose signs as the first officer.
func (a *Approval) Propose(officer string, key ed25519.PrivateKey) {
	a.Proposed = Signature{Officer: officer}
	a.Proposed.Bytes = ed25519.Sign(key, []byte(a.proposedText()))
	a.Approved = Signature{}
}

// Approve signs as the second.
func (a *Approval) Approve(officer string, key ed25519.PrivateKey) {
	a.Approved = Signature{Officer: officer}
	a.Approved.Bytes = ed25519.Sign(key, []byte(a.approvedText()))
}

// String is the text; a proposal's lacks the last line.
func (a *Approval) String() string {
	s := a.proposedText() + " " + encode(a.Proposed.Bytes) + "\n"
	if a.Approved.Officer != "" {
		s = a.approvedText() + " " + encode(a.Approved.Bytes) + "\n"
	}
	return s
}

// Parse reads an approval or a proposal. It checks no signature.
func Parse(text string) (*Approval, error) {
	if len(text) > maxText || !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: it is too long, or not UTF-8", ErrFormat)
	}
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	if len(lines) < 5 || len(lines) > 6 || lines[0] != headline {
		return nil, fmt.Errorf("%w: it does not begin with %q, or has lines too many or too few", ErrFormat, headline)
	}
	a := &Approval{}
	var expires string
	for i, field := range [...]struct {
		word string
		to   *string
	}{{wordParent, &a.Parent}, {wordRevision, &a.Revision}, {wordExpires, &expires}} {
		value, ok := strings.CutPrefix(lines[i+1], field.word)
		if !ok {
			return nil, fmt.Errorf("%w: line %d does not begin with %q", ErrFormat, i+2, strings.TrimSpace(field.word))
		}
		*field.to = value
	}
	if a.Parent != First && !digest(a.Parent) || !digest(a.Revision) {
		return nil, fmt.Errorf("%w: a revision is no digest", ErrFormat)
	}
	var err error
	if a.Expires, err = time.Parse(time.RFC3339, expires); err != nil || a.Expires.UTC().Format(time.RFC3339) != expires {
		return nil, fmt.Errorf("%w: the expiry is no time such as 2026-12-01T08:00:00Z", ErrFormat)
	}
	if a.Proposed, err = parseSignature(lines[4], wordProposed); err != nil {
		return nil, err
	}
	if len(lines) == 6 {
		if a.Approved, err = parseSignature(lines[5], wordApproved); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func parseSignature(line, word string) (Signature, error) {
	rest, ok := strings.CutPrefix(line, word)
	officer, text, two := strings.Cut(rest, " ")
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || !two || officer == "" || err != nil || len(b) != ed25519.SignatureSize {
		return Signature{}, fmt.Errorf("%w: no signature in the line %q", ErrFormat, strings.TrimSpace(word))
	}
	return Signature{officer, b}, nil
}

func digest(s string) bool {
	return len(s) == digestLetters && strings.Trim(s, "0123456789abcdef") == ""
}

// VerifyProposal checks the first signature.
func (a *Approval) VerifyProposal(officers []Officer, now time.Time) error {
	if now.After(a.Expires) {
		return fmt.Errorf("%w: it expired at %s", ErrInvalid, a.Expires.UTC().Format(time.RFC3339))
	}
	return verify(officers, a.Proposed, a.proposedText())
}

// Verify checks that two different officers signed, and in time.
func (a *Approval) Verify(officers []Officer, now time.Time) error {
	if err := a.VerifyProposal(officers, now); err != nil {
		return err
	}
	if a.Approved.Officer == "" {
		return fmt.Errorf("%w: a second officer has not signed", ErrInvalid)
	}
	if a.Approved.Officer == a.Proposed.Officer {
		return fmt.Errorf("%w: officer %q cannot approve his own proposal", ErrInvalid, a.Proposed.Officer)
	}
	if err := verify(officers, a.Approved, a.approvedText()); err != nil {
		return err
	}
	if find(officers, a.Proposed.Officer).Key.Equal(find(officers, a.Approved.Officer).Key) {
		return fmt.Errorf("%w: both signatures are of one key", ErrInvalid)
	}
	return nil
}

func find(officers []Officer, id string) *Officer {
	for i := range officers {
		if officers[i].ID == id {
			return &officers[i]
		}
	}
	return nil
}

func verify(officers []Officer, s Signature, text string) error {
	o := find(officers, s.Officer)
	switch {
	case o == nil:
		return fmt.Errorf("%w: there is no officer %q", ErrInvalid, s.Officer)
	case len(o.Key) != ed25519.PublicKeySize || !ed25519.Verify(o.Key, []byte(text), s.Bytes):
		return fmt.Errorf("%w: the signature of officer %q does not fit", ErrInvalid, s.Officer)
	}
	return nil
}
