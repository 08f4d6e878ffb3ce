package lineage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
)

const (
	// dataKeySize is a data key's: two AES-256 keys.
	dataKeySize = 64
	blindSize   = 16
	// commitSize is how much of the commitment stands in front of a ciphertext.
	commitSize = 16
	commitName = "weir frame 2"
	maxKeys    = 255 // that one segment refers to
)

// dataKey encrypts the frames of one month and level.
//
// The body of an encrypted frame is a commitment and a ciphertext as long as the
// plaintext: AES-256-CTR, its first counter block the frame's link. A link is a
// hash over everything before the frame, a segment's start time included, so it
// does not come twice, whatever is cut off, lost or restored from a copy.
// Nothing authenticates the ciphertext: the chain, the checksum and the tree do
// that without a key, so that they still can when the key is gone.
//
// The commitment is the first half of SHA-256 over a name, a blinding value, the
// header behind the checksum, the hashes of the frames that the record refers
// to, and the plaintext. Blinding value and plaintext together open one frame to
// whoever is shown them, and to nothing else than was written; without the
// blinding value, which the data key and the link give, a commitment says
// nothing.
type dataKey struct {
	id            KeyID
	stream, blind cipher.Block
}

func newDataKey(id KeyID, secret []byte) (*dataKey, error) {
	stream, err1 := aes.NewCipher(secret[:dataKeySize/2])
	blind, err2 := aes.NewCipher(secret[dataKeySize/2:])
	if err1 != nil {
		return nil, err1
	}
	return &dataKey{id, stream, blind}, err2
}

// crypter is the room in which frames are encrypted and decrypted. It is not
// safe for concurrent use.
type crypter struct {
	pad, counter [aes.BlockSize]byte
	blind        [blindSize]byte
	buf          []byte
}

// seal encrypts the body of a frame, in which the place of the commitment is
// left free, and commits to it. The header is complete but for the checksum.
func (c *crypter) seal(k *dataKey, f frame, meaning ...FrameHash) {
	plain := f[headerSize+commitSize:]
	c.derive(k, f)
	commitment := c.commit(f, plain, meaning)
	copy(f[headerSize:], commitment[:])
	c.xor(k, f, plain)
}

// decrypt gives the plaintext of a frame, valid until the next call; false where
// the body is too short. What it gives is not to be believed before [crypter.holds].
func (c *crypter) decrypt(k *dataKey, f frame, into []byte) ([]byte, bool) {
	if len(f.body()) < commitSize {
		return nil, false
	}
	plain := append(into[:0], f.body()[commitSize:]...)
	c.derive(k, f)
	c.xor(k, f, plain)
	return plain, true
}

// holds reports whether the plaintext of the frame opened last is what was
// committed to.
func (c *crypter) holds(f frame, plain []byte, meaning ...FrameHash) bool {
	commitment := c.commit(f, plain, meaning)
	return subtle.ConstantTimeCompare(commitment[:], f.body()[:commitSize]) == 1
}

// derive computes the blinding value of a frame.
func (c *crypter) derive(k *dataKey, f frame) {
	copy(c.counter[:], f[atLink:atType])
	k.blind.Encrypt(c.blind[:], c.counter[:])
}

func (c *crypter) commit(f frame, plain []byte, meaning []FrameHash) (out [commitSize]byte) {
	c.buf = append(append(c.buf[:0], commitName...), c.blind[:]...)
	c.buf = append(c.buf, f[4:headerSize]...)
	for i := range meaning {
		c.buf = append(c.buf, meaning[i][:]...)
	}
	c.buf = append(c.buf, plain...)
	sum := sha256.Sum256(c.buf)
	copy(out[:], sum[:])
	return out
}

// longBody is from where on setting up the standard library's stream, which
// takes many blocks at once, costs less than going block by block.
const longBody = 1 << 10

// xor encrypts or decrypts in place.
func (c *crypter) xor(k *dataKey, f frame, b []byte) {
	copy(c.counter[:], f[atLink:atType])
	if len(b) >= longBody {
		cipher.NewCTR(k.stream, c.counter[:]).XORKeyStream(b, b)
		return
	}
	for len(b) > 0 {
		k.stream.Encrypt(c.pad[:], c.counter[:])
		b = b[subtle.XORBytes(b, b, c.pad[:min(len(b), len(c.pad))]):]
		for i := len(c.counter) - 1; i >= 0; i-- {
			if c.counter[i]++; c.counter[i] != 0 {
				break
			}
		}
	}
}
