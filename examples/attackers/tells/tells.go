// Package tells looks for whatever in an answer goes with a fact that the
// attacker knows of some people, and uses it on the others.
//
// It promises to look at everything that comes back but what names the request:
// status, headers, every value of the body, how many there are, and its length.
package tells

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
)

// Features are what was seen of one person, by name.
type Features map[string]float64

// See adds an answer's features. About is the person's number: it is his in any
// case, and is taken out.
func (f Features) See(probe, about string, a *target.Answer) {
	f[probe+" status"] = float64(a.Status)
	for name, values := range a.Header {
		if name == "Date" || name == "X-Request-Id" {
			continue
		}
		f[probe+" "+name+"="+strings.ReplaceAll(strings.Join(values, ","), about, "")] = 1
	}
	var v any
	if json.Unmarshal(a.Body, &v) == nil {
		f.value(probe, about, v)
		raw, _ := json.Marshal(target.At(v, "data"))
		f[probe+" length of data"] = float64(len(raw))
	}
	raw, _ := json.Marshal(a.Codes)
	f[probe+" codes="+string(raw)] = 1
}

func (f Features) value(path, about string, v any) {
	switch v := v.(type) {
	case map[string]any:
		f[path+" fields"] += float64(len(v))
		for k, inner := range v {
			if k != "requestId" && k != "receipt" {
				f.value(path+"."+k, about, inner)
			}
		}
	case []any:
		f[path+" items"] += float64(len(v))
		for _, inner := range v {
			f.value(path, about, inner)
		}
	case float64:
		f[path] += v
	case string:
		f[path+" length"] += float64(len(v))
		f[path+"="+strings.ReplaceAll(v, about, "")] = 1
	default:
		f[fmt.Sprintf("%s=%v", path, v)]++
	}
}

// Rule is one feature with a threshold: above it the answer is Above.
type Rule struct {
	Feature      string
	Threshold    float64
	Above, Below string
	Right, Of    int // among those whom it was learnt from
}

// Guess applies the rule.
func (r *Rule) Guess(f Features) string {
	if f[r.Feature] > r.Threshold {
		return r.Above
	}
	return r.Below
}

// Learn finds the rule that is right most often for those whose answer is known.
func Learn(seen map[string]Features, known map[string]string) *Rule {
	ids := slices.Sorted(maps.Keys(known))
	names := map[string]bool{}
	for _, id := range ids {
		for name := range seen[id] {
			names[name] = true
		}
	}
	best := &Rule{Feature: "nothing", Threshold: 0}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if r := stump(name, ids, seen, known); r.Right > best.Right {
			best = r
		}
	}
	return best
}

// stump is the best threshold of one feature.
func stump(name string, ids []string, seen map[string]Features, known map[string]string) *Rule {
	ids = slices.Clone(ids)
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(seen[a][name], seen[b][name]) })
	below, above := map[string]int{}, map[string]int{}
	for _, id := range ids {
		above[known[id]]++
	}
	best := &Rule{Feature: name}
	for i, id := range ids {
		below[known[id]]++
		above[known[id]]--
		if i+1 < len(ids) && seen[ids[i+1]][name] == seen[id][name] {
			continue
		}
		b, nb := most(below)
		a, na := most(above)
		if nb+na > best.Right {
			best = &Rule{Feature: name, Threshold: seen[id][name], Below: b, Above: a, Right: nb + na, Of: len(ids)}
		}
	}
	return best
}

func most(counts map[string]int) (string, int) {
	best, n := "", 0
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if counts[k] > n {
			best, n = k, counts[k]
		}
	}
	return best, n
}

// Apply learns from the known and guesses the others, and says what it found.
func Apply(cs *target.Case, seen map[string]Features) map[string]string {
	r := Learn(seen, cs.Known)
	cs.Say("the best tell among the %d known: %q > %g, right for %d", len(cs.Known), r.Feature, r.Threshold, r.Right)
	guesses := map[string]string{}
	for _, id := range cs.IDs {
		guesses[id] = r.Guess(seen[id])
	}
	return guesses
}
