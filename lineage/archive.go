package lineage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrArchive says that segments are not archived, or that an archive is not what
// its list says.
var ErrArchive = errors.New("the segments are not archived")

// ErrArchived is an ErrUnknown: the record was in a segment that is not in the
// folder any more.
var ErrArchived = fmt.Errorf("%w in this folder, which begins later: the segment was archived", ErrUnknown)

// KindArchive is the kind of the record of an archiving.
const KindArchive = "archive"

// Names of the lists of segments: ArchivedName in the ledger's folder, of those
// that are not there any more; ArchiveName in an archive, of those in it.
const (
	ArchivedName = "archived"
	ArchiveName  = "archive"
)

const archiveHeadline = "weir archive 1"

// Archived lists segments that were taken out of a ledger's folder, ascending:
//
//	weir archive 1
//	origin node-a
//	segment 1 67108864 5f0c… 1 36900 3 91ab…
//
// A segment has its ordinal, its bytes and their SHA-256, its first and last
// record (one less for none), the epoch and the SHA-256 of its last frame.
type Archived struct {
	Origin   string
	Segments []ArchivedSegment
}

// ArchivedSegment is one of them.
type ArchivedSegment struct {
	Ordinal     uint64
	Bytes       int64
	Sum         [sha256.Size]byte
	First, Last uint64
	Epoch       uint32
	LastFrame   FrameHash
}

// String is the text of the list.
func (a *Archived) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\norigin %s\n", archiveHeadline, a.Origin)
	for i := range a.Segments {
		s := &a.Segments[i]
		fmt.Fprintf(&b, "segment %d %d %x %d %d %d %x\n", s.Ordinal, s.Bytes, s.Sum, s.First, s.Last, s.Epoch, s.LastFrame)
	}
	return b.String()
}

// ParseArchived is the inverse of [Archived.String]; every other spelling is an
// error.
func ParseArchived(text string) (*Archived, error) {
	bad := fmt.Errorf("%w: this is no list of archived segments", ErrArchive)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 2 {
		return nil, bad
	}
	a := &Archived{Origin: strings.TrimPrefix(lines[1], "origin ")}
	for _, line := range lines[2:] {
		var s ArchivedSegment
		var sum, last string
		if _, err := fmt.Sscanf(line, "segment %d %d %s %d %d %d %s", &s.Ordinal, &s.Bytes, &sum, &s.First, &s.Last, &s.Epoch, &last); err != nil {
			return nil, bad
		}
		b, err1 := hex.DecodeString(sum)
		f, err2 := hex.DecodeString(last)
		if err1 != nil || err2 != nil || len(b) != len(s.Sum) || len(f) != len(s.LastFrame) ||
			len(a.Segments) > 0 && a.Segments[len(a.Segments)-1].Ordinal >= s.Ordinal {
			return nil, bad
		}
		s.Sum, s.LastFrame = [sha256.Size]byte(b), FrameHash(f)
		a.Segments = append(a.Segments, s)
	}
	if a.String() != text {
		return nil, bad
	}
	return a, nil
}

// ArchivedTo is the last record that the list of a ledger's folder says was
// archived out of it; 0 for none.
func ArchivedTo(dir, origin string) (uint64, error) {
	list, err := readList(OS(), filepath.Join(dir, ArchivedName), origin)
	if err != nil || len(list.Segments) == 0 {
		return 0, err
	}
	return list.Segments[len(list.Segments)-1].Last, nil
}

// add brings segments into the list; one that is there already must be the same.
func (a *Archived) add(more []ArchivedSegment) error {
	for _, s := range more {
		at, found := slices.BinarySearchFunc(a.Segments, s.Ordinal, func(e ArchivedSegment, ordinal uint64) int {
			return int(int64(e.Ordinal) - int64(ordinal)) //nolint:gosec // numbers of files
		})
		switch {
		case !found:
			a.Segments = slices.Insert(a.Segments, at, s)
		case a.Segments[at] != s:
			return fmt.Errorf("%w: segment %d was archived with another content", ErrArchive, s.Ordinal)
		}
	}
	return nil
}

