package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRevisions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	open := func() *Store {
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if _, ok, err := s.ActiveRevision(t.Context()); ok || err != nil {
		t.Fatalf("a new store: %t, %v", ok, err)
	}
	hash := func(c string) string { return strings.Repeat(c, 64) }
	at := time.Date(2026, 11, 24, 8, 0, 0, 1000, time.UTC)
	first := Revision{Hash: hash("a"), Parent: NoParent, How: "approved", Approval: "text", Content: []byte{0, 1, 2}, At: at}
	second := Revision{Hash: hash("b"), Parent: hash("a"), How: "narrowing", Content: []byte{3}, At: at.Add(time.Second)}
	for _, c := range []struct {
		r    Revision
		want error
	}{
		{second, ErrParent},
		{first, nil},
		{first, ErrParent},
		{second, nil},
		{Revision{Hash: hash("c"), Parent: hash("a"), How: "approved", Content: []byte{4}}, ErrParent},
	} {
		if err := s.Activate(t.Context(), c.r); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s after %s: %v, want %v", c.r.Hash[:1], c.r.Parent[:1], err, c.want)
		}
	}
	if err := s.SaveApproval(t.Context(), hash("c"), hash("b"), "one", at); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveApproval(t.Context(), hash("c"), hash("b"), "two", at); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	active, ok, err := s.ActiveRevision(t.Context())
	if err != nil || !ok || active.Hash != second.Hash || string(active.Content) != "\x03" || !active.At.Equal(second.At) {
		t.Errorf("after a restart: %+v, %t, %v", active, ok, err)
	}
	one, ok, err := s.RevisionOf(t.Context(), first.Hash)
	if err != nil || !ok || one.Approval != "text" || string(one.Content) != "\x00\x01\x02" || !one.At.Equal(at) {
		t.Errorf("%+v, %t, %v", one, ok, err)
	}
	if _, ok, err := s.RevisionOf(t.Context(), hash("c")); ok || err != nil {
		t.Errorf("one that was never in force: %t, %v", ok, err)
	}
	all, err := s.Revisions(t.Context(), 10)
	if err != nil || len(all) != 2 || all[0].Hash != second.Hash || all[1].Content != nil {
		t.Errorf("%+v, %v", all, err)
	}
	for parent, want := range map[string]string{hash("b"): "two", hash("a"): ""} {
		if text, err := s.ApprovalOf(t.Context(), hash("c"), parent); text != want || err != nil {
			t.Errorf("approval after %s: %q, %v", parent[:1], text, err)
		}
	}
}
