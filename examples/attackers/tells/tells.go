// Package tells looks for whatever in an answer goes with a fact that the
// attacker knows of some people, and uses it on the others.
//
// It promises to look at everything that comes back but what names the request:
// status, headers, every value of the body, how many there are, and its length.
package tells

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/examples/attackers/wording"
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

// Probe is a question that is asked about everybody; $id is the number.
type Probe struct {
	Name, Purpose, Query string
	Headers              []string
}

// Of is an attack that consists of a script and drawn probes.
func Of(script []Probe, draw func(d wording.Draw) Probe) func(context.Context, *target.Client, *target.Case) (map[string]string, error) {
	return func(ctx context.Context, c *target.Client, cs *target.Case) (map[string]string, error) {
		return Everybody(ctx, c, cs, script, draw)
	}
}

// Everybody asks probes about every person, known and unknown: those of the
// script, then drawn ones, until no query is left, and guesses by the best tell
// that it found among the known.
func Everybody(ctx context.Context, c *target.Client, cs *target.Case, script []Probe, draw func(d wording.Draw) Probe) (map[string]string, error) {
	ids := slices.Concat(slices.Sorted(maps.Keys(cs.Known)), cs.IDs)
	best := &Best{}
	drawn, codes := 0, map[string]int{}
	d := wording.Draw{Rand: cs.Random}
	for n := 0; ; n++ {
		var p Probe
		if n < len(script) {
			p = script[n]
		} else {
			p = draw(d)
			p.Name = fmt.Sprintf("%s %d", p.Name, n)
			drawn++
		}
		seen := map[string]Features{}
		for i, id := range ids {
			a, err := c.Ask(ctx, p.Purpose, p.Query, map[string]any{"id": id}, p.Headers...)
			if errors.Is(err, target.ErrSpent) {
				cs.Say("%d further wordings about each, the first of them answered: %v", drawn, codes)
				return best.Apply(cs), nil
			}
			if err != nil {
				return nil, err
			}
			seen[id] = Features{}
			seen[id].See(p.Name, id, a)
			switch {
			case i > 0:
			case n < len(script):
				cs.Say("%s: status %d, refusals %v", p.Name, a.Status, a.Codes)
			default:
				codes[strings.Join(append(a.Codes, "in full")[:1], "")]++
			}
		}
		best.Try(cs, seen)
		if best.Certain(cs) {
			return best.Apply(cs), nil
		}
	}
}

// Best keeps the best rule of several lots of features, and what it guesses.
type Best struct {
	rule    *Rule
	guesses map[string]string
}

// Try looks for a better rule in what was seen of people in one round.
func (b *Best) Try(cs *target.Case, seen map[string]Features) {
	r := Learn(seen, cs.Known)
	if b.rule != nil && r.Right <= b.rule.Right {
		return
	}
	b.rule, b.guesses = r, map[string]string{}
	for _, id := range cs.IDs {
		b.guesses[id] = r.Guess(seen[id])
	}
}

// Certain tells whether the rule is right for all but one in a hundred of the
// known: no further question is needed then.
func (b *Best) Certain(cs *target.Case) bool {
	return b.rule != nil && len(cs.Known) > 0 && b.rule.Right*100 >= len(cs.Known)*99
}

// Apply gives the guesses, and says by what.
func (b *Best) Apply(cs *target.Case) map[string]string {
	if b.rule == nil {
		cs.Say("nothing was seen")
		return nil
	}
	cs.Say("the best tell among the %d known: %q > %g, right for %d", len(cs.Known), b.rule.Feature, b.rule.Threshold, b.rule.Right)
	return b.guesses
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
	names := map[string]int{}
	for _, id := range ids {
		for name := range seen[id] {
			names[name]++
		}
	}
	best := &Rule{Feature: "nothing", Threshold: 0}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] == 1 {
			continue // what one person alone has tells nothing of others
		}
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
