// Package cursors attacks what a page's cursor carries: it walks pages in the
// order of a protected field, weighs and decodes cursors, alters them, and hands
// them on to another purpose. It promises to look at each byte.
package cursors

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/weir-data/weir/examples/attackers/ordering"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "cursors", Oracle: "what a cursor holds, how long it is, where it leads",
		Question: "is the income 500 or more?", Prior: 1.0 / 2,
		Truth: ordering.Above, Run: run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	seen := map[string]tells.Features{}
	of := func(id string) tells.Features {
		if seen[id] == nil {
			seen[id] = tells.Features{}
		}
		return seen[id]
	}
	for _, order := range []string{`[{income: ASC}]`, `[{district: ASC}, {idNumber: DESC}]`, `[{grade: ASC}]`} {
		query := `query($after: String) { personsConnection(first: 10, after: $after, orderBy: ` + order + `) { edges { cursor node { idNumber district } } pageInfo { endCursor hasNextPage } } }`
		var after any
		lengths := map[int]bool{}
		for position := 0; ; {
			a, err := c.Ask(ctx, "research", query, map[string]any{"after": after})
			if err != nil {
				return nil, err
			}
			if len(a.Codes) > 0 {
				cs.Say("pages by %s: %s", order, strings.Join(a.Codes, " "))
				break
			}
			for _, e := range target.List(a.Data, "personsConnection", "edges") {
				id, cursor := target.Text(e, "node", "idNumber"), target.Text(e, "cursor")
				f := of(id)
				f["position by "+order] = float64(position)
				look(f, order, cursor)
				lengths[len(cursor)] = true
				position++
			}
			after = target.At(a.Data, "personsConnection", "pageInfo", "endCursor")
			if target.At(a.Data, "personsConnection", "pageInfo", "hasNextPage") != true {
				cs.Say("pages by %s: %d rows, cursors of %d different lengths", order, position, len(lengths))
				if cursor, ok := after.(string); ok {
					if err := misuse(ctx, c, cs, query, cursor); err != nil {
						return nil, err
					}
				}
				break
			}
		}
	}
	return tells.Apply(cs, seen), nil
}

// look notes a cursor's length and bytes.
func look(f tells.Features, order, cursor string) {
	f["length by "+order] = float64(len(cursor))
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(cursor, "="))
	if err != nil {
		raw = []byte(cursor)
	}
	for i, b := range raw {
		f[fmt.Sprintf("byte %d by %s", i, order)] = float64(b)
	}
}

// misuse alters a cursor, and takes it to another purpose and another order.
func misuse(ctx context.Context, c *target.Client, cs *target.Case, query, cursor string) error {
	altered := "A" + cursor[1:]
	if altered == cursor {
		altered = "B" + cursor[1:]
	}
	for _, m := range []struct{ words, purpose, query, cursor string }{
		{"altered", "research", query, altered},
		{"cut", "research", query, cursor[:len(cursor)-4]},
		{"for another purpose", "billing", query, cursor},
		{"for another order", "research", strings.Replace(query, "orderBy: [{", "orderBy: [{idNumber: DESC}, {", 1), cursor},
		{"for another type", "research", `query($after: String) { loansConnection(after: $after) { totalCount } }`, cursor},
	} {
		a, err := c.Ask(ctx, m.purpose, m.query, map[string]any{"after": m.cursor})
		if err != nil {
			return err
		}
		cs.Say("a cursor %s: %s", m.words, strings.Join(append(a.Codes, "accepted")[:1], ""))
	}
	return nil
}
