package lineage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-data/weir/schema"
)

// KeysFolder is the folder, within a log's own, of the wrapped data keys.
const KeysFolder = "keys"

// Suffixes of the files in it.
const (
	keySuffix     = ".key"
	droppedSuffix = ".dropped"
	newSuffix     = ".new"
)

// Errors of keys.
var (
	// ErrReadingKey: the reading key is not the one that the data keys were
	// wrapped under, or there is none.
	ErrReadingKey = errors.New("the ledger's reading key does not fit")
	// ErrKeyMissing: a data key's file is gone or changed, and no act dropped it.
	ErrKeyMissing = errors.New("a data key of the ledger is missing")
)

// Sealer wraps data keys under the ledger's reading key: authenticated
// encryption, bound to aad. Safe for concurrent use.
type Sealer interface {
	Seal(plaintext, aad []byte) []byte
	Open(sealed, aad []byte) ([]byte, error)
}

// Month counts from January of the year 0: 12 for each year.
type Month uint32

// MonthOf is the month of a time in UTC. Years outside of four digits count as
// the nearest that has them.
func MonthOf(t time.Time) Month {
	year, month, _ := t.UTC().Date()
	switch {
	case year < 0:
		return 0
	case year > 9999:
		return 9999*12 + 11
	}
	return Month(year*12 + int(month) - 1)
}

// Start is its first moment.
func (m Month) Start() time.Time {
	return time.Date(int(m/12), time.Month(m%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// String is as in 2026-11.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m/12, m%12+1) }

// ParseMonth is the inverse of [Month.String]; every other spelling is an error.
func ParseMonth(s string) (Month, error) {
	year, month, _ := strings.Cut(s, "-")
	y, err1 := strconv.ParseUint(year, 10, 16)
	m, err2 := strconv.ParseUint(month, 10, 8)
	out := Month(y*12 + m - 1)
	if err1 != nil || err2 != nil || m == 0 || m > 12 || out.String() != s {
		return 0, errors.New("a month is four digits of the year, a hyphen and two digits: 2026-11")
	}
	return out, nil
}

// KeyName says what a data key is for: the records of a level and a month. A
// month whose key was dropped is never written again: a clock that goes back
// finds the next month that has not been.
type KeyName struct {
	Month Month
	Level schema.Rank
}

// String is as in 2026-11.3: the month and the rank of the level, from 0.
func (n KeyName) String() string { return n.Month.String() + "." + strconv.Itoa(int(n.Level)) }

func parseKeyName(s string) (KeyName, bool) {
	month, level, _ := strings.Cut(s, ".")
	m, err1 := ParseMonth(month)
	l, err2 := strconv.ParseUint(level, 10, 8)
	n := KeyName{m, schema.Rank(l)}
	return n, err1 == nil && err2 == nil && n.String() == s
}

// KeyID is the first half of the SHA-256 of a data key's file; segments name
// their keys by it, so that the tree commits to the files.
type KeyID [16]byte

// String is the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParseKeyID is the inverse of [KeyID.String].
func ParseKeyID(s string) (id KeyID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, errors.New("the id of a key is 32 hexadecimal digits")
	}
	return KeyID(b), nil
}

const keyHeadline = "weir ledger key 1"

// keyText is what the wrapping is bound to: the lines above the wrapped key.
func keyText(origin string, n KeyName, made time.Time) string {
	return fmt.Sprintf("%s\norigin %s\nmonth %s\nlevel %d\nmade %s\n", keyHeadline, origin, n.Month, n.Level, made.UTC().Format(time.RFC3339))
}

const wordSealed = "sealed "

func keyIDOf(file []byte) KeyID {
	sum := sha256.Sum256(file)
	return KeyID(sum[:len(KeyID{})])
}

// openKeyFile takes a data key's file apart, which was read from a path.
func openKeyFile(path string, file []byte, n KeyName, reading Sealer) (*dataKey, error) {
	text, sealed, ok := strings.Cut(string(file), wordSealed)
	sealed, ends := strings.CutSuffix(sealed, "\n")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	want := fmt.Sprintf("\nmonth %s\nlevel %d\n", n.Month, n.Level)
	if !ok || !ends || err != nil || strings.ContainsAny(sealed, "\r\n") || !strings.HasPrefix(text, keyHeadline+"\n") || !strings.Contains(text, want) {
		return nil, fmt.Errorf("%w: %s is damaged: it is not a data key's file", ErrKeyMissing, path)
	}
	secret, err := reading.Open(raw, []byte(text))
	if err != nil || len(secret) != dataKeySize {
		return nil, fmt.Errorf("%w: it does not open %s", ErrReadingKey, path)
	}
	return newDataKey(keyIDOf(file), secret)
}

// keys are the data keys that a log writes with. Safe for concurrent use.
type keys struct {
	fs     FS
	dir    string // the keys' folder
	origin string
	clock  func() time.Time
	// reading wraps them; nil for keys that live in this process's memory alone.
	reading Sealer

	making  sync.Mutex // held while a file is read or made
	mu      sync.Mutex // guards what follows; never held over a file's operation
	known   map[KeyName]*dataKey
	dropped map[KeyName]bool
	newest  *KeyName // whose file was there when the folder was opened; nil for none
}

// openKeys looks into the folder of the keys. It opens none yet: see [keys.check].
func openKeys(files FS, dir, origin string, clock func() time.Time, reading Sealer) (*keys, error) {
	k := &keys{
		fs: files, dir: keysDir(dir), origin: origin, clock: clock, reading: reading,
		known: map[KeyName]*dataKey{}, dropped: map[KeyName]bool{},
	}
	if reading == nil {
		return k, nil
	}
	if err := errors.Join(files.MakeDir(k.dir), files.SyncDir(dir)); err != nil {
		return nil, err
	}
	all, err := listKeys(files, k.dir)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		switch {
		case f.suffix == droppedSuffix:
			k.dropped[f.name] = true
		case f.suffix == keySuffix && (k.newest == nil || f.name.Month >= k.newest.Month):
			k.newest = &f.name
		}
	}
	return k, nil
}

func keysDir(dir string) string { return filepath.Join(dir, KeysFolder) }

// keyFile is a name in the folder of the keys.
type keyFile struct {
	name   KeyName
	suffix string
}

// listKeys refuses what does not belong there.
func listKeys(files FS, dir string) ([]keyFile, error) {
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []keyFile
	for _, name := range names {
		suffix := filepath.Ext(name)
		n, ok := parseKeyName(strings.TrimSuffix(name, suffix))
		if !ok || suffix != keySuffix && suffix != droppedSuffix && suffix != newSuffix {
			return nil, fmt.Errorf("%w: %s; the folder of the keys holds nothing else", ErrForeign, filepath.Join(dir, name))
		}
		out = append(out, keyFile{n, suffix})
	}
	return out, nil
}

func (k *keys) path(n KeyName, suffix string) string {
	return filepath.Join(k.dir, n.String()+suffix)
}

// check wants every key that the log names to be there, or to have been
// dropped: what a folder restored in part lacks shows before anything is added.
// Then it opens the newest, so that a wrong reading key is found at once, and not
// blamed for a file that was changed.
func (k *keys) check(named []*keyed) error {
	for _, n := range named {
		if k.reading == nil || k.dropped[n.name] {
			continue
		}
		b, err := readAll(k.fs, k.path(n.name, keySuffix))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: %s", ErrKeyMissing, k.path(n.name, keySuffix))
		case err != nil:
			return err
		case keyIDOf(b) != n.id:
			return fmt.Errorf("%w: %s is not the file that the log names", ErrKeyMissing, k.path(n.name, keySuffix))
		}
	}
	if k.newest == nil || k.dropped[*k.newest] {
		return nil
	}
	_, err := k.load(*k.newest)
	return err
}

