package approval

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Offices that sign an act of retention, one officer of each: none may erase
// evidence alone, neither of what it did nor of what it saw.
const (
	OfficeAuditor  = "auditor"
	OfficeSecurity = "security"
)

// Act is the dropping of a data key of the ledger, with the signatures of an
// auditor and a security officer, in any order:
//
//	weir retention act 1
//	origin node-a
//	month 2023-08
//	level 3
//	key 5f0c…
//	expires 2026-12-01T08:00:00Z
//	auditor zhao YmFzZTY0…
//	security li YmFzZTY0…
//
// Each signature is over all lines above it and its own up to the officer's name.
type Act struct {
	Origin, Month string
	Level         int    // rank, from 0
	Key           string // id of the data key, 32 lower-case hexadecimal digits
	Expires       time.Time
	Signatures    []OfficeSignature
}

// OfficeSignature is one officer's.
type OfficeSignature struct {
	Office string
	Signature
}

const (
	actHeadline = "weir retention act 1"
	keyDigits   = 32
)

func (a *Act) statement() string {
	return fmt.Sprintf("%s\norigin %s\nmonth %s\nlevel %d\nkey %s\nexpires %s\n",
		actHeadline, a.Origin, a.Month, a.Level, a.Key, a.Expires.UTC().Format(time.RFC3339))
}

// Sign adds an officer's signature behind those that there are.
func (a *Act) Sign(office, officer string, key ed25519.PrivateKey) {
	a.Signatures = append(a.Signatures, OfficeSignature{office, Signature{Officer: officer}})
	last := len(a.Signatures) - 1
	a.Signatures[last].Bytes = ed25519.Sign(key, []byte(a.signedBy(last)))
}

// SignedFor is the officer who signed for an office, "" for nobody. It checks no
// signature.
func (a *Act) SignedFor(office string) string {
	for i := range a.Signatures {
		if a.Signatures[i].Office == office {
			return a.Signatures[i].Officer
		}
	}
	return ""
}

// String is the text.
func (a *Act) String() string { return a.above(len(a.Signatures)) }

// above is what stands above the nth signature.
func (a *Act) above(n int) string {
	text := a.statement()
	for i := range n {
		s := &a.Signatures[i]
		text += s.Office + " " + s.Officer + " " + encode(s.Bytes) + "\n"
	}
	return text
}

// ParseAct reads an act with two signatures or fewer. It checks none, and
// refuses every spelling but its own.
func ParseAct(text string) (*Act, error) {
	if len(text) > maxText || !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: it is too long, or not UTF-8", ErrFormat)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 6 || len(lines) > 8 || lines[0] != actHeadline {
		return nil, fmt.Errorf("%w: it does not begin with %q, or has lines too many or too few", ErrFormat, actHeadline)
	}
	a := &Act{}
	var level, expires string
	for i, field := range [...]struct {
		word string
		to   *string
	}{{"origin ", &a.Origin}, {"month ", &a.Month}, {"level ", &level}, {"key ", &a.Key}, {"expires ", &expires}} {
		value, ok := strings.CutPrefix(lines[i+1], field.word)
		if !ok {
			return nil, fmt.Errorf("%w: line %d does not begin with %q", ErrFormat, i+2, strings.TrimSpace(field.word))
		}
		*field.to = value
	}
	var err1, err2 error
	a.Level, err1 = strconv.Atoi(level)
	a.Expires, err2 = time.Parse(time.RFC3339, expires)
	if err1 != nil || err2 != nil || len(a.Key) != keyDigits || strings.Trim(a.Key, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%w: its level, key or expiry does not parse", ErrFormat)
	}
	for _, line := range lines[6:] {
		parts := strings.Split(line, " ")
		if len(parts) != 3 || parts[0] != OfficeAuditor && parts[0] != OfficeSecurity || parts[1] == "" {
			return nil, fmt.Errorf("%w: a line is no signature of an office", ErrFormat)
		}
		b, err := base64.StdEncoding.Strict().DecodeString(parts[2])
		if err != nil || len(b) != ed25519.SignatureSize {
			return nil, fmt.Errorf("%w: a signature does not parse", ErrFormat)
		}
		a.Signatures = append(a.Signatures, OfficeSignature{parts[0], Signature{parts[1], b}})
	}
	if a.String() != text {
		return nil, fmt.Errorf("%w: it is spelt in another way", ErrFormat)
	}
	return a, nil
}

// VerifySignatures checks the signatures that there are, in time, against the
// officers of each office.
func (a *Act) VerifySignatures(auditors, security []Officer, now time.Time) error {
	if now.After(a.Expires) {
		return fmt.Errorf("%w: it expired at %s", ErrInvalid, a.Expires.UTC().Format(time.RFC3339))
	}
	for i := range a.Signatures {
		s := &a.Signatures[i]
		officers := security
		if s.Office == OfficeAuditor {
			officers = auditors
		}
		if err := verify(officers, s.Signature, a.signedBy(i)); err != nil {
			return fmt.Errorf("office %s: %w", s.Office, err)
		}
	}
	return nil
}

// signedBy is what the nth of the signatures that there are is over.
func (a *Act) signedBy(n int) string {
	return a.above(n) + a.Signatures[n].Office + " " + a.Signatures[n].Officer
}

// Verify checks that an auditor and a security officer signed, two people with
// two keys, and in time.
func (a *Act) Verify(auditors, security []Officer, now time.Time) error {
	if err := a.VerifySignatures(auditors, security, now); err != nil {
		return err
	}
	if len(a.Signatures) != 2 || a.Signatures[0].Office == a.Signatures[1].Office {
		return fmt.Errorf("%w: it needs the signatures of an auditor and of a security officer", ErrInvalid)
	}
	auditor, officer := a.Signatures[0].Officer, a.Signatures[1].Officer
	if a.Signatures[0].Office != OfficeAuditor {
		auditor, officer = officer, auditor
	}
	if auditor == officer || find(auditors, auditor).Key.Equal(find(security, officer).Key) {
		return fmt.Errorf("%w: both signatures are of one person or key", ErrInvalid)
	}
	return nil
}
