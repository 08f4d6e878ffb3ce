// Package keyring holds the installation's secret keys and does all keyed
// cryptography of Weir: sealed cursors, references, pseudonyms, subject tags.
//
// It promises: every use has keys of its own, derived from the active key by
// HKDF, so that what one use reveals opens no other; what it sealed opens only
// under the same use and the same associated data; a secret is never printed.
// It decides nothing about who may open what, does not rotate by itself, and
// does not protect the file it was read from beyond refusing loose permissions.
package keyring

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Errors of the package. ErrInvalid says nothing more on purpose: whoever
// presents an altered token learns nothing about why it was refused.
var (
	ErrInvalid    = errors.New("sealed text is not valid")
	ErrKeyring    = errors.New("key ring file is not valid")
	ErrPermission = errors.New("key ring file may be read by others")
	ErrUnknownKey = errors.New("no such key in the ring")
)

const (
	secretSize = 32
	// maxKeys bounds a ring: rotation with overlap needs two, an archive a few.
	maxKeys = 64
)

// KeyID names a key within its ring and stands in front of everything that the
// key sealed.
type KeyID [4]byte

// String is the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Ring is a set of keys, one of them active. New things are made with the
// active key; the others only open what they made before. A Ring is immutable
// and safe for concurrent use; rotation gives a new one.
type Ring struct {
	keys   []*key // the active one first
	nonces func([]byte)
}

// key is one secret and what has been derived from it so far.
type key struct {
	id     KeyID
	secret [secretSize]byte
	suites sync.Map // use -> *suite
}

// Generate makes a ring of one fresh key.
func Generate() (*Ring, error) {
	k, err := generateKey(nil)
	if err != nil {
		return nil, err
	}
	return newRing([]*key{k}), nil
}

func newRing(keys []*key) *Ring { return &Ring{keys: keys, nonces: randomNonce} }

func randomNonce(b []byte) {
	// crypto/rand.Read never returns an error: it ends the process when the
	// system has no randomness left to give.
	_, _ = rand.Read(b)
}

// generateKey draws a key whose id none of the others has.
func generateKey(others []*key) (*key, error) {
	k := new(key)
	if _, err := rand.Read(k.secret[:]); err != nil {
		return nil, fmt.Errorf("new key: %w", err)
	}
	for {
		if _, err := rand.Read(k.id[:]); err != nil {
			return nil, fmt.Errorf("new key: %w", err)
		}
		if find(others, k.id) == nil {
			return k, nil
		}
	}
}

func find(keys []*key, id KeyID) *key {
	for _, k := range keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// WithNonces gives a ring of the same keys that takes its nonces from fill,
// which must be safe for concurrent use. It is for tests and replays that need
// equal output for equal input; a nonce used twice under one key breaks Seal.
func (r *Ring) WithNonces(fill func([]byte)) *Ring {
	return &Ring{keys: r.keys, nonces: fill}
}

// Rotate gives a ring with a fresh active key that still opens what the keys
// of r made. Derived keys, deterministic seals, tags and pseudonyms change with
// the active key.
func (r *Ring) Rotate() (*Ring, error) {
	if len(r.keys) >= maxKeys {
		return nil, fmt.Errorf("%w: %d keys are the most a ring holds; retire one first", ErrKeyring, maxKeys)
	}
	k, err := generateKey(r.keys)
	if err != nil {
		return nil, err
	}
	return &Ring{keys: append([]*key{k}, r.keys...), nonces: r.nonces}, nil
}

// Retire gives a ring without a key that is no longer active; what it sealed
// opens no more.
func (r *Ring) Retire(id KeyID) (*Ring, error) {
	if r.keys[0].id == id {
		return nil, fmt.Errorf("%w: key %s is active; rotate first", ErrKeyring, id)
	}
	keys := make([]*key, 0, len(r.keys))
	for _, k := range r.keys {
		if k.id != id {
			keys = append(keys, k)
		}
	}
	if len(keys) == len(r.keys) {
		return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	}
	return &Ring{keys: keys, nonces: r.nonces}, nil
}

// Active is the id of the key that makes new things.
func (r *Ring) Active() KeyID { return r.keys[0].id }

// KeyIDs are the ids of all keys, the active one first.
func (r *Ring) KeyIDs() []KeyID {
	ids := make([]KeyID, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

// Fingerprints tell the ring's keys from all others, the active one first. They
// are no secret: each is derived for this alone, and opens nothing.
func (r *Ring) Fingerprints() []string {
	out := make([]string, len(r.keys))
	for i, k := range r.keys {
		sum := k.derive("fingerprint", "fingerprint")
		out[i] = hex.EncodeToString(sum[:16])
	}
	return out
}

// Equal reports whether two rings hold the same keys in the same order.
func (r *Ring) Equal(o *Ring) bool {
	if r == nil || o == nil || len(r.keys) != len(o.keys) {
		return r == o
	}
	same := 1
	for i, k := range r.keys {
		same &= subtle.ConstantTimeCompare(k.id[:], o.keys[i].id[:])
		same &= subtle.ConstantTimeCompare(k.secret[:], o.keys[i].secret[:])
	}
	return same == 1
}

// redacted is how a ring looks in every text.
const redacted = "***"

// String hides the ring.
func (r *Ring) String() string { return redacted }

// Format hides the ring under every verb.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the ring in structured logs.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the ring in JSON and its like. A ring is written by
// [Ring.Save] alone.
func (r *Ring) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// EncodeText is the URL-safe text of a sealed thing.
func EncodeText(sealed []byte) string { return base64.RawURLEncoding.EncodeToString(sealed) }

// AppendText appends what [EncodeText] gives to dst.
func AppendText(dst, sealed []byte) []byte { return base64.RawURLEncoding.AppendEncode(dst, sealed) }

// DecodeText is the inverse of [EncodeText]. Each sealed thing has exactly one
// text; every other spelling is ErrInvalid.
func DecodeText(text string) ([]byte, error) {
	// The decoder skips line breaks, which would give one token many texts.
	for i := range len(text) {
		if text[i] == '\n' || text[i] == '\r' {
			return nil, ErrInvalid
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, ErrInvalid
	}
	return b, nil
}
