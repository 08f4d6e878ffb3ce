package wording

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// TestDrawsParse: what is drawn is GraphQL, and differs from draw to draw.
func TestDrawsParse(t *testing.T) {
	t.Parallel()
	d := Draw{rand.New(rand.NewPCG(1, 1))}
	seen := map[string]bool{}
	for range 2_000 {
		text := `{ persons(where: ` + d.Around(`{income: {_lt: 5}}`, 4) + `, orderBy: ` + d.Order("income", "grade") + `) ` +
			d.Fields("income", "_ref", `loans(limit: 1000) { number }`, `loans { branch }`) + ` }`
		if _, err := parser.ParseQuery(&ast.Source{Input: text}); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !strings.Contains(text, `{income: {_lt: 5}}`) {
			t.Fatalf("the condition is lost: %s", text)
		}
		seen[text] = true
	}
	if len(seen) < 1_900 {
		t.Errorf("%d different of 2,000", len(seen))
	}
}
