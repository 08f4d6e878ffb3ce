package lineage

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/schema"
)

// monthly is a log whose clock stands where it is put, and the first texts of
// which are canaries.
type monthly struct {
	t     *testing.T
	dir   string
	clock time.Time
	log   *Log
}

func newMonthly(t *testing.T, at string) *monthly {
	m := &monthly{t: t, dir: filepath.Join(t.TempDir(), "ledger")}
	m.set(at)
	m.open()
	return m
}

func (m *monthly) set(at string) { m.clock = must(time.Parse(time.DateTime, at)) }

func (m *monthly) open() {
	m.t.Helper()
	var err error
	m.log, err = Open(Config{Dir: m.dir, Origin: "node-a", Reading: testReading, Clock: func() time.Time { return m.clock }})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *monthly) close() {
	m.t.Helper()
	if err := m.log.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// canaries are in every text of a record that a requester or a deployment
// chooses.
func (m *monthly) add(mark string, level schema.Rank) Position {
	m.t.Helper()
	r := sampleRecord()
	r.Level, r.RequestID, r.Subject, r.Operation, r.Application = level, "request-"+mark, "subject-"+mark, "Op"+mark, "app-"+mark
	r.Sources[0].Department = "department-" + mark
	p, ticket, err := m.log.Append(m.t.Context(), r)
	if err == nil {
		err = ticket.Wait(m.t.Context(), Synced)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

// contents are those of all records, as far as a folder opens them.
func contents(t *testing.T, f Folder) (out []string) {
	t.Helper()
	for e, err := range Read(f, 0) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Content {
		case Readable:
			out = append(out, e.Record.RequestID)
		case Sealed:
			out = append(out, "sealed "+e.Key.String())
		case Redacted:
			out = append(out, "redacted "+e.Key.String())
		}
		if e.Content != Readable && (!e.Time.IsZero() || e.Record.Kind != "") {
			t.Errorf("%s is closed and says %+v", e.Position, e.Record)
		}
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// holding are the files under a folder that hold a text, as it is.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDataKeys: each month and level has a key; without the reading key there is
// order and nothing else; without one data key the others open as before.
func TestDataKeys(t *testing.T) {
	m := newMonthly(t, "2026-10-31 23:59:59")
	m.add("a", 1)
	m.add("b", 3)
	m.set("2026-11-01 00:00:00") // the same segment
	m.add("c", 3)
	m.close()
	m.open()
	m.add("d", 3)
	m.close()
	keys := must(listKeys(OS(), filepath.Join(m.dir, KeysFolder)))
	if len(keys) != 3 {
		t.Errorf("keys: %v", keys)
	}
	expect(t, contents(t, opened(m.dir)), "request-a", "request-b", "request-c", "request-d")
	expect(t, contents(t, Folder{Dir: m.dir}), "sealed 2026-10.1", "sealed 2026-10.3", "sealed 2026-11.3", "sealed 2026-11.3")
	for _, text := range []string{"request-a", "subject-b", "Opc", "app-d", "department-a", "public-security", "newborn"} {
		if found := holding(t, m.dir, text); len(found) > 0 {
			t.Errorf("%q stands in %v", text, found)
		}
	}
	path := filepath.Join(m.dir, KeysFolder, "2026-10.3")
	if err := os.Rename(path+keySuffix, path+droppedSuffix); err != nil {
		t.Fatal(err)
	}
	expect(t, contents(t, opened(m.dir)), "request-a", "redacted 2026-10.3", "request-c", "request-d")
	expect(t, contents(t, Folder{Dir: m.dir}), "sealed 2026-10.1", "redacted 2026-10.3", "sealed 2026-11.3", "sealed 2026-11.3")
}

// TestClockFindsNoDroppedKey: a clock that goes back to a month whose key was
// dropped does not bring the key back, nor stop the log.
func TestClockFindsNoDroppedKey(t *testing.T) {
	m := newMonthly(t, "2026-10-15 00:00:00")
	m.add("a", 3)
	m.set("2026-12-01 00:00:00")
	m.add("b", 3)
	m.close()
	path := filepath.Join(m.dir, KeysFolder, "2026-10.3")
	if err := os.Rename(path+keySuffix, path+droppedSuffix); err != nil {
		t.Fatal(err)
	}
	m.set("2026-10-20 00:00:00")
	m.open()
	m.add("c", 3)
	m.add("d", 2)
	m.set("1969-01-01 00:00:00")
	m.add("e", 2)
	m.close()
	expect(t, contents(t, opened(m.dir)), "redacted 2026-10.3", "request-b", "request-c", "request-d", "request-e")
	for _, name := range []string{"2026-11.3.key", "2026-10.2.key", "1969-01.2.key"} {
		if _, err := os.Stat(filepath.Join(m.dir, KeysFolder, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestWrongKeys: nothing is written beside keys that do not fit, and nothing is
// read as something else.
func TestWrongKeys(t *testing.T) {
	m := newMonthly(t, "2026-10-15 00:00:00")
	m.add("a", 3)
	m.close()
	reopen := func(reading Sealer) error {
		l, err := Open(Config{Dir: m.dir, Origin: "node-a", Reading: reading})
		if err == nil {
			err = l.Close()
		}
		return err
	}
	other := boxOf("another")
	path := filepath.Join(m.dir, KeysFolder, "2026-10.3"+keySuffix)
	text := must(os.ReadFile(path))
	put := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reading := func(f Folder) error {
		for _, err := range Read(f, 0) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"another reading key": {reopen(other), ErrReadingKey},
		"read with another":   {reading(Folder{Dir: m.dir, Reading: other}), ErrReadingKey},
		"a changed file":      {func() error { put(append(text, '\n')); return reopen(testReading) }(), ErrKeyMissing},
		"a changed wrapping": {func() error {
			put(bytes.Replace(text, []byte(wordSealed), []byte(wordSealed+"AAAA"), 1))
			return reopen(testReading)
		}(), ErrKeyMissing},
		"read from a changed file":     {reading(opened(m.dir)), ErrKeyMissing},
		"no file":                      {func() error { _ = os.Remove(path); return reopen(testReading) }(), ErrKeyMissing},
		"read without the file":        {reading(opened(m.dir)), ErrKeyMissing},
		"closed without the file":      {reading(Folder{Dir: m.dir}), nil},
		"a foreign file":               {func() error { put(text); return os.WriteFile(filepath.Join(m.dir, KeysFolder, "x.key"), nil, 0o600) }(), nil},
		"started beside a foreign one": {reopen(testReading), ErrForeign},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
		if errors.Is(c.want, ErrKeyMissing) && !strings.Contains(c.err.Error(), path) {
			t.Errorf("%s: no word of the file: %v", name, c.err)
		}
	}
}

// TestDamagedOldKey: also of a key that the newest segments do not name, the file
// is told.
func TestDamagedOldKey(t *testing.T) {
	m := newMonthly(t, "2026-10-15 00:00:00")
	m.add("a", 3)
	m.close()
	for range 2 {
		m.open()
		m.close()
	}
	path := filepath.Join(m.dir, KeysFolder, "2026-10.3"+keySuffix)
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: m.dir, Origin: "node-a", Reading: testReading})
	if !errors.Is(err, ErrKeyMissing) || !strings.Contains(err.Error(), path+" is damaged") {
		t.Error(err)
	}
}

// TestKeysInMemory: a log without a reading key gives its records to nobody.
func TestKeysInMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	for range 2 {
		l := must(Open(Config{Dir: dir, Origin: "node-a"}))
		appendOne(t, l, Synced)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for e, err := range Read(Folder{Dir: dir}, 0) {
		if err != nil || e.Content != Sealed {
			t.Error(e, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d records", n)
	}
}

// TestCommitment: an opening proves what the frame says and nothing else.
func TestCommitment(t *testing.T) {
	e := encoderAt(chain{sequence: 1, epoch: 1})
	now := time.UnixMicro(1795000000000000)
	buf := must(e.write(e.beginSegment(nil, "n", 1, now), sampleRecord(), now, false))
	s := &scanner{file: bytes.NewReader(buf), ordinal: 1, decoder: decoder{find: e.keys.find}}
	seen := map[[linkSize]byte]bool{}
	for {
		f, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.key() == 0 {
			continue
		}
		if seen[f.link()] {
			t.Error("a counter block comes twice")
		}
		seen[f.link()] = true
		if f.kind() != frameRecord {
			continue
		}
		var got Entry
		if err := s.decoder.record(f, &got); err != nil {
			t.Fatal(err)
		}
		for i := headerSize; i < len(f); i++ {
			changed := bytes.Clone(f)
			changed[i] ^= 1
			if err := s.decoder.record(changed, &got); err == nil {
				t.Errorf("byte %d does not count", i)
			}
		}
		d := s.decoder
		plain, _ := d.decrypt(d.keys[0].key, f, nil)
		if d.holds(f, plain, FrameHash{}, FrameHash{}, FrameHash{}, FrameHash{}, FrameHash{}) || !d.holds(f, plain, d.meaning...) {
			t.Error("the commitment does not hold the frames that the record refers to")
		}
		d.blind[0]++
		if d.holds(f, plain, d.meaning...) {
			t.Error("the blinding value does not count")
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d encrypted frames", len(seen))
	}
}

// TestNothingComesTwice: what a crash lost is written again under other counter
// blocks, also where the disk is an older copy.
func TestNothingComesTwice(t *testing.T) {
	files := newMemFS()
	clock := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	open := func(files FS) *Log { return openMem(t, files, Config{Clock: func() time.Time { return clock }}) }
	l := open(files)
	appendOne(t, l, Synced)
	old := files.kill() // a copy, restored below
	appendOne(t, l, Synced)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Microsecond)
	l = open(old)
	appendOne(t, l, Synced)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a, b := must(records(files, "log")), must(records(old, "log"))
	if a[0].Hash != b[0].Hash || a[1].Hash == b[1].Hash {
		t.Fatal("the copies do not part where they should")
	}
	if a[1].Position.Sequence != b[1].Position.Sequence {
		t.Error(a[1].Position, b[1].Position)
	}
	links := map[[linkSize]byte]FrameHash{}
	for _, m := range []*memFS{files, old} {
		for _, ordinal := range must(segments(m, "log")) {
			f := must(m.Open(filepath.Join("log", segmentName(ordinal)), false))
			s := &scanner{file: f, ordinal: ordinal}
			for {
				f, err := s.next()
				if err != nil {
					break
				}
				hash, there := links[f.link()]
				if there && hash != s.chain.last && f.key() != 0 {
					t.Errorf("segment %d: two frames have one link", ordinal)
				}
				links[f.link()] = s.chain.last
			}
		}
	}
}

func TestMonth(t *testing.T) {
	for _, at := range []string{"2026-11-30 23:59:59", "2027-01-01 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59"} {
		when := must(time.Parse(time.DateTime, at))
		m := MonthOf(when)
		if m.String() != at[:7] || when.Before(m.Start()) || must(ParseMonth(m.String())) != m {
			t.Errorf("%s is in %s", at, m)
		}
	}
	if m := MonthOf(time.Date(2027, 1, 1, 7, 0, 0, 0, time.FixedZone("", 8*3600))); m.String() != "2026-12" {
		t.Errorf("months are UTC's: %s", m)
	}
	for _, s := range []string{"", "2026", "2026-13", "2026-00", "26-01", "2026-1", "2026-01-01", "2026-01 "} {
		if m, err := ParseMonth(s); err == nil {
			t.Errorf("%q is %s", s, m)
		}
	}
}
