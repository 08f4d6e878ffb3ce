package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
)

// attacker tries to learn two things about single people of a town of which it
// knows everything else: who lives where, who is how old, and that in every
// street there is exactly one person in the last band.
type attacker struct {
	town    *town
	queries int // at most
	random  *rand.Rand
	out     io.Writer
}

func (a *attacker) say(format string, args ...any) { fmt.Fprintf(a.out, "  "+format+"\n", args...) }

// number asks for one number over all rows of a filter; ok is false when it is
// left out.
func (a *attacker) number(ctx context.Context, query string, variables map[string]any) (value float64, ok bool, err error) {
	rows, err := a.town.ask(ctx, query, variables)
	if err != nil || len(rows) != 1 {
		return 0, false, err
	}
	text := rows[0].Count
	if rows[0].Sum.Income != nil {
		text = rows[0].Sum.Income
	}
	if text == nil {
		return 0, false, nil
	}
	value, err = strconv.ParseFloat(*text, 64)
	return value, err == nil, err
}

const (
	sumWhere   = `query ($w: PersonWhere) { a: peopleAggregate(where: $w) { sum { income } } }`
	countWhere = `query ($w: PersonWhere) { a: peopleAggregate(where: $w) { count } }`
)

type m = map[string]any

// incomes guesses the income of the one person of each street who is alone in
// a band.
func (a *attacker) incomes(ctx context.Context) ([]float64, error) {
	// The cell itself, and the cell said in other words.
	guesses := make([]float64, a.town.streets)
	shown := 0
	for street := range guesses {
		guesses[street] = topIncome / 2.0
		for _, where := range []m{
			{"street": m{"_eq": street}, "band": m{"_eq": lone}},
			{"_and": []any{m{"street": m{"_in": []any{street}}}, m{"_not": m{"band": m{"_lt": lone}}}}},
		} {
			v, ok, err := a.number(ctx, sumWhere, m{"w": where})
			if err != nil {
				return nil, err
			}
			if ok {
				guesses[street] = v
				shown++
				break
			}
		}
	}
	a.say("asked for the cells themselves: %d of %d are shown", shown, len(guesses))
	if shown > 0 {
		return guesses, nil
	}
	if err := a.repeat(ctx); err != nil {
		return nil, err
	}
	// The complement: a street is shown whole, and its bands without the cell. A
	// partner is left out with it, which makes a difference of two unknowns; so
	// the partner is taken from a third sum. Each number is asked for in unions
	// with as many random other streets as one likes, all different sets with
	// noise of their own, and the equations are solved together.
	partner, err := a.partners(ctx)
	if err != nil {
		return nil, err
	}
	rounds := (a.queries - a.town.asked) / 3
	left, pairs := newEquations(a.town.streets), newEquations(a.town.streets)
	used := 0
	for range rounds {
		union, cells := []any{}, []any{}
		var row []int
		for street := range a.town.streets {
			if a.random.IntN(2) == 0 {
				union = append(union, street)
				cells = append(cells, m{"street": m{"_eq": street}, "band": m{"_eq": partner[street]}})
				row = append(row, street)
			}
		}
		whole, ok1, err := a.number(ctx, sumWhere, m{"w": m{"street": m{"_in": union}}})
		if err != nil {
			return nil, err
		}
		visible, ok2, err := a.number(ctx, sumWhere, m{"w": m{"street": m{"_in": union}, "band": m{"_gte": 0}}})
		if err != nil {
			return nil, err
		}
		beside, ok3, err := a.number(ctx, sumWhere, m{"w": m{"_or": cells}})
		if err != nil {
			return nil, err
		}
		if ok1 && ok2 {
			left.add(row, whole-visible)
		}
		if ok3 {
			pairs.add(row, beside)
			used++
		}
	}
	d, p := left.solve(), pairs.solve()
	for street := range guesses {
		guesses[street] = math.Min(topIncome, math.Max(0, d[street]-p[street]))
	}
	a.say("solved %d equations for what is left out, and %d for its partners", left.n, used)
	return guesses, nil
}

