// Package witness keeps watch over ledgers for somebody who does not run them:
// a regulator, an auditor, another department.
//
// It promises: for each origin it cosigns one history only. A tree head is
// cosigned when the ledger's key signed it and it is proven to hold everything
// that was cosigned before, and it is on disk before the cosignature leaves. It
// sees sizes and hashes of trees, never a record, and does not judge whether a
// record is true.
//
// The protocol is C2SP tlog-witness, the signatures C2SP tlog-cosignature (v1,
// Ed25519). Nothing here trusts the node that asks.
package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/weir-data/weir/lineage"
)

// Errors of a witness. Those of a request say which answer it gets.
var (
	// ErrState: the folder cannot be used.
	ErrState = errors.New("witness state")
	// ErrName: a witness cannot have, or does not have, this name.
	ErrName = errors.New("witness name")
	// ErrLogKey: what was given is not the public key of a ledger.
	ErrLogKey = errors.New("not the public key of a ledger (name+hash+base64)")
	// ErrLocked: another witness works in the folder.
	ErrLocked = errors.New("another witness uses this folder")
	// ErrRequest: the request is not one.
	ErrRequest = errors.New("not a request to witness a checkpoint")
	// ErrUnknown: no ledger of this origin is watched.
	ErrUnknown = errors.New("no ledger of this origin is watched")
	// ErrSignature: the checkpoint is not signed with the ledger's key.
	ErrSignature = errors.New("the checkpoint is not signed with the ledger's key")
	// ErrFork: the checkpoint does not hold what was cosigned before.
	ErrFork = errors.New("the checkpoint does not hold what was cosigned before")

	// errRoots is the fork that needs no proof to show.
	errRoots = errors.New("two roots of size")
)

// BehindError is the answer to a request that begins at another size than the
// one cosigned last.
type BehindError struct {
	// Size is what was cosigned last, in leaves.
	Size int64
	// Offered is the size of the checkpoint; below Size when the ledger shows
	// less than it did.
	Offered int64
}

// Error names both sizes.
func (e *BehindError) Error() string {
	return fmt.Sprintf("cosigned up to size %d, asked about %d from another size", e.Size, e.Offered)
}

// Config is what a witness needs. Dir, Key and Logs are required.
type Config struct {
	// Dir is the folder of what was cosigned last, ORIGIN.checkpoint, and of
	// what was refused.
	Dir string
	Key *Key
	// Logs are the public keys of the watched ledgers, as `weir lineage key`
	// prints them: the name is the origin. An origin may have several.
	Logs []string
	// Clock gives the cosignatures' times. Default time.Now.
	Clock func() time.Time
	// Log tells of what was refused. Default: nobody.
	Log *slog.Logger
}

// Witness watches ledgers. Safe for concurrent use; whoever opened it closes it.
type Witness struct {
	cfg  Config
	logs map[string]*watched
	lock io.Closer
}

// watched is what is known of one ledger.
type watched struct {
	origin string
	keys   []note.Verifier

	mu   sync.Mutex
	last head // as on disk
	text []byte
}

type head struct {
	size int64
	root tlog.Hash
}

// CheckLog tells whether a text is the public key of a ledger; ErrLogKey if not.
func CheckLog(key string) error {
	_, err := logKey(key)
	return err
}

func logKey(key string) (note.Verifier, error) {
	v, err := note.NewVerifier(key)
	if err != nil || len(v.Name()) > maxOrigin {
		return nil, fmt.Errorf("%w: %q", ErrLogKey, key)
	}
	return v, nil
}

