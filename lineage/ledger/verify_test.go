package ledger

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
)

// copied gives a copy of a folder: what an auditor has.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(inMemory(t), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	reading, err := os.ReadFile(dir + ".reading")
	if err == nil {
		err = os.WriteFile(to+".reading", reading, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestVerifierReadsWhatWasWritten: the verifier, which has its own reader, says of
// a record what the log says of it.
func TestVerifierReadsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	n := open(t, dir, nil)
	n.proven(n.append(60))
	key := n.key.Public()
	n.close()
	folder := lineage.Folder{Dir: dir, Reading: must(readingRing(dir)).Box(readingUse)}
	grouped := map[bool]int{}
	for e, err := range lineage.Read(folder, 1) {
		if err != nil {
			t.Fatal(err)
		}
		r := &e.Record
		if r.Kind != "query" {
			continue
		}
		proven, err := verify.CheckProof(must(must(Prove(folder, key, e.Position)).Text()), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := proven.Record
		if got.Position != e.Position.String() || got.Subject != r.Subject || got.Purpose != r.Purpose || got.Rows != r.Rows || len(got.Uses) != len(r.Uses) ||
			got.Uses[0].Masked != r.Counts[0].Masked || got.TagCount != r.TagCount || got.Salt != hex.EncodeToString(r.Salt[:]) || got.Answer != hex.EncodeToString(r.Answer[:]) {
			t.Errorf("%+v instead of %+v", got, r)
		}
		many := len(r.Tags) > lineage.MaxInlineTags // not in the proof
		var tags, sources []string
		for _, tag := range r.Tags {
			tags = append(tags, hex.EncodeToString(tag[:]))
		}
		for _, s := range r.Sources {
			sources = append(sources, s.Department)
		}
		var groups []verify.TagGroup
		for _, g := range r.TagGroups {
			groups = append(groups, verify.TagGroup{Sources: [][]string{1: sources[:1], 2: sources[1:], 3: sources}[g.Sources], Tags: uint64(g.Count)})
			grouped[many]++
		}
		if diff := cmp.Diff(groups, got.TagGroups); diff != "" {
			t.Errorf("%v: groups (-want +got):\n%s", e.Position, diff)
		}
		if !many && !slices.Equal(tags, got.Tags) || many && got.Tags != nil {
			t.Errorf("%v: tags %v instead of %v", e.Position, got.Tags, tags)
		}
	}
	if grouped[false] < 20 || grouped[true] < 2 {
		t.Errorf("groups of tags in the record and in their own frame: %v", grouped)
	}
}

func TestVerifyCopiedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	var key string
	for range 3 {
		n := open(t, dir, nil)
		for range 5 {
			n.proven(n.append(40))
		}
		key = n.key.Public()
		n.close()
	}
	r, err := verify.Folder(t.Context(), copied(t, dir), verify.Options{Key: key, ReadingKey: readingText(t, dir)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != 600 || r.Read != 600 || r.Behind != 0 || r.Last != "node-a/3/600" || r.Batches < 15 {
		t.Errorf("%+v", r)
	}
}
