package ledger

import (
	"os"
	"path/filepath"
	"testing"

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