// forWriting gives the key of a month and level, or of the next month whose key
// was not dropped; nil where it is not at hand: see [keys.fetch].
func (k *keys) forWriting(n KeyName) (KeyName, *dataKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.dropped[n] {
		n.Month++
	}
	return n, k.known[n]
}

// fetch brings a key to hand, and makes it where there is none. It is on disk
// for good then, so before anything is encrypted with it. After an error nothing
// is known of it and it may be fetched again; errSync among them is the disk's
// that lied.
func (k *keys) fetch(n KeyName) error {
	k.making.Lock()
	defer k.making.Unlock()
	n, d := k.forWriting(n)
	if d != nil {
		return nil
	}
	d, err := k.load(n)
	if errors.Is(err, fs.ErrNotExist) {
		d, err = k.create(n)
	}
	if err != nil {
		return fmt.Errorf("data key %s: %w", n, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[n] = d
	return nil
}

func (k *keys) load(n KeyName) (*dataKey, error) {
	if k.reading == nil {
		return nil, fs.ErrNotExist
	}
	b, err := readAll(k.fs, k.path(n, keySuffix))
	if err != nil {
		return nil, err
	}
	return openKeyFile(k.path(n, keySuffix), b, n, k.reading)
}

// create draws a key. Nothing else gives it: what is dropped cannot be derived
// again.
func (k *keys) create(n KeyName) (*dataKey, error) {
	var secret [dataKeySize]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	if k.reading == nil {
		var id KeyID
		if _, err := rand.Read(id[:]); err != nil {
			return nil, err
		}
		return newDataKey(id, secret[:])
	}
	text := keyText(k.origin, n, k.clock())
	text += wordSealed + base64.RawURLEncoding.EncodeToString(k.reading.Seal(secret[:], []byte(text))) + "\n"
	if err := k.put(k.path(n, keySuffix), k.path(n, newSuffix), []byte(text)); err != nil {
		return nil, err
	}
	return newDataKey(keyIDOf([]byte(text)), secret[:])
}

// put makes a file that is there whole or not at all, and for good.
func (k *keys) put(path, temporary string, text []byte) error {
	return putFile(k.fs, k.dir, path, temporary, text)
}

func putFile(files FS, dir, path, temporary string, text []byte) error {
	if err := files.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := files.Create(temporary)
	if err != nil {
		return err
	}
	n, err := file.WriteAt(text, 0)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("%w of %s: %w", errSync, temporary, err), file.Close())
	}
	if err := errors.Join(file.Close(), files.Rename(temporary, path)); err != nil {
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return fmt.Errorf("%w of %s: %w", errSync, dir, err)
	}
	return nil
}

// readAll reads a small file.
func readAll(files FS, path string) ([]byte, error) {
	f, err := files.Open(path, false)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	const most = 64 << 10
	b := make([]byte, min(size, most))
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], errors.Join(err, f.Close())
}
