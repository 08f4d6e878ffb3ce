package ledger

import (
	"path/filepath"
	"testing"
)

func TestGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	var at uint64
	for range 3 {
		n := open(t, dir, nil)
		p := n.append(120)
		n.proven(p)
		p = n.append(30)
		n.close()
		if s := n.led.Stats(); s.Proven != p.Sequence || s.Waiting != 0 || s.Failures != 0 {
			t.Fatalf("%+v after %s", s, p)
		}
		if p.Sequence != at+150 {
			t.Fatalf("%s", p)
		}
		at = p.Sequence
	}
}
