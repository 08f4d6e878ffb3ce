package keyring

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"slices"
)

const (
	idSize    = len(KeyID{})
	nonceSize = 12
	tagSize   = 16
	// The smallest bucket of sealed plaintexts holds the sort keys of ordinary
	// cursors; the smallest of deterministic ones holds any usual identifier.
	// Sizes double from there, so that lengths say next to nothing.
	sealBucket = 256
	sivBucket  = 64
)

// Derive gives 32 bytes of key for a use, from the active key.
func (r *Ring) Derive(use string) [32]byte { return r.keys[0].suite(use).derived }

// Seal encrypts and authenticates plaintext, bound to aad, under the active key:
// key id, random nonce, AES-256-GCM. The plaintext is padded to a bucket, so
// that sealed texts of short things have one length. Equal inputs give different
// outputs. With random nonces one key should not seal more than 2^32 texts of
// one use before it is rotated (NIST SP 800-38D, 8.3).
func (r *Ring) Seal(use string, plaintext, aad []byte) []byte {
	k := r.keys[0]
	size := bucket(len(plaintext), sealBucket)
	head := idSize + nonceSize
	out := make([]byte, head+size, head+size+tagSize)
	copy(out, k.id[:])
	nonce := out[idSize:head]
	r.nonces(nonce)
	padInto(out[head:], plaintext)
	return k.suite(use).seal.Seal(out[:head], nonce, out[head:], aad)
}

// Open is the inverse of [Ring.Seal] with the key that the text names. Anything
// that was not sealed by this ring for the same use and aad is [ErrInvalid].
func (r *Ring) Open(use string, sealed, aad []byte) ([]byte, error) {
	k, body := r.opener(sealed)
	if k == nil || len(body) < nonceSize+sealBucket+tagSize {
		return nil, ErrInvalid
	}
	padded, err := k.suite(use).seal.Open(nil, body[:nonceSize], body[nonceSize:], aad)
	if err != nil {
		return nil, ErrInvalid
	}
	return unpad(padded)
}

// Box seals and opens for one use. It is immutable and safe for concurrent use.
type Box struct {
	ring *Ring
	use  string
}

// Box is the ring for one use.
func (r *Ring) Box(use string) Box { return Box{r, use} }

// Seal is [Ring.Seal] for the box's use.
func (b Box) Seal(plaintext, aad []byte) []byte { return b.ring.Seal(b.use, plaintext, aad) }

// Open is [Ring.Open] for the box's use.
func (b Box) Open(sealed, aad []byte) ([]byte, error) { return b.ring.Open(b.use, sealed, aad) }

// SealDeterministic encrypts and authenticates plaintext, bound to aad, so that
// equal inputs under the active key give equal outputs: a synthetic nonce
// (HMAC-SHA256 over aad and plaintext, cut to 16 bytes) serves as the initial
// counter of AES-256-CTR and as the authenticator, as in SIV (Rogaway and
// Shrimpton, 2006). It reveals which inputs are equal, and nothing else.
func (r *Ring) SealDeterministic(use string, plaintext, aad []byte) []byte {
	k := r.keys[0]
	s := k.suite(use)
	v := s.sivMAC.sum16(aad, plaintext)
	head := idSize + len(v)
	out := make([]byte, head+bucket(len(plaintext), sivBucket))
	copy(out, k.id[:])
	copy(out[idSize:], v[:])
	padInto(out[head:], plaintext)
	cipher.NewCTR(s.sivStream, v[:]).XORKeyStream(out[head:], out[head:])
	return out
}

// OpenDeterministic is the inverse of [Ring.SealDeterministic] with the key that
// the text names.
func (r *Ring) OpenDeterministic(use string, sealed, aad []byte) ([]byte, error) {
	k, body := r.opener(sealed)
	if k == nil || len(body) < 16+sivBucket {
		return nil, ErrInvalid
	}
	s := k.suite(use)
	v := body[:16]
	padded := slices.Clone(body[16:])
	cipher.NewCTR(s.sivStream, v).XORKeyStream(padded, padded)
	plaintext, err := unpad(padded)
	if err != nil {
		plaintext = nil // the comparison below runs all the same
	}
	want := s.sivMAC.sum16(aad, plaintext)
	// The padding is not under the authenticator, so its size must be the one
	// that sealing would choose.
	if subtle.ConstantTimeCompare(want[:], v) != 1 || err != nil || len(padded) != bucket(len(plaintext), sivBucket) {
		return nil, ErrInvalid
	}
	return plaintext, nil
}

// Tag is the truncated AES-CMAC (RFC 4493, with AES-256) of an identifier under
// the active key: equal identifiers have equal tags, and without the key no
// dictionary opens them.
func (r *Ring) Tag(use string, id []byte) [8]byte {
	return r.Tagger(use).Tag(id)
}

// Tagger makes the tags of one use. It is for one goroutine at a time.
type Tagger struct {
	mac  *cmac
	work cmacWork
}

// Tagger gives a tagger for a use, under the active key.
func (r *Ring) Tagger(use string) *Tagger { return &Tagger{mac: &r.keys[0].suite(use).tag} }

// Tag is what [Ring.Tag] is.
func (t *Tagger) Tag(id []byte) [8]byte {
	sum := t.mac.sum(&t.work, id)
	return [8]byte(sum[:8])
}

// Digest is 128 bits of HMAC-SHA256 of an identifier under the active key, for
// stores that must tell identifiers apart and never learn them.
func (r *Ring) Digest(use string, id []byte) [16]byte {
	return r.keys[0].suite(use).pseudonym.sum16(nil, id)
}

// Pseudonym is a stable stand-in for a name under the active key: 128 bits of
// HMAC-SHA256 as 22 characters of URL-safe base64.
func (r *Ring) Pseudonym(use, name string) string {
	sum := r.keys[0].suite(use).pseudonym.sum16(nil, []byte(name))
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return string(text[:])
}

// opener finds the key that a sealed text names. Ids are no secret: they stand
// in front of every text.
func (r *Ring) opener(sealed []byte) (*key, []byte) {
	if len(sealed) < idSize {
		return nil, nil
	}
	return find(r.keys, KeyID(sealed[:idSize])), sealed[idSize:]
}

// bucket is the padded size of n bytes: the end mark needs one more.
func bucket(n, smallest int) int {
	size := smallest
	for size < n+1 {
		size *= 2
	}
	return size
}

// endMark ends the plaintext within its padding (ISO/IEC 7816-4).
const endMark = 0x80

// padInto writes plaintext, the mark and zeroes over dst, which is zeroed.
func padInto(dst, plaintext []byte) { dst[copy(dst, plaintext)] = endMark }

func unpad(padded []byte) ([]byte, error) {
	for i := len(padded) - 1; i >= 0; i-- {
		switch padded[i] {
		case 0:
		case endMark:
			return padded[:i:i], nil
		default:
			return nil, ErrInvalid
		}
	}
	return nil, ErrInvalid
}
