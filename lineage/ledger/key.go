package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Key signs checkpoints and receipts of one origin. It is safe for concurrent
// use and never prints its secret.
type Key struct {
	signer note.Signer
	public string
}

// Public is the verifier key, as `weir lineage verify --key` takes it.
func (k *Key) Public() string { return k.public }

// String is the public key.
func (k *Key) String() string { return k.public }

// GoString is as String, for %#v.
func (k *Key) GoString() string { return k.public }

// CreateKey makes a key for an origin and writes it to a file that must not
// exist and that only its owner may read.
func CreateKey(path, origin string) (*Key, error) {
	secret, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("ledger key: %w", err)
	}
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("ledger key: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("ledger key: %w", err)
	}
	return parseKey(path, secret, origin)
}

// LoadKey reads a file that CreateKey wrote, for the same origin. Errors name
// the file, never what stands there.
func LoadKey(path, origin string) (*Key, error) {
	info, err := os.Stat(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("ledger key: %w", err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > 1<<10:
		return nil, fmt.Errorf("%w: %s is not a key file", ErrKey, path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: %s has mode %04o, set it to 0600", ErrKey, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("ledger key: %w", err)
	}
	secret, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return nil, fmt.Errorf("%w: %s: the line does not end", ErrKey, path)
	}
	return parseKey(path, secret, origin)
}

func parseKey(path, secret, origin string) (*Key, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %s does not hold one", ErrKey, path)
	}
	if signer.Name() != origin {
		return nil, fmt.Errorf("%w: %s is the key of origin %q, this node is %q", ErrKey, path, signer.Name(), origin)
	}
	// PRIVATE+KEY+name+hash+data; neither name nor hash holds a plus, the data's
	// base64 may. NewSigner has checked it: algorithm 1, then the seed.
	parts := strings.SplitN(secret, "+", 5)
	data, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(data) != 1+ed25519.SeedSize {
		return nil, fmt.Errorf("%w: %s does not hold one", ErrKey, path)
	}
	public, ok := ed25519.NewKeyFromSeed(data[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s does not hold one", ErrKey, path)
	}
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return &Key{signer: signer, public: vkey}, nil
}

// KeyFor loads the key of a node, or makes one for a node whose ledger has no
// tree yet. A key that is gone while the tree is there is not replaced in
// silence: nobody could check what it signed against the new one.
func KeyFor(path, dir, origin string) (*Key, error) {
	k, err := LoadKey(path, origin)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if _, err := os.Stat(filepath.Join(treeDir(dir), "checkpoint")); err == nil {
		return nil, fmt.Errorf("%w: %s is missing, but the ledger %s is signed with it", ErrKey, path, dir)
	}
	return CreateKey(path, origin)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened for this there
	}
	d, err := os.Open(dir) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
