package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-data/weir/examples/guangdong"
)

// TestReadersInCompany: readers with different rights ask for different persons
// at once, so that their fetches travel together, and each answer is the one that
// the same reader gets when nobody else asks.
func TestReadersInCompany(t *testing.T) {
	s := startPostgres(t)
	s.transport(t)
	const query = `query($id: String!) { person(idNumber: $id) { idNumber name phone address district birthDate household { number district } permits(limit: 2) { number issuedOn } } }`
	readers := []struct{ token, purpose string }{
		{"demo-e2e-reader", "case-handling"},
		{"demo-e2e-partial", "case-handling"},
		{"demo-officer", "case-handling"},
		{"demo-contractor", "case-handling"},
		{"demo-citizen", ""},
		{"demo-statistician", ""},
	}
	a, err := s.post(t.Context(), "demo-e2e-reader", "case-handling", `{ persons(limit: 40, orderBy: [{birthDate: ASC}]) { idNumber } }`, "")
	if err != nil {
		t.Fatal(err)
	}
	var people struct{ Persons []struct{ IDNumber string } }
	if err := json.Unmarshal(a.Data, &people); err != nil || len(people.Persons) != 40 {
		t.Fatalf("%v: %s", err, a)
	}
	sample := guangdong.TheSample()
	ids := []string{sample.Mother, sample.Elsewhere, "no such person", ""}
	for _, p := range people.Persons {
		ids = append(ids, p.IDNumber)
	}
	ask := func(reader, id int) string {
		variables, err := json.Marshal(map[string]string{"id": ids[id]})
		if err != nil {
			return err.Error()
		}
		a, err := s.post(t.Context(), readers[reader].token, readers[reader].purpose, query, string(variables))
		if err != nil {
			return err.Error()
		}
		text := string(a.Data)
		for _, e := range a.Errors {
			text += fmt.Sprint(" ", e.Extensions["code"], e.Path)
		}
		return text
	}
	before := s.statements(t)
	alone, perRequest := make([][]string, len(readers)), make([]float64, len(readers))
	different := map[string]bool{}
	for reader := range readers {
		for id := range ids {
			text := ask(reader, id)
			alone[reader] = append(alone[reader], text)
			different[text] = true
		}
		now := s.statements(t)
		perRequest[reader], before = (now-before)/float64(len(ids)), now
	}
	if len(different) < len(ids)+20 {
		t.Errorf("the readers' answers differ too little to tell: %d texts", len(different))
	}
	// A machine that is too busy lets nobody wait for company: that takes long.
	for range 5 {
		var expected float64 // if each went alone
		asked := rush(len(readers), func(reader int) {
			id := rand.IntN(len(ids)) //nolint:gosec // not a secret
			if got := ask(reader, id); got != alone[reader][id] {
				t.Errorf("%s of %s\n got %s\nalone %s", readers[reader].token, ids[id], got, alone[reader][id])
			}
		})
		for reader := range readers {
			expected += perRequest[reader] * float64(asked[reader].Load())
		}
		now := s.statements(t)
		n := now - before
		t.Logf("%.0f statements, of requests that have %.0f alone", n, expected)
		if before = now; n < 0.9*expected || t.Failed() {
			return
		}
	}
	t.Error("nobody travelled in company")
}

// rush lets many clients ask at once, most as the first reader, as of a busy
// office, and tells how often each reader asked.
func rush(readers int, ask func(reader int)) []atomic.Int64 {
	const clients, perClient = 48, 100
	asked := make([]atomic.Int64, readers)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range perClient {
				reader := max(0, rand.IntN(2*readers)-readers) //nolint:gosec // not a secret
				asked[reader].Add(1)
				ask(reader)
			}
		})
	}
	group.Wait()
	return asked
}

// transport lets many clients keep their connections.
func (s *server) transport(t *testing.T) {
	t.Helper()
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t.Fatalf("the default transport is a %T", http.DefaultTransport)
	}
	before := shared.MaxIdleConnsPerHost
	shared.MaxIdleConnsPerHost = 64
	t.Cleanup(func() { shared.MaxIdleConnsPerHost = before })
}

// statements counts what the register of persons was sent for requests.
func (s *server) statements(t *testing.T) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(s.metric(t, `weir_department_statements_total{department="public_security"}`), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
