package lineage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary runs itself as another process where one is needed; this
// variable tells it as what.
const roleVariable = "WEIR_LINEAGE_TEST_ROLE"

// testReading is one reading key for all processes of a test.
var testReading = boxOf("weir's tests")

type box struct{ cipher.AEAD }

func boxOf(name string) box {
	key := sha256.Sum256([]byte(name))
	return box{must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(key[:]))))}
}

func (b box) Seal(plaintext, aad []byte) []byte { return b.AEAD.Seal(nil, nil, plaintext, aad) }

func (b box) Open(sealed, aad []byte) ([]byte, error) { return b.AEAD.Open(nil, nil, sealed, aad) }

// opened is a folder with its reading key.
func opened(dir string) Folder { return Folder{Dir: dir, Reading: testReading} }

// encoderAt is an encoder whose keys are in memory.
func encoderAt(c chain) *encoder {
	return &encoder{chain: c, keys: must(openKeys(nil, "", "node-a", time.Now, nil))}
}

// write is [encoder.record] with the key brought to hand.
func (e *encoder) write(buf []byte, r *Record, now time.Time, startsGroup bool) ([]byte, error) {
	if err := e.keys.fetch(KeyName{MonthOf(now), r.Level}); err != nil {
		return buf, err
	}
	return e.record(buf, r, now, startsGroup)
}

// find gives the keys that are in memory.
func (k *keys) find(n KeyName, _ KeyID) (*dataKey, Content, error) { return k.known[n], Readable, nil }

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "writer":
		os.Exit(writeUntilKilled())
	case "opener":
		os.Exit(openOnce())
	}
	goleak.VerifyTestMain(m)
}
