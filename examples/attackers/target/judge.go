package target

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Attack is one attacker. It wants the answer to one question about each of
// some people.
type Attack struct {
	Name     string
	Oracle   string // what it listens to, in words
	Question string // about one person
	// Prior is the chance of a blind guess.
	Prior float64
	// Truth answers the question; only the judge sees it, and what he tells of
	// the people whom the attacker knows.
	Truth func(p *Person) string
	// Among tells whom the question is about; nil for everybody.
	Among func(p *Person) bool
	// Run gives guesses by identity number. It goes on until nothing is left to
	// learn or no query is left; [ErrSpent] is no failure.
	Run func(ctx context.Context, c *Client, cs *Case) (map[string]string, error)
}

// Case is what an attacker knows beforehand.
type Case struct {
	// IDs are the identity numbers of the people whom the question is about.
	IDs []string
	// Known are other people, with the right answers.
	Known map[string]string
	// Random draws what is tried when the script is at its end: it is the same
	// in every run of a seed.
	Random *rand.Rand
	lines  []string
}

// Say notes what was tried, and what came of it.
func (cs *Case) Say(format string, args ...any) {
	cs.lines = append(cs.lines, fmt.Sprintf(format, args...))
}

// Result is the judge's.
type Result struct {
	Attack        *Attack
	Asked, Right  int
	Queries       int
	Bound         float64 // more right answers than this are no luck
	Lines         []string
	Open, Learned bool
}

// Judge lets an attack run against the town with so many queries. Half of the
// people are the attacker's acquaintances.
func Judge(ctx context.Context, t *Town, a *Attack, open bool, queries int) (*Result, error) {
	cs := &Case{Known: map[string]string{}, Random: rand.New(rand.NewPCG(t.seed, 3))} //nolint:gosec // repeatable
	truth := map[string]string{}
	for i := range t.people {
		p := &t.people[i]
		switch {
		case a.Among != nil && !a.Among(p):
		case i%2 == 0:
			cs.Known[p.ID] = a.Truth(p)
		default:
			cs.IDs = append(cs.IDs, p.ID)
			truth[p.ID] = a.Truth(p)
		}
	}
	c := t.Client(queries)
	defer c.http.CloseIdleConnections()
	guesses, err := a.Run(ctx, c, cs)
	if err != nil && !errors.Is(err, ErrSpent) {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	r := &Result{Attack: a, Asked: len(truth), Queries: c.used, Lines: cs.lines, Open: open}
	for id, want := range truth {
		if guess, ok := guesses[id]; ok && guess == want {
			r.Right++
		}
	}
	// Five standard deviations of the binomial distribution above blind
	// guessing: luck gets there once in millions of runs.
	n, p := float64(r.Asked), a.Prior
	r.Bound = n*p + 5*math.Sqrt(n*p*(1-p)) + 1
	r.Learned = float64(r.Right) > r.Bound
	return r, nil
}
