package verify

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// blindSize and commitSize are those of an encrypted frame.
const (
	blindSize  = 16
	commitSize = 16
)

// keyName is the month, in months since January of the year 0, and the level of
// a data key.
type keyName struct {
	month uint64
	level byte
}

func (n keyName) String() string {
	return fmt.Sprintf("%04d-%02d.%d", n.month/12, n.month%12+1, n.level)
}

// segmentKey is a key that a segment names.
type segmentKey struct {
	name keyName
	id   [16]byte
	data *dataKey // nil where it is not at hand

	contexts, shapes []entryOf[Record]
	names            []entryOf[string]
}

func parseKeyFrame(body []byte) (*segmentKey, error) {
	p := parser{b: body}
	k := &segmentKey{name: keyName{p.uvarint(), p.byte()}}
	copy(k.id[:], p.bytes(uint64(len(k.id))))
	if k.name.month > 9999*12+11 {
		p.bad = true
	}
	return k, p.end()
}

// dataKey opens the frames of a month and level.
type dataKey struct{ stream, blind cipher.Block }

// open gives blinding value and plaintext of a frame.
func (k *dataKey) open(f frame) []byte {
	link := f.link()
	out := make([]byte, blindSize+len(f.body())-commitSize)
	k.blind.Encrypt(out[:blindSize], link)
	cipher.NewCTR(k.stream, link).XORKeyStream(out[blindSize:], f.body()[commitSize:])
	return out
}

// plaintext gives what an opening says, if it is what the frame commits to.
func plaintext(f frame, opening []byte, meaning ...digest) ([]byte, error) {
	if len(f.body()) < commitSize || len(opening) != blindSize+len(f.body())-commitSize {
		return nil, errors.New("the opening of the frame is of another length")
	}
	h := sha256.New()
	_, _ = h.Write([]byte("weir frame 2"))
	_, _ = h.Write(opening[:blindSize])
	_, _ = h.Write(f.bytes[4:headerSize])
	for i := range meaning {
		_, _ = h.Write(meaning[i][:])
	}
	_, _ = h.Write(opening[blindSize:])
	if subtle.ConstantTimeCompare(h.Sum(nil)[:commitSize], f.body()[:commitSize]) != 1 {
		return nil, errors.New("the frame says something else than it commits to")
	}
	return opening[blindSize:], nil
}

// readingKey opens the files of data keys.
type readingKey map[string]cipher.AEAD // by the id of the key, in hexadecimal

