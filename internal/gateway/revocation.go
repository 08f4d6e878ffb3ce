package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// Revocations are asked on every request, and again when its answer leaves.
type Revocations interface {
	Revoked(*authz.Subject) bool
}

// RevocationFile is a list of token ids (jti), one a line, or sub:SUBJECT for
// every token of one reader; # at the beginning of a line or after a blank begins
// a comment. It can only take away, so that nothing of it is ignored: where it
// cannot be read, or a line of it cannot, all that it said before stays in force
// beside the lines that can be read. What is added is in force at once; what is
// taken away was away at two looks, since a list that is written in its place is
// empty for a moment. Run keeps it fresh.
type RevocationFile struct {
	path    string
	log     *slog.Logger
	current atomic.Pointer[revoked]
	seen    []byte // at the last look; whoever calls refresh alone
}

// maxRevoked bounds the list in bytes.
const maxRevoked = 256 << 20

type revoked struct {
	text     []byte
	wrong    error // with a line of the text
	more     bool  // it holds what was away at one look alone, too
	ids      map[string]struct{}
	subjects map[string]struct{}
}

// OpenRevocations reads the list for the first time.
func OpenRevocations(path string, log *slog.Logger) (*RevocationFile, error) {
	f := &RevocationFile{path: path, log: log}
	if err := f.refresh(); err != nil {
		return nil, fmt.Errorf("tokens.revoked: %w", err)
	}
	return f, nil
}

// Revoked reports whether the reader's token, or the reader, is on the list.
func (f *RevocationFile) Revoked(s *authz.Subject) bool {
	l := f.current.Load()
	if _, found := l.subjects[s.ID]; found {
		return true
	}
	if s.TokenID == "" {
		return false
	}
	_, found := l.ids[s.TokenID]
	return found
}

// Run looks at the file until the context ends.
func (f *RevocationFile) Run(ctx context.Context) error {
	tick := time.NewTicker(pollFile)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := f.refresh()
		if err != nil && !failing {
			f.log.Error("the revocation list cannot be read; what it said before stays in force", "error", err.Error())
		}
		if err == nil && failing {
			f.log.Info("the revocation list can be read again", "file", f.path)
		}
		failing = err != nil
	}
}

func (f *RevocationFile) refresh() error {
	text, err := schema.ReadRegular(f.path, maxRevoked)
	if err != nil {
		return err
	}
	old := f.current.Load()
	settled := old == nil || bytes.Equal(f.seen, text)
	f.seen = text
	if old != nil && !old.more && bytes.Equal(old.text, text) {
		return old.wrong
	}
	next := readRevocations(text)
	if next.wrong != nil {
		next.wrong = fmt.Errorf("%s: %w", f.path, next.wrong)
		if old == nil {
			return next.wrong
		}
	}
	if !settled || next.wrong != nil {
		maps.Copy(next.ids, old.ids)
		maps.Copy(next.subjects, old.subjects)
	}
	next.more = !settled
	f.current.Store(next)
	if settled {
		f.log.Info("revocation list loaded", "tokens", len(next.ids), "readers", len(next.subjects))
	}
	return next.wrong
}

const everyToken = "sub:"

// readRevocations reads a list as far as it can be read.
func readRevocations(text []byte) *revoked {
	out := &revoked{text: text, ids: map[string]struct{}{}, subjects: map[string]struct{}{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if err := out.read(string(line)); err != nil && out.wrong == nil {
			out.wrong = fmt.Errorf("line %d: %w", n, err)
		}
	}
	return out
}

func (r *revoked) read(line string) error {
	line = strings.TrimSpace(withoutComment(line))
	if !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
		return errors.New("not a line of UTF-8 text")
	}
	subject, found := strings.CutPrefix(line, everyToken)
	subject = strings.TrimSpace(subject)
	switch {
	case line == "":
	case found && subject == "":
		return errors.New("sub: without a subject")
	case found:
		r.subjects[subject] = struct{}{}
	case len(line) >= len(everyToken) && strings.EqualFold(line[:len(everyToken)], everyToken):
		return errors.New("sub: is written in small letters")
	case strings.ContainsFunc(line, unicode.IsSpace):
		return errors.New("more than one token id")
	default:
		r.ids[line] = struct{}{}
	}
	return nil
}

// withoutComment cuts a comment off. Ids may hold a # inside.
func withoutComment(line string) string {
	for at := 0; ; at++ {
		i := strings.IndexByte(line[at:], '#')
		if i < 0 {
			return line
		}
		if at += i; at == 0 || line[at-1] == ' ' || line[at-1] == '\t' {
			return line[:at]
		}
	}
}
