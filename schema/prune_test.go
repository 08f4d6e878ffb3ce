package schema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is printed from the parsed API is what the generator printed.
func TestPruneNothing(t *testing.T) {
	c := loadSmall(t)
	p, err := c.Prune(func(Coordinate) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.SDL, p.SDL); diff != "" {
		t.Errorf("SDL (-whole +pruned of nothing):\n%s", diff)
	}
}
