package metamorphic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/examples/attackers/target"
)

const queriesPerWorld, rewritingsPerQuery = 12, 10

// shown is what an answer shows: the cells in clear by value, how the reader is
// told that others are masked or withheld, and the refusals.
type shown struct {
	Clear   []string
	Others  []string // "masked Person.name", by field
	Refused []string // codes
}

// TestRewritings: whatever way a query is written, it shows the same cells.
// WEIR_SOAK=1 makes 100,000 rewritings instead of 2,000. WEIR_SEED repeats a run,
// WEIR_FROM (a world's number) goes on with one.
func TestRewritings(t *testing.T) {
	seed, wanted := uint64(1), 2_000
	if os.Getenv("WEIR_SOAK") == "1" {
		wanted = 100_000
	}
	if s := os.Getenv("WEIR_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	from := uint64(0)
	if s := os.Getenv("WEIR_FROM"); s != "" {
		var err error
		if from, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		wanted -= int(from) * queriesPerWorld * rewritingsPerQuery //nolint:gosec // of a run that was begun
	}
	t.Logf("WEIR_SEED=%d WEIR_FROM=%d", seed, from)
	counts := struct{ rewritings, clear, empty, refused, limited int }{}
	used := map[string]int{}
	for number := from; counts.rewritings < wanted; number++ {
		if number%100 == 99 {
			t.Logf("%d rewritings, no difference; to go on from here: WEIR_SEED=%d WEIR_FROM=%d", counts.rewritings, seed, number)
		}
		r := rand.New(rand.NewPCG(seed, number))
		w := newWorld(r)
		town := w.serve(t)
		d := &drawing{r, w}
		for range queriesPerWorld {
			roots := d.query()
			text := plainly(roots)
			want, err := ask(t.Context(), town, w, http.MethodPost, text, "{}", "")
			if err != nil {
				t.Fatal(err)
			}
			counts.clear += len(want.Clear)
			if len(want.Clear) == 0 {
				counts.empty++
			}
			if len(want.Refused) > 0 {
				counts.refused++
			}
			for range rewritingsPerQuery {
				rw := &rewriting{r: r, used: used}
				got, texts, err := rw.run(t.Context(), town, w, roots, len(want.Refused) == 0)
				if err != nil {
					t.Fatal(err)
				}
				counts.rewritings++
				if slices.Contains(got.Refused, "LIMIT_EXCEEDED") {
					counts.limited++
					continue
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("seed %d, world %d: another way to write a query shows other cells (-first +second)\n%s\n%s\n\nrewritten:\n%s\npolicy:\n%s",
						seed, number, diff, text, strings.Join(texts, "\n\n"), w.setup.Policy)
				}
			}
		}
		if err := town.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(used)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, used[k]))
	}
	t.Logf("%+v\n%s", counts, strings.Join(kinds, ", "))
	if counts.clear < wanted/20 || counts.limited > wanted/20 || len(kinds) < 16 {
		t.Error("too little is shown, too much is refused for its size, or a kind of rewriting was never made: the test has no power")
	}
}

// run sends one rewriting and gives what it shows, and what was sent.
func (w *rewriting) run(ctx context.Context, town *target.Town, world *world, roots []*selection, maySplit bool) (*shown, []string, error) {
	parts := [][]*selection{roots}
	if maySplit && w.chance(3) {
		if p := w.parted(roots); p != nil {
			parts = p
		}
	}
	all, texts := &shown{Clear: []string{}, Others: []string{}, Refused: []string{}}, []string{}
	for _, part := range parts {
		text, variables, operation := w.document(part)
		method := http.MethodPost
		if w.chance(3) {
			method = http.MethodGet
			w.used["GET"]++
		}
		texts = append(texts, method+" "+operation+" "+variables+"\n"+text)
		s, err := ask(ctx, town, world, method, text, variables, operation)
		if err != nil {
			return nil, texts, fmt.Errorf("%w\n%s", err, strings.Join(texts, "\n"))
		}
		all.Clear = append(all.Clear, s.Clear...)
		all.Others = append(all.Others, s.Others...)
		all.Refused = append(all.Refused, s.Refused...)
	}
	all.sort()
	return all, texts, nil
}

func (s *shown) sort() {
	for _, list := range []*[]string{&s.Clear, &s.Others, &s.Refused} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}

// ask asks again when a machine that is too busy was the reason of a refusal:
// that says nothing of the query.
func ask(ctx context.Context, town *target.Town, w *world, method, text, variables, operation string) (*shown, error) {
	for range 50 {
		s, err := once(ctx, town, w, method, text, variables, operation)
		if err != nil || !slices.ContainsFunc(s.Refused, func(code string) bool {
			return slices.Contains([]string{"SOURCE_TIMEOUT", "LEDGER_UNAVAILABLE", "OVERLOADED", "TIMEOUT"}, code)
		}) {
			return s, err
		}
	}
	return nil, errors.New("the machine is too busy to answer")
}

// once sends a query, by POST or GET, and reads the cells out of the answer.
func once(ctx context.Context, town *target.Town, w *world, method, text, variables, operation string) (*shown, error) {
	address, body := town.URL, []byte(nil)
	if method == http.MethodGet {
		address += "?" + url.Values{"query": {text}, "variables": {variables}, "operationName": {operation}}.Encode()
		if operation == "" {
			address = strings.Replace(address, "operationName=&", "", 1)
		}
	} else {
		parts := map[string]any{"query": text, "variables": json.RawMessage(variables)}
		if operation != "" {
			parts["operationName"] = operation
		}
		var err error
		if body, err = json.Marshal(parts); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/graphql-response+json")
	request.Header.Set("Authorization", "Bearer "+target.Token)
	request.Header.Set("X-Weir-Purpose", "research")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data   any
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
		Extensions struct {
			Weir struct {
				Access map[string][]struct{ Field, Level, Reason, Rows, When string }
			}
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, raw)
	}
	s := &shown{Clear: []string{}, Others: []string{}, Refused: []string{}}
	for _, e := range answer.Errors {
		if strings.HasPrefix(e.Extensions.Code, "GRAPHQL") || e.Extensions.Code == "BAD_REQUEST" || e.Extensions.Code == "INTERNAL" {
			return nil, fmt.Errorf("the test writes queries that are none: %s %s", raw, text)
		}
		s.Refused = append(s.Refused, e.Extensions.Code)
	}
	for outcome, entries := range answer.Extensions.Weir.Access {
		for _, e := range entries {
			s.Others = append(s.Others, strings.Join([]string{outcome, e.Field, e.Level, e.Reason, e.Rows, e.When}, " "))
		}
	}
	w.collect(answer.Data, s)
	s.sort()
	return s, nil
}

// collect finds the cells whose values stand in the data.
func (w *world) collect(v any, s *shown) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			w.collect(inner, s)
		}
	case []any:
		for _, inner := range v {
			w.collect(inner, s)
		}
	default:
		raw, _ := json.Marshal(v)
		if cell, ok := w.cells[string(raw)]; ok {
			s.Clear = append(s.Clear, cell+" "+string(raw))
		}
	}
}
