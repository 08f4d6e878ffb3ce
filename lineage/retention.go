package lineage

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrRetention says that a data key is not to be dropped, or not by this act.
var ErrRetention = errors.New("the data key is not dropped")

// Act is the dropping of a data key. Who may order it is decided above: the log
// keeps the text, and records its hash.
type Act struct {
	Name KeyName
	Key  KeyID
	// Text is what was signed; it stays in the key's place.
	Text string
}

// KindRetention is the kind of the records of acts.
const KindRetention = "retention"

// Record is what an act is recorded as.
func (a *Act) Record() *Record {
	return &Record{Kind: KindRetention, Operation: a.Name.String(), Document: ActDigest(a.Text), Status: "ok"}
}

// Dropped tells which key a record says was dropped; false for the records that
// are of no act.
func (r *Record) Dropped() (KeyName, bool) {
	if r.Kind != KindRetention {
		return KeyName{}, false
	}
	return parseKeyName(r.Operation)
}

// KeyStatus is a data key of a ledger's folder.
type KeyStatus struct {
	Name KeyName
	Key  KeyID // zero where its file is gone
	// Act is the text of the act that dropped it, "" for none.
	Act string
	// There: its file is. With an act it is about to go.
	There bool
}

// Keys lists the data keys of a folder by month and level. It opens none.
func Keys(f Folder) ([]KeyStatus, error) {
	k := &keys{fs: f.fs(), dir: keysDir(f.Dir)}
	return k.list()
}

func (k *keys) list() ([]KeyStatus, error) {
	files, err := listKeys(k.fs, k.dir)
	if err != nil {
		return nil, err
	}
	var out []KeyStatus
	for _, f := range files { // sorted by name: .dropped, .key, .new
		if f.suffix == newSuffix {
			continue
		}
		if n := len(out); n == 0 || out[n-1].Name != f.name {
			out = append(out, KeyStatus{Name: f.name})
		}
		last := &out[len(out)-1]
		b, err := readAll(k.fs, k.path(f.name, f.suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		if f.suffix == droppedSuffix {
			last.Act = string(b)
		} else {
			last.Key, last.There = keyIDOf(b), true
		}
	}
	return out, nil
}

// Drop redacts the records of a month that is over and a level, for good. The
// act's text takes the key's place, is recorded together with r, and only when
// that is on disk does the key go. It may be called again after an error, or
// after a crash, with the same act: see [Log.Unfinished].
func (l *Log) Drop(ctx context.Context, act Act, r *Record) error {
	k := l.enc.keys
	if act.Name.Month >= MonthOf(l.config.Clock()) {
		return fmt.Errorf("%w: the month %s is not over", ErrRetention, act.Name.Month)
	}
	if err := k.entomb(act); err != nil {
		return err
	}
	l.mu.Lock()
	for n, d := range l.enc.dictionaries {
		if d.key.id == act.Key {
			delete(l.enc.dictionaries, n)
		}
	}
	l.mu.Unlock()
	_, ticket, err := l.put(ctx, r, &act)
	if err != nil {
		return err
	}
	if err := ticket.Wait(ctx, Synced); err != nil {
		return err
	}
	return k.remove(act.Name)
}

// Resume ends the drop of an act that was begun and then cut short, where the log
// has recorded it: the key goes. Else it gives false and changes nothing: whether
// [Log.Drop] is to be called once more is for those who may order it, since a
// text in the key's place is nobody's word yet. It reads the log from its
// beginning.
func (l *Log) Resume(act Act) (recorded bool, err error) {
	sum := sha256.Sum256([]byte(act.Text))
	f := NewFrames(l.config.Dir, 0)
	f.r.fs = l.config.Files
	defer f.Close()
	for {
		next, err := f.Next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		case frame(next.Bytes).kind() != frameDrop:
			continue
		}
		n, id, digest, err := keyDropped(next.Bytes)
		if err != nil {
			return false, err
		}
		if n == act.Name && id == act.Key && digest == sum {
			return true, l.enc.keys.remove(act.Name)
		}
	}
}

// Unfinished are the acts that were begun, and whose key is still there.
func (l *Log) Unfinished() ([]Act, error) {
	all, err := l.enc.keys.list()
	if err != nil {
		return nil, err
	}
	var out []Act
	for _, s := range all {
		if s.There && s.Act != "" {
			out = append(out, Act{s.Name, s.Key, s.Act})
		}
	}
	return out, nil
}

// entomb puts an act in the place of a key. From then on nothing is written
// with the key.
func (k *keys) entomb(act Act) error {
	if k.reading == nil {
		return fmt.Errorf("%w: the keys of this log are in memory alone", ErrRetention)
	}
	k.making.Lock()
	defer k.making.Unlock()
	b, err := readAll(k.fs, k.path(act.Name, keySuffix))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := readAll(k.fs, k.path(act.Name, droppedSuffix)); err == nil {
			return fmt.Errorf("%w: the key %s was dropped before", ErrRetention, act.Name)
		}
		return fmt.Errorf("%w: there is no key %s", ErrRetention, act.Name)
	}
	if err != nil {
		return err
	}
	if keyIDOf(b) != act.Key {
		return fmt.Errorf("%w: the key %s is another than the act's", ErrRetention, act.Name)
	}
	old, err := readAll(k.fs, k.path(act.Name, droppedSuffix))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := k.put(k.path(act.Name, droppedSuffix), k.path(act.Name, newSuffix), []byte(act.Text)); err != nil {
			return err
		}
	case err != nil:
		return err
	case string(old) != act.Text:
		return fmt.Errorf("%w: another act has begun to drop %s", ErrRetention, act.Name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropped[act.Name] = true
	delete(k.known, act.Name)
	return nil
}

// remove takes a key's file away.
func (k *keys) remove(n KeyName) error {
	if err := k.fs.Remove(k.path(n, keySuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return k.fs.SyncDir(k.dir)
}

// drop appends the frame that an act is recorded with.
func (e *encoder) drop(buf []byte, act *Act) []byte {
	start := len(buf)
	buf = e.open(buf, frameDrop, 0, false)
	buf = binary.AppendUvarint(buf, uint64(act.Name.Month))
	buf = append(append(buf, byte(act.Name.Level)), act.Key[:]...)
	sum := sha256.Sum256([]byte(act.Text))
	buf = append(buf, sum[:]...)
	e.close(buf[start:])
	return buf
}

// parseDrop checks the form of such a frame.
func parseDrop(f frame) error {
	p := parser{b: f.body()}
	p.uvarint()
	p.byte()
	p.bytes(len(KeyID{}) + sha256.Size)
	if f.key() != 0 {
		return errBody
	}
	return p.end()
}

// ActDigest is the SHA-256 of an act's text in hexadecimal, as records name it.
func ActDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
