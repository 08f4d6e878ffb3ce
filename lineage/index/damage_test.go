package index

import (
	"errors"
	"testing"
)

// TestDamage: what has changed in a chunk of persons, or is missing from a run, is
// no answer and is merged into nothing; an index that is made anew answers again.
func TestDamage(t *testing.T) {
	if small {
		t.Skip("SKIPPED: WEIR_SMALL leaves out what nothing runs beside")
	}
	for what, damage := range map[string]string{
		"a byte is another":         `UPDATE chunk SET postings = substr(postings, 1, 40) || x'ff' || substr(postings, 42)`,
		"the end is missing":        `UPDATE chunk SET postings = substr(postings, 1, length(postings) - 20)`,
		"it is empty":               `UPDATE chunk SET postings = x''`,
		"it stands for another tag": `UPDATE chunk SET tag = tag - 1`,
		"chunks are missing":        `DELETE FROM chunk WHERE rowid % 2 = 0`,
		"there are too many":        `UPDATE run SET postings = postings - 1`,
	} {
		t.Run(what, func(t *testing.T) {
			r := seeded(t)
			cfg := Config{Driver: SQLite, Reading: reading(t), Path: t.TempDir() + "/index.db", Dir: t.TempDir(), Batch: 10}
			entries := fill(t, cfg.Dir, "node-a", r, 200)
			x, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := x.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := x.db.ExecContext(t.Context(), damage); err != nil {
				t.Fatal(err)
			}
			asks := func() (asked, damaged int) {
				for i := range entries {
					for _, tag := range entries[i].Record.Tags[:min(1, len(entries[i].Record.Tags))] {
						_, err := x.Reads(t.Context(), Filter{Tag: &tag, Any: true}, 10, nil)
						_, has := x.Has(t.Context(), entries[i].Position, Filter{Tag: &tag})
						if asked++; errors.Is(err, ErrDamaged) && errors.Is(has, ErrDamaged) && errors.Is(err, ErrUnavailable) && errors.Is(has, ErrUnavailable) {
							damaged++
						} else if err != nil {
							t.Fatalf("%v, %v", err, has)
						}
					}
				}
				return asked, damaged
			}
			// How many there are is looked at where runs are read whole.
			if asked, damaged := asks(); asked < 50 || damaged < asked && what != "chunks are missing" && what != "there are too many" {
				t.Errorf("%d of %d questions say that the index is damaged", damaged, asked)
			}
			fill(t, cfg.Dir, "node-a", r, 1000)
			if err := x.CatchUp(t.Context()); !errors.Is(err, ErrDamaged) {
				t.Errorf("it goes on: %v", err)
			}
			if x.Reached() >= uint64(len(entries)+1000) {
				t.Errorf("it has reached %d", x.Reached())
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Rebuild(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if x, err = Open(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if _, damaged := asks(); damaged > 0 {
				t.Errorf("%d questions say that it is damaged, and it is new", damaged)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamagedRollups: what has changed in a day's figures is no answer, and says
// what helps.
func TestDamagedRollups(t *testing.T) {
	for what, damage := range map[string]string{
		"people end early":  `UPDATE rollup SET people = substr(people, 1, length(people) - 1) WHERE length(people) > 0`,
		"people begin late": `UPDATE rollup SET people = substr(people, 2) WHERE length(people) > 0`,
		"no sketch":         `UPDATE rollup SET people = x'0003010203'`,
		"cells end early":   `UPDATE rollup SET cells = substr(cells, 1, length(cells) - 1) WHERE length(cells) > 0`,
	} {
		t.Run(what, func(t *testing.T) {
			x, _ := opened(t, Config{Driver: SQLite, Reading: reading(t), Path: t.TempDir() + "/index.db"}, seeded(t), 100)
			f := FlowFilter{Department: departments[0]}
			if found, err := x.Flows(t.Context(), f); err != nil || len(found) == 0 {
				t.Fatalf("%d flows, %v", len(found), err)
			}
			if _, err := x.db.ExecContext(t.Context(), damage); err != nil {
				t.Fatal(err)
			}
			if found, err := x.Flows(t.Context(), f); !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("%d flows, %v", len(found), err)
			}
		})
	}
}
