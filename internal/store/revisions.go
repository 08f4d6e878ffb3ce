package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Revision is one that was in force, or is.
type Revision struct {
	Hash, Parent string
	How          string // a word: why it came into force
	Approval     string // the text of its approval, "" where none was needed
	Content      []byte // as whoever activated it encoded it; nil in lists
	At           time.Time
}

// ErrParent means that a revision does not follow the one in force; nothing was changed.
var ErrParent = errors.New("revision does not follow the one in force")

// NoParent is the parent of the first revision.
const NoParent = "none"

// ActiveRevision gives the revision in force; false when there was never one.
func (s *Store) ActiveRevision(ctx context.Context) (Revision, bool, error) {
	return s.revision(ctx, "SELECT hash, parent, how, approval, content, at FROM revisions ORDER BY sequence DESC LIMIT 1")
}

// RevisionOf gives the latest of a hash; false when it was never in force.
func (s *Store) RevisionOf(ctx context.Context, hash string) (Revision, bool, error) {
	return s.revision(ctx, "SELECT hash, parent, how, approval, content, at FROM revisions WHERE hash = ? ORDER BY sequence DESC LIMIT 1", hash)
}

func (s *Store) revision(ctx context.Context, query string, args ...any) (Revision, bool, error) {
	var r Revision
	var at int64
	err := s.db.QueryRowContext(ctx, query, args...).Scan(&r.Hash, &r.Parent, &r.How, &r.Approval, &r.Content, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Revision{}, false, nil
	}
	if err != nil {
		return Revision{}, false, fmt.Errorf("store: revision: %w", err)
	}
	r.At = time.UnixMicro(at).UTC()
	return r, true, nil
}

// Revisions lists the newest, newest first, without their contents.
func (s *Store) Revisions(ctx context.Context, most int) ([]Revision, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT hash, parent, how, approval, at FROM revisions ORDER BY sequence DESC LIMIT ?", most)
	if err != nil {
		return nil, fmt.Errorf("store: revisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Revision
	for rows.Next() {
		var r Revision
		var at int64
		if err := rows.Scan(&r.Hash, &r.Parent, &r.How, &r.Approval, &at); err != nil {
			return nil, fmt.Errorf("store: revisions: %w", err)
		}
		r.At = time.UnixMicro(at).UTC()
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: revisions: %w", err)
	}
	return out, nil
}

// Activate puts a revision in force. Its parent must be the one in force, or
// NoParent where there is none: ErrParent otherwise, so that of two that follow
// the same one only the first counts.
func (s *Store) Activate(ctx context.Context, r Revision) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: revision: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	parent := NoParent
	err = tx.QueryRowContext(ctx, "SELECT hash FROM revisions ORDER BY sequence DESC LIMIT 1").Scan(&parent)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("store: revision: %w", err)
	}
	if r.Parent != parent {
		return ErrParent
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO revisions (hash, parent, how, approval, content, at) VALUES (?, ?, ?, ?, ?, ?)",
		r.Hash, r.Parent, r.How, r.Approval, r.Content, r.At.UnixMicro()); err != nil {
		return fmt.Errorf("store: revision: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: revision: %w", err)
	}
	return nil
}

// SaveApproval keeps the text of a proposal or approval of a revision after its
// parent, in place of an earlier one.
func (s *Store) SaveApproval(ctx context.Context, revision, parent, text string, at time.Time) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO approvals (revision, parent, text, at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET text = excluded.text, at = excluded.at",
		revision, parent, text, at.UnixMicro())
	if err != nil {
		return fmt.Errorf("store: approval: %w", err)
	}
	return nil
}

// ApprovalOf gives what [Store.SaveApproval] kept; "" for nothing.
func (s *Store) ApprovalOf(ctx context.Context, revision, parent string) (string, error) {
	var text string
	err := s.db.QueryRowContext(ctx, "SELECT text FROM approvals WHERE revision = ? AND parent = ?", revision, parent).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("store: approval: %w", err)
	}
	return text, nil
}
