package lineage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Folder is a ledger's folder, as readers need it.
type Folder struct {
	Dir string
	// Reading opens the data keys. Without it records have order and hash, and
	// their contents stay sealed.
	Reading Sealer
	// Archive is a folder with the segments that were archived out of Dir; "" for
	// none.
	Archive string

	files FS // nil for the system's
}

func (f *Folder) fs() FS {
	files := f.files
	if files == nil {
		files = OS()
	}
	if f.Archive != "" {
		return archiveFS{files, f.Dir, f.Archive}
	}
	return files
}

// Content is whether a record can be read.
type Content uint8

// Contents.
const (
	Readable Content = iota
	// Sealed: the reading key was not given.
	Sealed
	// Redacted: the data key was dropped, for good.
	Redacted
)

// dataKey gives a key that a segment names. It is nil unless the content is
// readable.
func (f *Folder) dataKey(n KeyName, id KeyID) (*dataKey, Content, error) {
	path := filepath.Join(f.Dir, KeysFolder, n.String())
	if _, err := readAll(f.fs(), path+droppedSuffix); err == nil {
		return nil, Redacted, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, Sealed, err
	}
	b, err := readAll(f.fs(), path+keySuffix)
	switch {
	case err == nil && f.Reading == nil:
		return nil, Sealed, nil
	case err == nil && keyIDOf(b) != id:
		return nil, Sealed, fmt.Errorf("%w: %s is not the file that the log names", ErrKeyMissing, path+keySuffix)
	case err == nil:
		k, err := openKeyFile(path+keySuffix, b, n, f.Reading)
		return k, Readable, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, Sealed, err
	case f.Reading == nil:
		return nil, Sealed, nil
	}
	return nil, Sealed, fmt.Errorf("%w: %s", ErrKeyMissing, path+keySuffix)
}