// repeat asks for the same number again and again, in order to average the
// noise away.
func (a *attacker) repeat(ctx context.Context) error {
	different := map[float64]bool{}
	n := min(200, a.queries/10)
	for i := range n {
		where := m{"street": m{"_eq": 0}}
		switch i % 3 {
		case 1:
			where = m{"_or": []any{where, m{"street": m{"_in": []any{-1 - i, 0}}}}}
		case 2:
			where = m{"_not": m{"street": m{"_neq": 0}}}
		}
		v, _, err := a.number(ctx, countWhere, m{"w": where})
		if err != nil {
			return err
		}
		different[v] = true
	}
	a.say("asked for one street %d times in different words: %d different answers", n, len(different))
	if len(different) != 1 {
		return fmt.Errorf("one set has %d answers", len(different))
	}
	return nil
}

// partners finds which band of each street is left out together with the lone
// person.
func (a *attacker) partners(ctx context.Context) ([]int, error) {
	rows, err := a.town.ask(ctx, `{ a: peopleAggregate { group { street band } count } }`, nil)
	if err != nil {
		return nil, err
	}
	seen := make([][bands]bool, a.town.streets)
	for _, r := range rows {
		seen[*r.Group.Street][*r.Group.Band] = true
	}
	out := make([]int, a.town.streets)
	missing := 0
	for street := range seen {
		for band, there := range seen[street] {
			if !there {
				missing++
				if band != lone {
					out[street] = band
				}
			}
		}
	}
	a.say("asked for streets by bands: %d of %d cells are left out", missing, bands*a.town.streets)
	return out, nil
}

// bandsOf guesses the band of one person of each street, who is known by age.
func (a *attacker) bandsOf(ctx context.Context, ages []int) ([]int, error) {
	guesses := make([]int, len(ages))
	told := 0
	for street, age := range ages {
		for band := range bands {
			one := m{"street": m{"_eq": street}, "band": m{"_eq": band}}
			two := m{"street": m{"_eq": street}, "band": m{"_eq": band}, "age": m{"_neq": age}}
			three := m{"_or": []any{one, m{"street": m{"_eq": street}, "age": m{"_eq": age}}}}
			var values []float64
			for _, where := range []m{one, two, three} {
				v, ok, err := a.number(ctx, countWhere, m{"w": where})
				if err != nil {
					return nil, err
				}
				if !ok {
					v = math.NaN()
				}
				values = append(values, v)
			}
			// Without the person the band is smaller; with him beside it no larger.
			if values[1] < values[0] || values[2] == values[0] {
				guesses[street] = band
				told++
				break
			}
		}
	}
	a.say("compared each band with and without the person: %d of %d comparisons told something", told, len(ages))
	return guesses, nil
}

// equations are sums over sets of unknowns, solved by least squares.
type equations struct {
	n      int
	normal [][]float64
	right  []float64
}

func newEquations(unknowns int) *equations {
	e := &equations{right: make([]float64, unknowns)}
	for range unknowns {
		e.normal = append(e.normal, make([]float64, unknowns))
	}
	return e
}

func (e *equations) add(set []int, sum float64) {
	e.n++
	for _, i := range set {
		for _, j := range set {
			e.normal[i][j]++
		}
		e.right[i] += sum
	}
}

// solve is Gaussian elimination with pivots, of slightly damped equations so
// that too few of them have a solution as well.
func (e *equations) solve() []float64 {
	n := len(e.right)
	a, x := make([][]float64, n), slices.Clone(e.right)
	for i := range a {
		a[i] = slices.Clone(e.normal[i])
		a[i][i] += 1e-3
	}
	for c := range n {
		best := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[best][c]) {
				best = r
			}
		}
		a[c], a[best], x[c], x[best] = a[best], a[c], x[best], x[c]
		for r := c + 1; r < n; r++ {
			f := a[r][c] / a[c][c]
			for k := c; k < n; k++ {
				a[r][k] -= f * a[c][k]
			}
			x[r] -= f * x[c]
		}
	}
	for c := n - 1; c >= 0; c-- {
		for k := c + 1; k < n; k++ {
			x[c] -= a[c][k] * x[k]
		}
		x[c] /= a[c][c]
	}
	return x
}