// Open takes the folder for this witness and reads what it has cosigned. A file
// in it that this key did not sign is an error: a witness that forgot its past
// would cosign another.
func Open(cfg Config) (*Witness, error) {
	if cfg.Dir == "" || cfg.Key == nil || len(cfg.Logs) == 0 {
		return nil, fmt.Errorf("%w: no folder, key or ledger to watch", ErrState)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	w := &Witness{cfg: cfg, logs: map[string]*watched{}}
	for _, key := range cfg.Logs {
		v, err := logKey(key)
		if err != nil {
			return nil, err
		}
		l := w.logs[v.Name()]
		if l == nil {
			l = &watched{origin: v.Name()}
			w.logs[v.Name()] = l
		}
		l.keys = append(l.keys, v)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	lock, err := lineage.LockFile(filepath.Join(cfg.Dir, "lock"))
	if errors.Is(err, lineage.ErrLocked) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	w.lock = lock
	for _, l := range w.logs {
		if err := w.recall(l); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	return w, nil
}

// Close gives the folder back.
func (w *Witness) Close() error { return w.lock.Close() }

// maxOrigin bounds an origin, whose escaped form is a file's name.
const maxOrigin = 80

func (w *Witness) path(origin string) string {
	return filepath.Join(w.cfg.Dir, url.PathEscape(origin)+".checkpoint")
}

// recall reads what was cosigned last.
func (w *Witness) recall(l *watched) error {
	text, err := os.ReadFile(w.path(l.origin))
	if errors.Is(err, fs.ErrNotExist) {
		l.last.root = emptyRoot()
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	n, err := note.Open(text, note.VerifierList(w.cfg.Key))
	if err != nil {
		return fmt.Errorf("%w: %s is not cosigned with the key %s", ErrState, w.path(l.origin), w.cfg.Key.Public())
	}
	origin, h, err := parseCheckpoint(n.Text)
	if err != nil || origin != l.origin {
		return fmt.Errorf("%w: %s holds no checkpoint of %s", ErrState, w.path(l.origin), l.origin)
	}
	l.last, l.text = h, text
	return nil
}

// emptyRoot is the root of a tree without leaves (RFC 9162, 2.1.1).
func emptyRoot() tlog.Hash { return sha256.Sum256(nil) }

// Last gives the checkpoint of an origin that was cosigned last, with its
// signatures; nil where none was.
func (w *Witness) Last(origin string) []byte {
	l := w.logs[origin]
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text)
}

// Cosign answers a request: the line of the cosignature, on disk with the
// checkpoint by then. Its errors are a *[BehindError] or this package's.
func (w *Witness) Cosign(body []byte) ([]byte, error) {
	r, err := parseRequest(body)
	if err != nil {
		return nil, err
	}
	l := w.logs[r.origin]
	if l == nil {
		return nil, ErrUnknown
	}
	n, err := note.Open(r.checkpoint, note.VerifierList(l.keys...))
	if err != nil {
		return nil, ErrSignature
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.follows(r); err != nil {
		w.tell(l, r, body, err)
		return nil, err
	}
	line, err := w.cfg.Key.sign(n.Text, w.cfg.Clock())
	if err != nil {
		return nil, err
	}
	// Without signatures of others, which nobody here has checked.
	text := []byte(n.Text + "\n")
	for _, s := range n.Sigs {
		text = fmt.Appendf(text, "\u2014 %s %s\n", s.Name, s.Base64)
	}
	text = append(text, line...)
	if err := replace(w.path(l.origin), text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if l.text == nil {
		w.cfg.Log.Info("cosigned a ledger for the first time", "origin", l.origin, "size", r.head.size)
	}
	l.last, l.text = r.head, text
	return line, nil
}

// follows is nil where the checkpoint holds what was cosigned last.
func (l *watched) follows(r *request) error {
	switch {
	case r.old > r.head.size:
		return fmt.Errorf("%w: the old size is above the new", ErrRequest)
	case r.old != l.last.size:
		return &BehindError{Size: l.last.size, Offered: r.head.size}
	case r.old == r.head.size:
		if l.last.root != r.head.root {
			return fmt.Errorf("%w: %w %d", ErrFork, errRoots, r.old)
		}
		if len(r.proof) > 0 {
			return fmt.Errorf("%w: a proof from a size to itself", ErrRequest)
		}
		return nil
	case r.old == 0:
		if len(r.proof) > 0 {
			return fmt.Errorf("%w: a proof from nothing", ErrRequest)
		}
		return nil
	}
	if err := tlog.CheckTree(r.proof, r.head.size, r.head.root, r.old, l.last.root); err != nil {
		return fmt.Errorf("%w: no proof leads from size %d to %d", ErrFork, r.old, r.head.size)
	}
	return nil
}

// tell logs what a signed checkpoint was refused for, and keeps it where it may
// be evidence against the ledger.
func (w *Witness) tell(l *watched, r *request, body []byte, err error) {
	var behind *BehindError
	switch {
	case errors.As(err, &behind) && behind.Offered < behind.Size:
		w.cfg.Log.Warn("a ledger shows less than was cosigned: rolled back, or an old copy", "origin", l.origin,
			"size", r.head.size, "cosigned", l.last.size)
	case errors.Is(err, ErrFork):
		kept, kerr := w.keep(l, body)
		if kerr != nil {
			w.cfg.Log.Error("what was refused cannot be kept", "origin", l.origin, "error", kerr.Error())
		}
		w.cfg.Log.Error("REFUSED: a ledger shows another history than was cosigned", "origin", l.origin,
			"size", r.head.size, "cosigned", l.last.size, "kept", kept)
	}
}

// maxKept bounds what is kept of refused requests: one is evidence enough.
const maxKept = 64

// keep writes a refused request beside the checkpoint that it contradicts.
func (w *Witness) keep(l *watched, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	name := url.PathEscape(l.origin) + "." + hex.EncodeToString(sum[:8])
	dir := filepath.Join(w.cfg.Dir, "refused")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) >= maxKept {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, replace(path, append(bytes.Clone(l.text), body...))
}

// request is a parsed request to add a checkpoint.
type request struct {
	old        int64
	proof      tlog.TreeProof
	checkpoint []byte
	origin     string
	head       head
}

// Limits of a request.
const (
	maxProof   = 63
	maxRequest = 64 << 10
)

func parseRequest(body []byte) (*request, error) {
	top, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return nil, fmt.Errorf("%w: no empty line before the checkpoint", ErrRequest)
	}
	lines := strings.Split(string(top), "\n")
	old, ok := strings.CutPrefix(lines[0], "old ")
	size, err := parseSize(old)
	if !ok || err != nil {
		return nil, fmt.Errorf("%w: it does not begin with an old size", ErrRequest)
	}
	if len(lines)-1 > maxProof {
		return nil, fmt.Errorf("%w: more than %d lines of proof", ErrRequest, maxProof)
	}
	r := &request{old: size, checkpoint: checkpoint}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return nil, fmt.Errorf("%w: a line of the proof is no hash", ErrRequest)
		}
		r.proof = append(r.proof, h)
	}
	text, _, ok := bytes.Cut(checkpoint, []byte("\n\n"))
	if !ok {
		return nil, fmt.Errorf("%w: the checkpoint is not signed", ErrRequest)
	}
	r.origin, r.head, err = parseCheckpoint(string(text) + "\n")
	return r, err
}

// parseCheckpoint reads a C2SP tlog-checkpoint: origin, size, root, and lines of
// extension, which say nothing here.
func parseCheckpoint(text string) (origin string, h head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" || lines[len(lines)-1] != "" {
		return "", h, fmt.Errorf("%w: the checkpoint has no origin, size and root", ErrRequest)
	}
	if h.size, err = parseSize(lines[1]); err != nil {
		return "", h, fmt.Errorf("%w: the checkpoint names no size", ErrRequest)
	}
	if h.root, err = tlog.ParseHash(lines[2]); err != nil {
		return "", h, fmt.Errorf("%w: the checkpoint names no root", ErrRequest)
	}
	if h.size == 0 && h.root != emptyRoot() {
		return "", h, fmt.Errorf("%w: a tree without leaves has one root only", ErrRequest)
	}
	return lines[0], h, nil
}

// parseSize reads a size in its one spelling.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, ErrRequest
	}
	return n, nil
}
