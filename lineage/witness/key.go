package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the type of keys that cosign (C2SP tlog-cosignature, v1).
const algCosignature = 4

// Key cosigns, and checks its own cosignatures. It is safe for concurrent use
// and never prints its secret.
type Key struct {
	name   string
	hash   uint32
	secret ed25519.PrivateKey
}

var _ note.Verifier = (*Key)(nil)

// Name is the witness's, as it stands in its signatures.
func (k *Key) Name() string { return k.name }

// KeyHash is the first bytes of the hash of name and public key.
func (k *Key) KeyHash() uint32 { return k.hash }

// Public is the verifier key, as nodes and `weir lineage verify --witness` take
// it.
func (k *Key) Public() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.hash, base64.StdEncoding.EncodeToString(k.material()))
}

// String is the public key.
func (k *Key) String() string { return k.Public() }

// GoString is as String, for %#v.
func (k *Key) GoString() string { return k.Public() }

// Verify checks a cosignature of this key's.
func (k *Key) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(k.public(), cosigned(binary.BigEndian.Uint64(sig), string(msg)), sig[8:])
}

func (k *Key) public() ed25519.PublicKey {
	p, _ := k.secret.Public().(ed25519.PublicKey)
	return p
}

func (k *Key) material() []byte { return append([]byte{algCosignature}, k.public()...) }

func cosigned(at uint64, text string) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// sign makes the line of a cosignature of a checkpoint's text.
func (k *Key) sign(text string, at time.Time) ([]byte, error) {
	seconds := at.Unix()
	if seconds < 0 {
		return nil, fmt.Errorf("%w: the clock stands before 1970", ErrState)
	}
	sig := binary.BigEndian.AppendUint32(nil, k.hash)
	sig = binary.BigEndian.AppendUint64(sig, uint64(seconds))
	sig = append(sig, ed25519.Sign(k.secret, cosigned(uint64(seconds), text))...)
	return fmt.Appendf(nil, "\u2014 %s %s\n", k.name, base64.StdEncoding.EncodeToString(sig)), nil
}

const secretPrefix = "PRIVATE+KEY+"

// KeyFor loads a witness's key from a file, or makes one under a name where
// neither the file is there nor anything was cosigned in dir yet. A name that
// is given must be the file's; ErrName if it is not, or can be nobody's.
func KeyFor(path, dir, name string) (*Key, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the witness's own
	if errors.Is(err, fs.ErrNotExist) {
		old, err := filepath.Glob(filepath.Join(dir, "*.checkpoint"))
		if err != nil || len(old) > 0 {
			return nil, fmt.Errorf("%w: %s is missing, but %s holds what it cosigned", ErrState, path, dir)
		}
		return createKey(path, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, set it to 0600", ErrState, path, info.Mode().Perm())
	}
	k, err := parseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s does not hold a witness's key", ErrState, path)
	}
	if name != "" && k.name != name {
		return nil, fmt.Errorf("%w: %s is the key of %q, not of %q", ErrName, path, k.name, name)
	}
	return k, nil
}

func createKey(path, name string) (*Key, error) {
	if !wellNamed(name) {
		return nil, fmt.Errorf("%w: %q is none: it has neither spaces nor a plus, and at most %d bytes", ErrName, name, maxOrigin)
	}
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	k := newKey(name, secret)
	data := append([]byte{algCosignature}, secret.Seed()...)
	text := fmt.Sprintf("%s%s+%08x+%s\n", secretPrefix, name, k.hash, base64.StdEncoding.EncodeToString(data))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if err := replace(path, []byte(text)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return k, nil
}

func newKey(name string, secret ed25519.PrivateKey) *Key {
	k := &Key{name: name, secret: secret}
	sum := sha256.Sum256(append([]byte(name+"\n"), k.material()...))
	k.hash = binary.BigEndian.Uint32(sum[:])
	return k
}

func parseKey(text string) (*Key, error) {
	line, ok := strings.CutSuffix(text, "\n")
	line, private := strings.CutPrefix(line, secretPrefix)
	parts := strings.SplitN(line, "+", 3)
	if !ok || !private || len(parts) != 3 || !wellNamed(parts[0]) {
		return nil, ErrState
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	data, err2 := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || err2 != nil || len(data) != 1+ed25519.SeedSize || data[0] != algCosignature {
		return nil, ErrState
	}
	k := newKey(parts[0], ed25519.NewKeyFromSeed(data[1:]))
	if k.hash != uint32(hash) {
		return nil, ErrState
	}
	return k, nil
}

// wellNamed reports whether a signed note can hold the name.
func wellNamed(name string) bool {
	return name != "" && len(name) <= maxOrigin && utf8.ValidString(name) &&
		strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}

// replace puts a file in the place of another so that after a power cut one of
// the two is there whole.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened for this there
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
