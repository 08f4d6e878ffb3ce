package index

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-data/weir/lineage"
)

// spoil makes a closed index one that SQLite cannot read.
func spoil(t *testing.T, path, how string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	switch how {
	case noDatabase:
		b = bytes.Repeat([]byte("no database "), page)
	case "the end is missing":
		b = b[:2*page]
	case "it is zeros":
		b = make([]byte, page)
	case "pages are others":
		for at := page; at < len(b); at++ {
			b[at] = 0xff
		}
	default:
		copy(b[100:page], make([]byte, page-100))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

const noDatabase = "it is no database"

var spoilt = []string{noDatabase, "it is zeros", "the end is missing", "pages are others", "the first page is empty"}

// TestUnreadable: whatever of a file SQLite cannot read, opening it, asking it and
// going on say that it is damaged.
func TestUnreadable(t *testing.T) {
	for _, how := range spoilt {
		t.Run(how, func(t *testing.T) {
			x, _ := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")}, seeded(t), 100)
			cfg := x.cfg
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, cfg.Path, how)
			fill(t, cfg.Dir, "node-a", seeded(t), 10)
			said := 0
			say := func(what string, err error) {
				if err != nil && (!errors.Is(err, ErrDamaged) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFormat)) {
					t.Errorf("%s: %v", what, err)
				} else if err != nil {
					said++
				}
			}
			x, err := Open(t.Context(), cfg)
			if say("open", err); err == nil {
				_, err = x.Reads(t.Context(), Filter{}, 200, nil)
				say("reads", err)
				_, err = x.Flows(t.Context(), FlowFilter{Department: departments[0]})
				say("flows", err)
				_, err = x.Usages(t.Context(), UsageFilter{From: start, To: start.AddDate(0, 0, 9)})
				say("usages", err)
				_, err = x.Has(t.Context(), lineage.Position{Origin: "node-a", Epoch: 1, Sequence: 50}, Filter{})
				say("has", err)
				say("going on", x.CatchUp(t.Context()))
				_ = x.Close()
			}
			if said == 0 {
				t.Error("nothing said that it is damaged")
			}
		})
	}
}

// TestNamesThePlace: what SQLite has but a number for is said as the system says
// it.
func TestNamesThePlace(t *testing.T) {
	for what, text := range map[string]string{"room": "", "no folder": "no such file or directory"} {
		path := filepath.Join(t.TempDir(), "index.db")
		if what == "no folder" {
			path = filepath.Join(path, "index.db")
		}
		switch err := roomBeside(path); {
		case text == "" && err != nil, text != "" && (err == nil || err.Error() != text):
			t.Errorf("%s: %v", what, err)
		}
		if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
			t.Errorf("%s: %v stay", what, left)
		}
	}
	x, _ := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: filepath.Join(t.TempDir(), "index.db")}, seeded(t), 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Reads(ctx, Filter{}, 10, nil); !errors.Is(err, context.Canceled) || strings.Count(err.Error(), ErrUnavailable.Error()) != 1 {
		t.Errorf("%v", err)
	}
}
