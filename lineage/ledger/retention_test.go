package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// TestDrop: a key goes with a recorded act; every proof and the verifier hold as
// before, the redacted say nothing, and what is changed about the act is found.
func TestDrop(t *testing.T) {
	dir := filepath.Join(inMemory(t), "ledger")
	clock := time.Date(2023, 8, 31, 23, 0, 0, 0, time.UTC)
	n := open(t, dir, func(lc *lineage.Config, _ *Config) { lc.Clock = func() time.Time { return clock } })
	first := n.append(20)
	act := lineage.Act{Name: lineage.KeyName{Month: lineage.MonthOf(clock), Level: 3}, Text: "an act\n"}
	keys, err := lineage.Keys(lineage.Folder{Dir: dir})
	if err != nil || len(keys) != 1 || keys[0].Name != act.Name {
		t.Fatal(keys, err)
	}
	act.Key = keys[0].Key
	told := &lineage.Record{Kind: "retention", Operation: act.Name.String(), Document: lineage.ActDigest(act.Text), Status: "ok"}
	if err := n.log.Drop(t.Context(), act, told); !errors.Is(err, lineage.ErrRetention) {
		t.Errorf("a month that is not over: %v", err)
	}
	clock = clock.Add(2 * time.Hour)
	wrong := act
	wrong.Key[0]++
	if err := n.log.Drop(t.Context(), wrong, told); !errors.Is(err, lineage.ErrRetention) {
		t.Errorf("another key: %v", err)
	}
	n.proven(n.append(20))
	before, err := n.led.Receipt(first)
	if err != nil || before.Content() != lineage.Readable {
		t.Fatal(err)
	}
	text, err := before.Text()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.log.Drop(t.Context(), act, told); err != nil {
		t.Fatal(err)
	}
	n.proven(n.append(20))
	after, err := n.led.Receipt(first)
	if err != nil || after.Content() != lineage.Redacted {
		t.Fatal(after, err)
	}
	closed, err := after.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, proof := range [][]byte{text, closed} {
		if p, err := verify.CheckProof(proof, n.key.Public(), nil); err != nil || !p.Signed || !p.Included || p.Closed != (string(proof) == string(closed)) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	n.close()
	counts := map[lineage.Content]int{}
	for e, err := range lineage.Read(lineage.Folder{Dir: dir, Reading: must(readingRing(dir)).Box(readingUse)}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		counts[e.Content]++
	}
	if counts[lineage.Redacted] != 20 || counts[lineage.Readable] != 41 {
		t.Errorf("%v", counts)
	}
	o := verify.Options{Key: n.key.Public(), ReadingKey: readingText(t, dir), Anchors: []verify.Anchor{verify.ParseAnchor("proof", text)}}
	r, err := verify.Folder(t.Context(), dir, o)
	if err != nil || r.Dropped != 1 || r.Read != 41 || r.Records != 61 {
		t.Errorf("%+v, %v", r, err)
	}
	tomb := filepath.Join(dir, lineage.KeysFolder, act.Name.String()+".dropped")
	for name, change := range map[string]func() error{
		"changed": func() error { return os.WriteFile(tomb, []byte("another act\n"), 0o600) },
		"removed": func() error { return os.Remove(tomb) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		var found *verify.TamperError
		if _, err := verify.Folder(t.Context(), dir, o); !errors.As(err, &found) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(tomb, []byte(act.Text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A key that is gone, and an act that nobody recorded.
	late := filepath.Join(dir, lineage.KeysFolder, "2023-09.3")
	if err := os.Rename(late+".key", late+".dropped"); err != nil {
		t.Fatal(err)
	}
	var found *verify.TamperError
	if _, err := verify.Folder(t.Context(), dir, o); !errors.As(err, &found) {
		t.Errorf("an act that nobody recorded: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
