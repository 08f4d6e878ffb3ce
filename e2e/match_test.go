package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/schema"
)

// match gives the arguments of a verification: about a row that is there, with
// its values or others, or about nobody.
func (g *generator) match(root *schema.Root) []member {
	t := g.c.Types[root.Type]
	row := g.people[root.Type][g.r.IntN(len(g.people[root.Type]))]
	value := func(f *schema.Field) any {
		if v := row[f.Name]; v != nil && g.chance(85) {
			return v
		}
		return g.valueOf(f)
	}
	var args, expect []member
	for _, k := range root.Keys {
		args = append(args, member{k, g.maybeVariable(value(t.Field(k)), t.Field(k).Kind.String()+"!")})
	}
	fields := t.Expected()
	for _, i := range g.r.Perm(len(fields)) {
		f := fields[i]
		withheld := false
		for _, w := range g.role.Withheld {
			withheld = withheld || w == f.Coordinate.String()
		}
		if !withheld && (len(expect) == 0 || g.chance(30)) {
			expect = append(expect, member{f.Name, value(f)})
		}
	}
	if len(expect) == 0 { // everything is withheld: the row is, too
		expect = []member{{fields[0].Name, g.valueOf(fields[0])}}
	}
	return append(args, member{schema.ExpectArgument, g.maybeVariable(expect, t.Name+"Expect!")})
}

// TestBudgetsSurviveAKill: a clerk who guesses at one person's name is stopped
// after the day's budget, also when the program is killed between his guesses;
// and every refusal is on record.
func TestBudgetsSurviveAKill(t *testing.T) {
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const perKey, rounds = 200, 3
	write(t, filepath.Join(dir, "weir.yaml"), string(raw)+"\nbudgets: {matchPerKey: 200, matchPerReader: 1000}\n")
	query := `query($id: String!) { personMatch(idNumber: $id, expect: {name: "某某"}) }`
	variables := `{"id":"` + guangdong.TheSample().Mother + `"}`

	var answered, unsure atomic.Int64
	for range rounds {
		s := start(t, dir)
		var clients sync.WaitGroup
		var inRound atomic.Int64
		for range 4 {
			clients.Go(func() {
				for {
					a, err := s.post(t.Context(), "demo-clerk", "newborn-registration", query, variables)
					switch {
					case err != nil:
						unsure.Add(1) // it may have been charged
						return
					case string(a.Data) == `{"personMatch":false}`:
						answered.Add(1)
						if inRound.Add(1) == 4 {
							s.kill()
						}
					default:
						t.Errorf("answered %s", a)
						return
					}
				}
			})
		}
		clients.Wait()
	}
	s := start(t, dir)
	refused := 0
	for range perKey {
		a, err := s.post(t.Context(), "demo-clerk", "newborn-registration", query, variables)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case string(a.Data) == `{"personMatch":false}`:
			answered.Add(1)
		case len(a.Errors) == 1 && a.Errors[0].Extensions["code"] == "RATE_LIMITED" && a.Data == nil:
			refused++
		default:
			t.Fatalf("answered %s", a)
		}
	}
	// Each question states two values: the key and the name.
	if n := answered.Load(); n*2 > perKey || (n+unsure.Load())*2 < perKey || refused == 0 {
		t.Errorf("%d questions answered and %d cut off over %d kills, %d refused, with a budget of %d values", n, unsure.Load(), rounds, refused, perKey)
	}
	// Another person's data has a budget of its own.
	a, err := s.post(t.Context(), "demo-clerk", "newborn-registration", query, `{"id":"nobody"}`)
	if err != nil || string(a.Data) != `{"personMatch":false}` {
		t.Errorf("another key: %v %s", err, a)
	}
	s.kill()
	out, err := exec.CommandContext(t.Context(), binary, "lineage", "tail", "--state", filepath.Join(dir, "state"), "--json", "--last", "100000").Output()
	if err != nil {
		t.Fatalf("lineage tail: %v", err)
	}
	onRecord, matched := 0, 0
	for line := range strings.Lines(string(out)) {
		var r struct{ Kind, Code string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Kind == "refused" && r.Code == "RATE_LIMITED" {
			onRecord++
		}
		if strings.Contains(line, `"match"`) {
			matched++
		}
	}
	if onRecord != refused || int64(matched) < answered.Load() {
		t.Errorf("%d refusals and %d verifications on record, want %d and at least %d", onRecord, matched, refused, answered.Load())
	}
}
