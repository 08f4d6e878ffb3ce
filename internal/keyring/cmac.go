package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// cmac is AES-CMAC (RFC 4493; NIST SP 800-38B for keys of 256 bits). The zero
// value is not usable.
type cmac struct {
	block  cipher.Block
	k1, k2 [aes.BlockSize]byte
}

func newCMAC(block cipher.Block) cmac {
	m := cmac{block: block}
	var l [aes.BlockSize]byte
	block.Encrypt(l[:], l[:])
	m.k1 = double(l)
	m.k2 = double(m.k1)
	return m
}

// double multiplies by x in GF(2^128), without a branch on the secret.
func double(in [aes.BlockSize]byte) (out [aes.BlockSize]byte) {
	carry := byte(0)
	for i := len(in) - 1; i >= 0; i-- {
		out[i] = in[i]<<1 | carry
		carry = in[i] >> 7
	}
	out[len(out)-1] ^= byte(subtle.ConstantTimeSelect(int(carry), 0x87, 0))
	return out
}

// cmacWork is the state and the last block of one computation. Both pass through
// an interface, so that they would be an allocation each time; whoever computes
// many keeps one.
type cmacWork [2 * aes.BlockSize]byte

func (m *cmac) sum(work *cmacWork, msg []byte) [aes.BlockSize]byte {
	clear(work[:])
	x, last := work[:aes.BlockSize], work[aes.BlockSize:]
	for len(msg) > aes.BlockSize {
		subtle.XORBytes(x, x, msg[:aes.BlockSize])
		m.block.Encrypt(x, x)
		msg = msg[aes.BlockSize:]
	}
	n := copy(last, msg)
	k := &m.k1
	if n < aes.BlockSize {
		last[n] = 0x80
		k = &m.k2
	}
	subtle.XORBytes(x, x, last)
	subtle.XORBytes(x, x, k[:])
	m.block.Encrypt(x, x)
	return [aes.BlockSize]byte(x)
}
