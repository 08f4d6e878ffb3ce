package attacks

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/internal/gateway"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// world is a random schema under a random policy behind the real front. It has no
// sources: what is tried in it is refused before one is asked.
type world struct {
	t          testing.TB
	url        string
	roles      int
	subjects   map[string]*authz.Subject
	generation *plan.Generation
}

func newWorld(t testing.TB, random *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, roles: 3, subjects: map[string]*authz.Subject{}}
	sdl := randomSDL(random)
	c, found := schema.Load([]schema.File{{Name: "s.graphqls", Text: sdl}}, schema.Settings{})
	if c == nil {
		t.Fatalf("%v\n%s", found, sdl)
	}
	p, found := authz.Parse([]schema.File{{Name: "p.csv", Text: randomPolicy(random, c, w.roles)}})
	if found.Failed() {
		t.Fatal(found)
	}
	settings := authz.DefaultSettings(c.Levels)
	settings.Purposes = []string{"p1", "p2"}
	settings.HideFrom = schema.Rank(random.IntN(4)) //nolint:gosec // small
	table, err := authz.Compile(p, c, settings)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := plan.NewDocuments(c.API, plan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	w.generation = &plan.Generation{Catalogue: c, Table: table, Policy: p.Revision, Documents: documents}
	for i := range w.roles {
		w.subjects[fmt.Sprintf("r%d", i)] = &authz.Subject{ID: "s", Roles: []string{fmt.Sprintf("role%d", i)}, Department: "d0", Purposes: []string{"p1"}}
	}
	w.serve()
	return w
}

func (w *world) serve() {
	t := w.t
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	data, err := exec.New(exec.Config{Keys: ring, Budgets: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(data.Close)
	ledger, err := lineage.Open(lineage.Config{Dir: filepath.Join(t.TempDir(), "ledger"), Origin: "node-a", Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	front, err := gateway.New(gateway.Config{
		Data: data, Generations: &current{g: w.generation}, Authenticator: own(w.subjects), Ledger: gateway.LedgerOf(ledger), Keys: ring,
		Purposes: []string{"p1", "p2"}, Durability: []lineage.Durability{lineage.Written, lineage.Written, lineage.Written, lineage.Written},
		BodyLimit: 256 << 10, Concurrent: 8, QueueTimeout: time.Second, RequestTimeout: 10 * time.Second,
		Metrics: gateway.NewMetrics(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(front.Handler())
	t.Cleanup(s.Close)
	w.url = s.URL
}

// own are readers by their tokens.
type own map[string]*authz.Subject

func (o own) Authenticate(_ context.Context, token string) (*authz.Subject, error) {
	if s := o[token]; s != nil {
		return s, nil
	}
	return nil, gateway.ErrUnauthenticated
}

func (own) Epoch() uint64 { return 0 }

func (w *world) ask(token, document string) answer { return w.askWith(token, document, "") }

func (w *world) askWith(token, document, variables string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/graphql", strings.NewReader(bodyOf(document, variables)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header, string(body)}
}

// randomName gives a new name that begins as types or as fields do.
func randomName(random *rand.Rand, taken map[string]bool, upper bool) string {
	for {
		b := make([]byte, 3+random.IntN(8))
		for i := range b {
			b[i] = byte('a' + random.IntN(26))
		}
		if upper {
			b[0] -= 'a' - 'A'
		}
		if name := string(b); !taken[strings.ToLower(name)] {
			taken[strings.ToLower(name)] = true
			return name
		}
	}
}

// randomSDL has types with keys, columns of many kinds, enums, relations, an
// interface and a union, at random levels.
func randomSDL(random *rand.Rand) string {
	taken := map[string]bool{"owner": true, "label": true, "key": true}
	level := func() string { return fmt.Sprintf(`@classified(level: "L%d")`, 1+random.IntN(4)) }
	types := make([]string, 2+random.IntN(4))
	for i := range types {
		types[i] = randomName(random, taken, true)
	}
	enum, abstract, union := randomName(random, taken, true), randomName(random, taken, true), randomName(random, taken, true)
	kinds := []string{"String", "Int", "Float", "Boolean", "Date", "Decimal", "UUID", "JSON", "[String!]", enum}
	var b strings.Builder
	fmt.Fprintf(&b, "enum %s { %s %s }\n", enum, strings.ToUpper(randomName(random, taken, false)), strings.ToUpper(randomName(random, taken, false)))
	fmt.Fprintf(&b, "interface %s @api(list: %q, by: [\"owner\"]) { owner: String label: String }\nunion %s = %s\n", abstract, randomName(random, taken, false), union, strings.Join(types[:2], " | "))
	for i, name := range types {
		implements := ""
		if i == 0 || random.IntN(2) == 0 {
			implements = " implements " + abstract
		}
		fmt.Fprintf(&b, "type %s%s @source(department: \"d0\", table: \"t%d\", key: [\"key\"], tiebreak: \"row_no\") %s @sharing(mode: UNCONDITIONAL) {\n  key: String %s\n  owner: String %s\n  label: String %s\n",
			name, implements, i, level(), level(), level(), level())
		for range random.IntN(5) {
			fmt.Fprintf(&b, "  %s: %s %s\n", randomName(random, taken, false), kinds[random.IntN(len(kinds))], level())
		}
		for range random.IntN(3) {
			target := types[random.IntN(len(types))]
			switch random.IntN(4) {
			case 0:
				target = abstract
			case 1:
				target = union
			}
			fmt.Fprintf(&b, "  %s: [%s!] @relation(fields: [\"key\"], references: [\"owner\"]) %s\n", randomName(random, taken, false), target, level())
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func randomPolicy(random *rand.Rand, c *schema.Catalogue, roles int) string {
	var b strings.Builder
	coordinates := c.Coordinates()
	for role := range roles {
		fmt.Fprintf(&b, "p, role%d, d0, %s.*, L%d, *, all, mask, allow\n", role, coordinates[0].Type, 1+random.IntN(4))
		for range random.IntN(8) {
			at := coordinates[random.IntN(len(coordinates))]
			resource := at.Type + ".*"
			if !at.Row() && random.IntN(2) == 0 {
				resource = at.String()
			}
			fmt.Fprintf(&b, "p, role%d, d0, %s, L%d, %s, %s, %s, allow\n", role, resource, 1+random.IntN(4),
				[]string{"*", "p1", "p2"}[random.IntN(3)], []string{"all", "by_key"}[random.IntN(2)],
				[]string{"clear", "mask", "aggregate"}[random.IntN(3)])
		}
	}
	return b.String()
}