// readList reads a list; an empty one of the origin where there is none.
func readList(files FS, path, origin string) (*Archived, error) {
	f, err := files.Open(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return &Archived{Origin: origin}, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	a, err := ParseArchived(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if a.Origin != origin {
		return nil, fmt.Errorf("%w: %s is of the ledger of %q, this is that of %q", ErrArchive, path, a.Origin, origin)
	}
	return a, nil
}

// Archiving says what is archived and where to.
type Archiving struct {
	// To is the folder of the archive; made if missing.
	To string
	// Limit is a record up to which everything is under a checkpoint, indexed, and
	// wherever else it must be first. What holds it, or the one before it, stays,
	// so that whoever reads the log goes on from a record that is there.
	Limit uint64
	// Before leaves what was begun later; zero for no bound.
	Before time.Time
}

// Archive moves whole segments into an archive, oldest first, and gives them. Each
// is copied, synced and read back before the log records that it goes; it goes
// when that is on disk. It may be called again after an error or a crash. Nobody
// else may have the folder open.
func (l *Log) Archive(ctx context.Context, a Archiving) ([]ArchivedSegment, error) {
	segments, err := l.archivable(ctx, &a)
	if err != nil || len(segments) == 0 {
		return nil, err
	}
	files, dir := l.config.Files, l.config.Dir
	if err := errors.Join(files.MakeDir(a.To), files.SyncDir(filepath.Dir(filepath.Clean(a.To)))); err != nil {
		return nil, err
	}
	for i := range segments {
		if err := l.archiveCopy(ctx, a.To, &segments[i]); err != nil {
			return nil, err
		}
	}
	if err := l.enlist(a.To, ArchiveName, segments); err != nil {
		return nil, err
	}
	list, err := readList(files, filepath.Join(dir, ArchivedName), l.config.Origin)
	if err != nil {
		return nil, err
	}
	if err := list.add(segments); err != nil {
		return nil, err
	}
	first, last := segments[0].Ordinal, segments[len(segments)-1].Ordinal
	_, ticket, err := l.Append(ctx, &Record{
		Kind: KindArchive, Operation: fmt.Sprintf("%d-%d", first, last), Document: ActDigest(list.String()), Status: "ok",
	})
	if err == nil {
		err = ticket.Wait(ctx, Synced)
	}
	if err == nil {
		err = l.enlist(dir, ArchivedName, segments)
	}
	if err != nil {
		return nil, err
	}
	for i := range segments { // what is left has no gap at any moment
		if err := files.Remove(l.path(segments[i].Ordinal)); err != nil {
			return nil, err
		}
		if err := files.SyncDir(dir); err != nil {
			return nil, err
		}
	}
	return segments, nil
}

// archivable are the oldest segments that may go.
func (l *Log) archivable(ctx context.Context, a *Archiving) (out []ArchivedSegment, err error) {
	ordinals, err := segments(l.config.Files, l.config.Dir)
	if err != nil {
		return nil, err
	}
	before, current := chain{}, l.Stats().Segment
	for i, ordinal := range ordinals {
		if ordinal+1 >= current || i+1 == len(ordinals) {
			break // the current one, and the one before it, which recovery reads
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, next, err := l.scanWhole(ordinal, before, i > 0)
		if err != nil {
			return nil, err
		}
		if s.Last+2 > a.Limit {
			break
		}
		if !a.Before.IsZero() {
			// A segment was begun when the one before it was done with.
			begun, err := l.begun(ordinal + 1)
			if err != nil {
				return nil, err
			}
			if !begun.Before(a.Before) {
				break
			}
		}
		before = next
		out = append(out, s)
	}
	return out, nil
}

// scanWhole reads a segment to its end, and checks every frame.
func (l *Log) scanWhole(ordinal uint64, before chain, linked bool) (out ArchivedSegment, next chain, err error) {
	path := l.path(ordinal)
	file, err := l.config.Files.Open(path, false)
	if err != nil {
		return out, next, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s := &scanner{file: file, path: path, ordinal: ordinal, chain: before, linked: linked}
	out.Ordinal = ordinal
	for {
		f, err := s.next()
		var torn *tornError
		switch {
		case errors.Is(err, io.EOF) && s.started:
			out.Last, out.Epoch, out.LastFrame = s.chain.sequence-1, s.chain.epoch, s.chain.last
			out.Bytes, out.Sum, err = sumOf(file)
			return out, s.chain, err
		case errors.Is(err, io.EOF):
			return out, next, s.corrupt(0, "the file ends before its first frame")
		case errors.As(err, &torn):
			return out, next, s.corrupt(torn.offset, torn.reason)
		case err != nil:
			return out, next, err
		case f.kind() == frameSegment:
			out.First = f.sequence()
			if s.decoder.origin != l.config.Origin {
				return out, next, fmt.Errorf("%w: %s belongs to the log of origin %q", ErrForeign, path, s.decoder.origin)
			}
		}
	}
}

// begun is when a segment was begun.
func (l *Log) begun(ordinal uint64) (time.Time, error) {
	file, err := l.config.Files.Open(l.path(ordinal), false)
	if err != nil {
		return time.Time{}, err
	}
	s := &scanner{file: file, path: l.path(ordinal), ordinal: ordinal}
	_, err = s.next()
	return time.UnixMicro(s.decoder.base), errors.Join(err, file.Close())
}

func sumOf(f File) (int64, [sha256.Size]byte, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<40))
	return n, [sha256.Size]byte(h.Sum(nil)), err
}

// archiveCopy makes the copy of a segment, and reads it back. One that is there
// must be the same.
func (l *Log) archiveCopy(ctx context.Context, to string, s *ArchivedSegment) error {
	files, target := l.config.Files, filepath.Join(to, segmentName(s.Ordinal))
	there, err := files.Open(target, false)
	if errors.Is(err, fs.ErrNotExist) {
		if err := l.copyInto(ctx, target, s); err != nil {
			return err
		}
		there, err = files.Open(target, false)
	}
	if err != nil {
		return err
	}
	n, sum, err := sumOf(there)
	if err := errors.Join(err, there.Close()); err != nil {
		return err
	}
	if n != s.Bytes || sum != s.Sum {
		return fmt.Errorf("%w: %s is there and is not a copy of the segment", ErrArchive, target)
	}
	return nil
}

func (l *Log) copyInto(ctx context.Context, target string, s *ArchivedSegment) error {
	files, temporary := l.config.Files, target+newSuffix
	from, err := files.Open(l.path(s.Ordinal), false)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // read only
	if err := files.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := files.Create(temporary)
	if err != nil {
		return err
	}
	b := make([]byte, 1<<20)
	for at := int64(0); at < s.Bytes && err == nil; at += int64(len(b)) {
		part := b[:min(int64(len(b)), s.Bytes-at)]
		if _, err = from.ReadAt(part, at); err == nil || errors.Is(err, io.EOF) {
			_, err = file.WriteAt(part, at)
		}
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close(), files.Rename(temporary, target)) // the list is synced behind it
}

// enlist adds segments to a list, which is there whole or not at all.
func (l *Log) enlist(dir, name string, segments []ArchivedSegment) error {
	path := filepath.Join(dir, name)
	list, err := readList(l.config.Files, path, l.config.Origin)
	if err != nil {
		return err
	}
	if err := list.add(segments); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return putFile(l.config.Files, dir, path, path+newSuffix, []byte(list.String()))
}

// archiveFS shows the segments of an archive as if they were in the ledger's
// folder still.
type archiveFS struct {
	FS
	dir, archive string
}

func (f archiveFS) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if err != nil || dir != f.dir {
		return names, err
	}
	more, err := f.FS.List(f.archive)
	if err != nil {
		return nil, err
	}
	for _, name := range more {
		if name != ArchiveName && !strings.HasSuffix(name, newSuffix) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f archiveFS) Open(path string, write bool) (File, error) {
	file, err := f.FS.Open(path, write)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) == f.dir && !write {
		return f.FS.Open(filepath.Join(f.archive, filepath.Base(path)), false)
	}
	return file, err
}
