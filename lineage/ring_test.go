package lineage

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// keyedOnce runs a log of a key ring for one record, and tells what Open found.
func keyedOnce(t *testing.T, files *memFS, ring ...string) Recovery {
	t.Helper()
	l := openMem(t, files, Config{Ring: ring})
	appendOne(t, l, Synced)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Recovery()
}

// refusesRing opens with another ring, and wants nothing to be written.
func refusesRing(t *testing.T, files *memFS, kind error, says string, ring ...string) {
	t.Helper()
	before := must(files.List("log"))
	l, err := Open(Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: files, Ring: ring})
	if err == nil {
		t.Fatalf("it opens with %v: %v", ring, l.Close())
	}
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v: %v", ring, err)
	}
	if after := must(files.List("log")); len(after) != len(before) {
		t.Errorf("%v became %v", before, after)
	}
}

// TestRing: a log opens with the key ring that keyed it, also after a rotation,
// and with no other; one from before is taken over, and tells so once.
func TestRing(t *testing.T) {
	files, place := newMemFS(), filepath.Join("log", RingName)
	l := openMem(t, files, Config{Ring: []string{"a"}})
	if got := string(must(readAll(files, place))); got != "weir ledger ring 1\norigin node-a\nkey a\n" {
		t.Errorf("before the first record it says %q", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	refusesRing(t, files, ErrRing, place, "b") // not one record is keyed yet, and still
	keyedOnce(t, files, "a")
	keyedOnce(t, files, "b", "a") // rotated
	refusesRing(t, files, ErrRing, place, "a")
	keyedOnce(t, files, "b") // a is retired
	refusesRing(t, files, ErrRing, place, "c", "a")
	keyedOnce(t, files) // a command that makes no tags

	if err := files.Remove(place); err != nil {
		t.Fatal(err)
	}
	if !keyedOnce(t, files, "b").RingTaken || keyedOnce(t, files, "b").RingTaken {
		t.Error("that it is taken over is not told once")
	}
	refusesRing(t, files, ErrRing, place, "c")

	for text, kind := range map[string]error{
		"":      ErrCorrupt,
		"key b": ErrCorrupt,
		"weir ledger ring 1\norigin node-a\nkey \n":         ErrCorrupt,
		"weir ledger ring 1\norigin node-a\nkey b\nkey c\n": ErrCorrupt,
		"weir ledger ring 1\norigin node-b\nkey b\n":        ErrForeign,
	} {
		if err := putFile(files, "log", place, place+newSuffix, []byte(text)); err != nil {
			t.Fatal(err)
		}
		refusesRing(t, files, kind, place, "b")
	}
}

// TestRingPowerCut: wherever the power goes, no record is there of which nothing
// says which key ring keyed it, and what is there opens with that ring.
func TestRingPowerCut(t *testing.T) {
	cutEverywhere(t, rounds(t, "WEIR_POWER_ROUNDS", 2, 20), 15, func(step int, rnd *rand.Rand) (bool, error) {
		files := newMemFS()
		cut := cutPower(files, step, rnd, func() {})
		for _, ring := range [][]string{{"a"}, {"b", "a"}} {
			keyedOnce(t, files, ring...)
		}
		dark := cut.left()
		if dark == nil {
			return false, nil
		}
		config := Config{Reading: testReading, Dir: "log", Origin: "node-a", Files: dark, Ring: []string{"c"}}
		if found, err := records(dark, "log"); err == nil && len(found) > 0 {
			if l, err := Open(config); !errors.Is(err, ErrRing) {
				return true, errors.Join(errors.New("records, and no word of their key ring"), err, l.Close())
			}
		}
		config.Ring = []string{"b", "a"}
		l, err := Open(config)
		if err != nil {
			return true, err
		}
		_, ticket, err := l.Append(context.Background(), sampleRecord())
		if err == nil {
			err = ticket.Wait(context.Background(), Synced)
		}
		return true, errors.Join(err, l.Close())
	})
}
