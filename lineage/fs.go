package lineage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// FS is the file layer under a log. The default is the operating system's;
// tests put one beneath that fails, tears writes, or forgets what was not
// synced. Safe for concurrent use.
type FS interface {
	// Lock makes the folder if it is missing and takes it for this process
	// until the Closer is closed; ErrLocked when another has it.
	Lock(dir string) (io.Closer, error)
	// List gives the names in a folder, sorted; folders end in a slash.
	List(dir string) ([]string, error)
	// Create makes a file that must not exist, readable and writable.
	Create(path string) (File, error)
	// Open opens a file for reading, or for reading and writing.
	Open(path string, write bool) (File, error)
	// MakeDir makes a folder for its owner alone; one that is there is no error.
	MakeDir(dir string) error
	// Rename gives a file another name, whatever had that name before.
	Rename(from, to string) error
	// Remove takes a file away.
	Remove(path string) error
	// SyncDir makes names last: created, changed and removed ones.
	SyncDir(dir string) error
}

// File is one open file of an [FS].
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync returns when what was written can be read after a power cut: the
	// bytes, and the size as far as reading them needs it.
	Sync() error
	Size() (int64, error)
}

// OS is the operating system's file layer.
func OS() FS { return osFS{} }

type osFS struct{}

type osFile struct{ *os.File }

var (
	_ FS   = osFS{}
	_ File = osFile{}
)

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (osFS) Lock(dir string) (io.Closer, error) {
	// Only the owner reads the log: not even names of fields are for others.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := LockFile(filepath.Join(dir, lockName))
	if err != nil {
		if errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("%w: folder %s", ErrLocked, dir)
		}
		return nil, err
	}
	return f, nil
}

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
		if e.IsDir() {
			names[i] += "/"
		}
	}
	return names, nil
}

func (osFS) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the folder is the operator's
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Open(path string, write bool) (File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0) //nolint:gosec // the folder is the operator's
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) MakeDir(dir string) error { return os.MkdirAll(dir, 0o700) }

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened for this there; names are journalled
	}
	d, err := os.Open(dir) //nolint:gosec // the folder is the operator's
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
