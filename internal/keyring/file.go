package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	fileHeader = "weir keyring v1"
	// maxFile is far above what maxKeys lines need.
	maxFile = 16 << 10
)

// Load reads a ring from a file that [Ring.Save] wrote:
//
//	weir keyring v1
//	active 5f3a9c01
//	key 5f3a9c01 <32 bytes, URL-safe base64>
//	key 0b77e2d4 <32 bytes, URL-safe base64>
//
// Anything else in it is refused, as is a file that group or others may touch.
// Errors name the file and the line, never what stands there.
func Load(path string) (*Ring, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrKeyring, path)
	}
	// Windows has no such bits: its access lists guard the state folder.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, set it to 0600", ErrPermission, path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrKeyring, path, maxFile)
	}
	r, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKeyring, path, err)
	}
	return r, nil
}

// Save writes the ring to a file that only its owner may read. An existing file
// is replaced as a whole; a crash leaves the old one or the new one.
func (r *Ring) Save(path string) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keyring-*") // created with mode 0600
	if err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(r.text()); err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	if err = f.Sync(); err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	if err = f.Close(); err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	return syncDir(dir)
}

// syncDir makes the new name last through a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened for this there
	}
	d, err := os.Open(dir) //nolint:gosec // the path is the operator's
	if err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	err = errors.Join(d.Sync(), d.Close())
	if err != nil {
		return fmt.Errorf("key ring: %w", err)
	}
	return nil
}

func (r *Ring) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nactive %s\n", fileHeader, r.Active())
	for _, k := range r.keys {
		fmt.Fprintf(&b, "key %s %s\n", k.id, base64.RawURLEncoding.EncodeToString(k.secret[:]))
	}
	return b.Bytes()
}

func parse(text []byte) (*Ring, error) {
	body, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return nil, errors.New("the last line does not end")
	}
	lines := strings.Split(body, "\n")
	if lines[0] != fileHeader {
		return nil, fmt.Errorf("line 1: want %q", fileHeader)
	}
	if len(lines) < 3 {
		return nil, errors.New("no keys")
	}
	if len(lines)-2 > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	word, rest, _ := strings.Cut(lines[1], " ")
	active, err := parseID(rest)
	if word != "active" || err != nil {
		return nil, errors.New(`line 2: want "active" and a key id`)
	}
	var keys []*key
	for i, line := range lines[2:] {
		k, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+3, err)
		}
		if find(keys, k.id) != nil {
			return nil, fmt.Errorf("line %d: key %s stands twice", i+3, k.id)
		}
		if k.id == active {
			keys = append([]*key{k}, keys...)
		} else {
			keys = append(keys, k)
		}
	}
	if keys[0].id != active {
		return nil, fmt.Errorf("the active key %s is not in the ring", active)
	}
	return newRing(keys), nil
}

func parseKey(line string) (*key, error) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[0] != "key" {
		return nil, errors.New(`want "key", an id and a secret`)
	}
	id, err := parseID(parts[1])
	if err != nil {
		return nil, err
	}
	secret, err := DecodeText(parts[2])
	if err != nil || len(secret) != secretSize {
		return nil, fmt.Errorf("the secret of key %s is not %d bytes of URL-safe base64", id, secretSize)
	}
	k := &key{id: id, secret: [secretSize]byte(secret)}
	if k.secret == [secretSize]byte{} {
		return nil, fmt.Errorf("the secret of key %s is all zero", id)
	}
	return k, nil
}

func parseID(s string) (id KeyID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return id, errors.New("a key id is eight lower-case hexadecimal digits")
	}
	return KeyID(b), nil
}
