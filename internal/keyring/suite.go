package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
)

// suite is everything that one use derives from one key. The parts have keys of
// their own, so that no two algorithms share one.
type suite struct {
	derived   [32]byte
	seal      cipher.AEAD
	sivMAC    macs
	sivStream cipher.Block
	pseudonym macs
	tag       cmac
}

// suite gives the derived keys of a use. Uses are names written in the program
// or the configuration; a use must not come from a request, since what is
// derived is kept as long as the ring.
func (k *key) suite(use string) *suite {
	if s, ok := k.suites.Load(use); ok {
		return s.(*suite)
	}
	s := &suite{
		derived:   k.derive(use, "derive"),
		sivMAC:    newMACs(k.derive(use, "siv-mac")),
		sivStream: newBlock(k.derive(use, "siv-stream")),
		pseudonym: newMACs(k.derive(use, "pseudonym")),
		tag:       newCMAC(newBlock(k.derive(use, "tag"))),
	}
	var err error
	if s.seal, err = cipher.NewGCM(newBlock(k.derive(use, "seal"))); err != nil {
		panic(fmt.Sprintf("keyring: AES-GCM over AES: %v", err)) // impossible by construction
	}
	kept, _ := k.suites.LoadOrStore(use, s)
	return kept.(*suite)
}

// derive is HKDF-SHA256 (RFC 5869) without a salt, the secret being uniformly
// random. The part names hold no NUL and come last, so the info is unambiguous.
func (k *key) derive(use, part string) [32]byte {
	b, err := hkdf.Key(sha256.New, k.secret[:], nil, "weir/keyring/v1\x00"+use+"\x00"+part, 32)
	if err != nil {
		panic(fmt.Sprintf("keyring: HKDF of 32 bytes: %v", err)) // impossible by construction
	}
	return [32]byte(b)
}

func newBlock(key [32]byte) cipher.Block {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(fmt.Sprintf("keyring: AES with 32 bytes: %v", err)) // impossible by construction
	}
	return b
}

// macs lends HMAC-SHA256 states of one key: keying one costs two compressions,
// resetting one does not.
type macs struct{ pool *sync.Pool }

type macState struct {
	hash.Hash
	sum [sha256.Size]byte
}

func newMACs(key [32]byte) macs {
	return macs{pool: &sync.Pool{New: func() any {
		return &macState{Hash: hmac.New(sha256.New, key[:])}
	}}}
}

// sum16 is the first half of HMAC-SHA256 over len(a) || a || b: the length keeps
// (a, b) and any other split of the same bytes apart.
func (m macs) sum16(a, b []byte) (out [16]byte) {
	h := m.pool.Get().(*macState)
	h.Reset()
	n := h.sum[:8] // the state's own array, so that nothing escapes per call
	putUint64(n, uint64(len(a)))
	_, _ = h.Write(n)
	_, _ = h.Write(a)
	_, _ = h.Write(b)
	copy(out[:], h.Sum(h.sum[:0]))
	m.pool.Put(h)
	return out
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (56 - 8*i))
	}
}
