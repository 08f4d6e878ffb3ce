package lineage

import (
	"crypto/sha256"
	"encoding/binary"
)

// AnswerDigest binds a record to the bytes of its answer: the first half of
// SHA-256 over a name, the salt, and data and errors, each after its length. The
// salt is the record's own, 16 random bytes, so that equal answers do not show
// and a short answer cannot be guessed without it.
func AnswerDigest(salt, data, errors []byte) (out [16]byte) {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		_, _ = h.Write(n[:])
		_, _ = h.Write(b)
	}
	part([]byte("weir answer v1"))
	part(salt)
	part(data)
	part(errors)
	copy(out[:], h.Sum(nil))
	return out
}
