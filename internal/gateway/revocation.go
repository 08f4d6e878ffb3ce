package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-data/weir/authz"
)

// Revocations are asked on every request, and again when its answer leaves.
type Revocations interface {
	Revoked(*authz.Subject) bool
}

// RevocationFile is a list of token ids (jti), one a line, or sub:SUBJECT for
// every token of one reader; # begins a comment. A list that cannot be read any
// more stays in force as it was last read. Run keeps it fresh.
type RevocationFile struct {
	path    string
	log     *slog.Logger
	current atomic.Pointer[revoked]
}

type revoked struct {
	text     []byte
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
			f.log.Error("the revocation list cannot be read; what it said last stays in force", "error", err.Error())
		}
		failing = err != nil
	}
}

func (f *RevocationFile) refresh() error {
	text, err := os.ReadFile(f.path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if old := f.current.Load(); old != nil && bytes.Equal(old.text, text) {
		return nil
	}
	next := &revoked{text: text, ids: map[string]struct{}{}, subjects: map[string]struct{}{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if subject, found := strings.CutPrefix(line, "sub:"); found {
			next.subjects[subject] = struct{}{}
		} else {
			next.ids[line] = struct{}{}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	f.current.Store(next)
	f.log.Info("revocation list loaded", "tokens", len(next.ids), "readers", len(next.subjects))
	return nil
}