// parseReadingKey takes a key ring's file.
func parseReadingKey(text string) (readingKey, error) {
	bad := fmt.Errorf("%w: the reading key is not a key ring's file, unchanged: with neither CRLF line ends nor a byte-order mark", ErrInput)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != "weir keyring v1" {
		return nil, bad
	}
	out := readingKey{}
	for _, line := range lines[2:] {
		parts := strings.Split(line, " ")
		if len(parts) != 3 || parts[0] != "key" {
			return nil, bad
		}
		secret, err := base64.RawURLEncoding.DecodeString(parts[2])
		if err != nil || len(secret) != 32 {
			return nil, bad
		}
		key, err := hkdf.Key(sha256.New, secret, nil, "weir/keyring/v1\x00ledger encryption\x00seal", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if out[parts[1]], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unwrap opens a data key's file.
func (r readingKey) unwrap(file []byte, n keyName) (*dataKey, error) {
	text, sealed, ok := strings.Cut(string(file), "sealed ")
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(sealed, "\n"))
	if !ok || err != nil || len(raw) < 16 || !strings.Contains(text, fmt.Sprintf("\nmonth %04d-%02d\nlevel %d\n", n.month/12, n.month%12+1, n.level)) {
		return nil, fmt.Errorf("the file of the data key %s does not parse", n)
	}
	aead := r[hex.EncodeToString(raw[:4])]
	if aead == nil {
		return nil, fmt.Errorf("%w: the reading key does not open the data key %s", ErrInput, n)
	}
	padded, err := aead.Open(nil, raw[4:16], raw[16:], []byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: the reading key does not open the data key %s", ErrInput, n)
	}
	secret := []byte(strings.TrimSuffix(strings.TrimRight(string(padded), "\x00"), "\x80"))
	if len(secret) != 64 {
		return nil, fmt.Errorf("the data key %s is not 64 bytes", n)
	}
	stream, err1 := aes.NewCipher(secret[:32])
	blind, err2 := aes.NewCipher(secret[32:])
	return &dataKey{stream, blind}, errors.Join(err1, err2)
}

// keyFolder is the folder of the wrapped data keys.
type keyFolder struct {
	dir     string
	there   bool // a copy may come without it
	reading readingKey
	known   map[[16]byte]*dataKey
	missing map[keyName]bool // named, and not in a copy without the folder
	gone    map[[16]byte]keyName
	acts    map[[16]byte]bool // recorded
	origin  string
	who     signatories
	looked  []Act // acts whose text was looked at
}

// openKeyFolder lists it. What does not belong there is a TamperError.
func openKeyFolder(dir, origin string, reading readingKey, who signatories) (*keyFolder, error) {
	k := &keyFolder{
		dir: filepath.Join(dir, "keys"), origin: origin, reading: reading, who: who, known: map[[16]byte]*dataKey{},
		missing: map[keyName]bool{}, gone: map[[16]byte]keyName{}, acts: map[[16]byte]bool{},
	}
	entries, err := os.ReadDir(k.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	k.there = true
	for _, e := range entries {
		base, suffix := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		if !e.Type().IsRegular() || !isKeyName(base) || suffix != ".key" && suffix != ".dropped" && suffix != ".new" {
			return nil, &TamperError{File: filepath.Join(k.dir, e.Name()), Reason: "this file is not part of a ledger"}
		}
	}
	return k, nil
}

// drop reads the frame of an act, and holds the act's text and the record in
// front of it against it.
func (k *keyFolder) drop(body []byte, told *saying) error {
	p := parser{b: body}
	n := keyName{p.uvarint(), p.byte()}
	var id [16]byte
	copy(id[:], p.bytes(16))
	sum := p.bytes(sha256.Size)
	if err := p.end(); err != nil {
		return err
	}
	if err := told.inTime(n, sum); err != nil {
		return err
	}
	again := k.acts[id] // a drop that was cut short is recorded twice
	k.acts[id] = true
	if !k.there {
		return nil
	}
	path := filepath.Join(k.dir, n.String()+".dropped")
	text, err := os.ReadFile(path) //nolint:gosec // numbers
	if errors.Is(err, fs.ErrNotExist) {
		return &fault{reason: fmt.Sprintf("the log records an act that dropped %s, and %s is missing", n, path)}
	}
	if err != nil {
		return err
	}
	if got := sha256.Sum256(text); string(got[:]) != string(sum) {
		return &fault{reason: path + " is not the act that the log records"}
	}
	a, err := readAct(string(text), k.origin, n, id, k.who)
	if err != nil {
		return &fault{reason: fmt.Sprintf("%s: %s", path, err)}
	}
	if !again {
		k.looked = append(k.looked, a)
	}
	return nil
}

// unrecorded finds a key that is gone, and no act that dropped it.
func (k *keyFolder) unrecorded() error {
	for id, n := range k.gone {
		if !k.acts[id] {
			return &TamperError{File: filepath.Join(k.dir, n.String()+".dropped"), Reason: "the data key is gone, and the log records no act that dropped it"}
		}
	}
	return nil
}

func isKeyName(s string) bool {
	month, level, _ := strings.Cut(s, ".")
	y, m, _ := strings.Cut(month, "-")
	year, err1 := strconv.ParseUint(y, 10, 16)
	number, err2 := strconv.ParseUint(m, 10, 8)
	l, err3 := strconv.ParseUint(level, 10, 8)
	return errors.Join(err1, err2, err3) == nil && number >= 1 && number <= 12 &&
		keyName{year*12 + number - 1, byte(l)}.String() == s
}

// find holds the file of a key against the id by which a segment names it, and
// opens it where there is a reading key.
func (k *keyFolder) find(s *segmentKey) error {
	if d, ok := k.known[s.id]; ok {
		s.data = d
		return nil
	}
	if !k.there {
		k.missing[s.name] = true
		return nil
	}
	path := filepath.Join(k.dir, s.name.String())
	b, err := os.ReadFile(path + ".key") //nolint:gosec // numbers
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(path + ".dropped"); err == nil { //nolint:gosec // numbers
			k.known[s.id], k.gone[s.id] = nil, s.name
			return nil
		}
		return &fault{reason: fmt.Sprintf("the data key %s.key is missing, and nothing says that it was dropped", path)}
	}
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(b); [16]byte(sum[:16]) != s.id {
		return &fault{reason: path + ".key is not the file that the log names"}
	}
	if k.reading != nil {
		if s.data, err = k.reading.unwrap(b, s.name); err != nil {
			return err
		}
	}
	k.known[s.id] = s.data
	return nil
}
