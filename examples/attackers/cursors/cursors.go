// Package cursors attacks what a page's cursor carries: it walks pages in the
// order of a protected field, weighs and decodes cursors, alters them, and hands
// them on to another purpose. It promises to look at each byte.
package cursors

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-data/weir/examples/attackers/ordering"
	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/tells"
	"github.com/weir-data/weir/examples/attackers/wording"
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
	best, d := &tells.Best{}, wording.Draw{Rand: cs.Random}
	orders := []string{`[{income: ASC}]`, `[{district: ASC}, {idNumber: DESC}]`, `[{grade: ASC}]`}
	walks, forgeries := map[string]int{}, map[string]int{}
	for n := 0; ; n++ {
		order, size := "", 10
		if n < len(orders) {
			order = orders[n]
		} else {
			order, size = d.Order("income", "score", "grade", "district", "idNumber", "idNumber"), 10+d.IntN(200)
		}
		err := walk(ctx, c, cs, best, order, size, n < len(orders), walks, forgeries)
		if errors.Is(err, target.ErrSpent) {
			cs.Say("further walks: %v; cursors altered by lot: %v", walks, forgeries)
			return best.Apply(cs), nil
		}
		if err != nil || best.Certain(cs) {
			return best.Apply(cs), err
		}
	}
}

// walk goes through all pages in an order and looks at each cursor; then it
// alters the last one.
func walk(ctx context.Context, c *target.Client, cs *target.Case, best *tells.Best, order string, size int, scripted bool, walks, forgeries map[string]int) error {
	query := fmt.Sprintf(`query($after: String) { personsConnection(first: %d, after: $after, orderBy: %s) { edges { cursor node { idNumber district } } pageInfo { endCursor hasNextPage } } }`, size, order)
	seen, lengths := map[string]tells.Features{}, map[int]bool{}
	var after any
	for position := 0; ; {
		a, err := c.Ask(ctx, "research", query, map[string]any{"after": after})
		if err != nil {
			return err
		}
		if len(a.Codes) > 0 {
			if scripted {
				cs.Say("pages by %s: %s", order, strings.Join(a.Codes, " "))
			}
			walks[a.Codes[0]]++
			return nil
		}
		for _, e := range target.List(a.Data, "personsConnection", "edges") {
			f, cursor := tells.Features{}, target.Text(e, "cursor")
			f["position by "+order] = float64(position)
			look(f, order, cursor)
			seen[target.Text(e, "node", "idNumber")] = f
			lengths[len(cursor)] = true
			position++
		}
		after = target.At(a.Data, "personsConnection", "pageInfo", "endCursor")
		if target.At(a.Data, "personsConnection", "pageInfo", "hasNextPage") == true {
			continue
		}
		best.Try(cs, seen)
		walks[fmt.Sprintf("cursors of %d lengths", len(lengths))]++
		cursor, ok := after.(string)
		if scripted {
			cs.Say("pages by %s: %d rows, cursors of %d different lengths", order, position, len(lengths))
			if ok {
				if err := misuse(ctx, c, cs, query, cursor); err != nil {
					return err
				}
			}
		}
		for range 20 {
			if !ok {
				break
			}
			text := []byte(cursor)
			text[cs.Random.IntN(len(text))] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[cs.Random.IntN(64)]
			if string(text) == cursor {
				continue
			}
			a, err := c.Ask(ctx, "research", query, map[string]any{"after": string(text)})
			if err != nil {
				return err
			}
			forgeries[strings.Join(append(a.Codes, "ACCEPTED")[:1], "")]++
		}
		return nil
	}
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
