package lineage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
)

// memFS is a file layer in memory that knows what has been synced, so that the
// power can be cut, and that fails on request.
type memFS struct {
	mu    sync.Mutex
	files map[string]*memData
	// space is how many bytes more the disk takes; negative for no bound.
	space int64
	// fault is asked before each operation; nil lets everything pass. It may
	// block.
	fault func(op, path string) error
	// shorten makes the next write stop after so many bytes, without an error.
	shorten int
	locked  bool
}

type memData struct {
	now, synced []byte
	named       bool   // the name has been synced
	was         string // the synced name before an unsynced renaming, "" for none
	replaced    []byte // what had the name before an unsynced renaming, nil for nothing
}

var (
	errNoSpace = errors.New("no space left on device")
	errSick    = errors.New("input/output error")
)

func newMemFS() *memFS { return &memFS{files: map[string]*memData{}, space: -1, shorten: -1} }

func (m *memFS) check(op, path string) error {
	m.mu.Lock()
	f := m.fault
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(op, filepath.Base(path))
}

func (m *memFS) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

type unlock func()

func (u unlock) Close() error { u(); return nil }

func (m *memFS) Lock(string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, ErrLocked
	}
	m.locked = true
	return unlock(func() { m.set(func() { m.locked = false }) }), nil
}

func (m *memFS) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for p := range m.files {
		if filepath.Dir(p) == dir {
			names = append(names, filepath.Base(p))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (m *memFS) Create(path string) (File, error) {
	if err := m.check("create", path); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[path] != nil {
		return nil, fs.ErrExist
	}
	d := &memData{}
	m.files[path] = d
	return &memFile{m, path, d}, nil
}

func (m *memFS) Open(path string, _ bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.files[path]
	if d == nil {
		return nil, fs.ErrNotExist
	}
	return &memFile{m, path, d}, nil
}

func (m *memFS) MakeDir(dir string) error { return m.check("mkdir", dir) }

func (m *memFS) Rename(from, to string) error {
	if err := m.check("rename", to); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.files[from]
	if d == nil {
		return fs.ErrNotExist
	}
	delete(m.files, from)
	if d.named {
		d.was = from
	}
	d.named, d.replaced = false, nil
	if old := m.files[to]; old != nil && old.named {
		d.replaced = old.synced
	}
	m.files[to] = d
	return nil
}

// Remove takes a name away at once, as most disks do within seconds: what is
// removed is never counted on to be there.
func (m *memFS) Remove(path string) error {
	if err := m.check("remove", path); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[path] == nil {
		return fs.ErrNotExist
	}
	delete(m.files, path)
	return nil
}

func (m *memFS) SyncDir(dir string) error {
	if err := m.check("syncdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, d := range m.files {
		if filepath.Dir(p) == dir {
			d.named, d.was, d.replaced = true, "", nil
		}
	}
	return nil
}

type memFile struct {
	fs   *memFS
	path string
	data *memData
}

func (f *memFile) Close() error { return nil }

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.data.now)), nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.data.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.data.now[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.check("write", f.path); err != nil {
		return 0, err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := len(b)
	var err error
	if f.fs.shorten >= 0 && f.fs.shorten < n {
		n, f.fs.shorten = f.fs.shorten, -1
	}
	grow := off + int64(n) - int64(len(f.data.now))
	if f.fs.space >= 0 && grow > f.fs.space {
		n -= int(grow - f.fs.space)
		grow, err = f.fs.space, errNoSpace
	}
	if f.fs.space >= 0 && grow > 0 {
		f.fs.space -= grow
	}
	if end := int(off) + n; end > len(f.data.now) {
		f.data.now = append(f.data.now, make([]byte, end-len(f.data.now))...)
	}
	copy(f.data.now[off:], b[:n])
	return n, err
}

func (f *memFile) Truncate(size int64) error {
	if err := f.fs.check("truncate", f.path); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.space >= 0 {
		f.fs.space += int64(len(f.data.now)) - size
	}
	f.data.now = slices.Clone(f.data.now[:size])
	return nil
}

func (f *memFile) Sync() error {
	if err := f.check(); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.data.synced = slices.Clone(f.data.now)
	return nil
}

func (f *memFile) check() error { return f.fs.check("sync", f.path) }

// kill is what a killed process leaves: everything written.
func (m *memFS) kill() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := newMemFS()
	for p, d := range m.files {
		out.files[p] = &memData{now: slices.Clone(d.now), synced: slices.Clone(d.synced), named: d.named}
	}
	return out
}

// powerCut is what a disk may hold after the power went: what was synced, and of
// what was not, any sectors, in any size of the file between the two. Unsynced
// names may be gone.
func (m *memFS) powerCut(rnd *rand.Rand) *memFS {
	const sector = 64 // smaller than real ones, to tear small writes as well
	m.mu.Lock()
	defer m.mu.Unlock()
	out := newMemFS()
	paths := make([]string, 0, len(m.files))
	for p := range m.files {
		paths = append(paths, p)
	}
	slices.Sort(paths) // the random choices do not depend on the map's order
	for _, p := range paths {
		d := m.files[p]
		if !d.named && rnd.IntN(2) == 0 {
			if d.replaced != nil { // a renaming is done or not: the name is never nothing's
				out.files[p] = &memData{now: slices.Clone(d.replaced), synced: slices.Clone(d.replaced), named: true}
			}
			if d.was == "" {
				continue
			}
			p = d.was
		}
		least, most := len(d.synced), len(d.now)
		if least > most { // an unsynced truncation
			least, most = most, least
		}
		size := least
		switch rnd.IntN(3) {
		case 0:
			size = most
		case 1:
			size += rnd.IntN(most - least + 1)
		}
		b := make([]byte, size)
		for at := 0; at < size; at += sector {
			from := d.synced
			if rnd.IntN(2) == 0 {
				from = d.now
			}
			if at < len(from) {
				copy(b[at:min(at+sector, size)], from[at:])
			}
		}
		out.files[p] = &memData{now: b, synced: slices.Clone(b), named: true}
	}
	return out
}

// records reads everything on a layer.
func records(files FS, dir string) ([]Entry, error) {
	r := newReader(Folder{Dir: dir, Reading: testReading, files: files}, 0)
	defer r.close()
	var out []Entry
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if n := len(out); n > 0 && out[n-1].Position.Sequence+1 != e.Position.Sequence {
			return out, fmt.Errorf("sequence %d follows %d", e.Position.Sequence, out[n-1].Position.Sequence)
		}
		out = append(out, e)
	}
}
