package masks

import (
	"crypto/sha256"
	"encoding/base64"
)

// pseudonymSize is how much of the HMAC a token keeps, in bytes: two values
// share a token with a chance of 2^-64 at four billion values.
const pseudonymSize = 16

// pseudonym gives HMAC-SHA-256 (RFC 2104) of the value under the key, cut to
// 128 bits (RFC 2104, section 5), in the URL-safe base64 of RFC 4648. The
// HMAC is spelt out because crypto/hmac allocates per value and cannot be
// shared between goroutines.
func pseudonym(key []byte) Func {
	var inner, outer [sha256.BlockSize]byte
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	return func(dst, src []byte) ([]byte, bool) {
		// The message is laid out behind dst, where the token goes afterwards.
		mark := len(dst)
		dst = append(dst, inner[:]...)
		dst = append(dst, src...)
		first := sha256.Sum256(dst[mark:])
		clear(dst[mark:]) // neither key nor value stays in a response buffer
		var message [sha256.BlockSize + sha256.Size]byte
		copy(message[:], outer[:])
		copy(message[sha256.BlockSize:], first[:])
		sum := sha256.Sum256(message[:])
		return base64.RawURLEncoding.AppendEncode(dst[:mark], sum[:pseudonymSize]), true
	}
}
