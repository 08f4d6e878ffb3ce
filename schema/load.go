package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// File is one SDL file: its name as shown in diagnostics, and its text.
type File struct {
	Name, Text string
}

// UTF8 reports whether the text is UTF-8, which all files are, and if not, where
// the first byte is that is not.
func (f File) UTF8() (at Position, ok bool) {
	at = Position{File: f.Name, Line: 1, Column: 1}
	for i, c := range f.Text {
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(f.Text[i:], string(utf8.RuneError)):
			return at, false
		case c == '\n':
			at.Line, at.Column = at.Line+1, 1
		case i > 0 || c != '\ufeff':
			at.Column++
		}
	}
	return at, true
}

// Settings is what the configuration says that SDL is checked against.
type Settings struct {
	Levels      Levels   // nil for [DefaultLevels]
	Departments []string // those configured; nil to accept any
}

// ReadFolder reads the *.graphqls files of a folder, sorted by name; folders
// inside it are not entered. A File's name is its path, dir included.
func ReadFolder(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read schema folder: %w", err)
	}
	var files []File
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".graphqls" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := ReadRegular(path, maxFile)
		if err != nil {
			return nil, fmt.Errorf("read schema file: %w", err)
		}
		files = append(files, File{Name: path, Text: string(text)})
	}
	return files, nil
}

// maxFile bounds one SDL file.
const maxFile = 16 << 20

// What a watched file must not be: a pipe, a device or a folder; or too large.
var (
	ErrNotRegular = errors.New("not a regular file")
	ErrTooLarge   = errors.New("the file is too large")
)

// ReadRegular reads a file that is looked at again and again, of most bytes at
// most. A pipe would keep whoever reads it waiting for ever.
func ReadRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrTooLarge, most)
	}
	return os.ReadFile(path) //nolint:gosec // the operator names it, or its folder
}

// Load checks the files together and builds the catalogue of them. It collects
// every diagnostic, sorted; the catalogue is nil if one of them is an error.
// The result depends on the files and settings alone, not on their order. A type
// without @sharing is Conditional: what its owner has not classed is not open to
// rules for all departments.
func Load(files []File, settings Settings) (*Catalogue, Diagnostics) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if len(settings.Levels) == 0 {
		settings.Levels = DefaultLevels()
	}

	l := newLinter(settings)
	l.parse(files)
	l.declare()
	l.buildTypes()
	l.buildAbstracts()
	l.buildRelations()
	l.buildSubjects()
	l.buildScopes()
	l.buildRoots()
	if len(l.catalogue.Types) == 0 && !l.found.Failed() {
		l.found.add(Position{}, codeNoTypes, "no type with a @source", "add a .graphqls file")
	}
	if !l.found.Failed() {
		l.generate()
	}
	l.found.Sort()
	if l.found.Failed() {
		return nil, l.found
	}
	l.catalogue.Revision = digest(files)
	return l.catalogue, l.found
}

// digest hashes names and texts, each with its length, so that moving text
// from one file to another changes it.
func digest(files []File) string {
	h := sha256.New()
	part := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	for _, f := range files {
		// The folder is the operator's choice; moving it is no new revision.
		part(filepath.Base(f.Name))
		part(f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}
