package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// loaded is which part of weir's own throughput the servers are asked for when
// they are compared at equal load.
const loaded = 0.7

// servers are the programs under measurement.
type servers struct {
	weir, off, synced, hand, gqlgen *process
	token, offToken, syncedToken    string
}

func (s *servers) stop() {
	for _, p := range []*process{s.weir, s.off, s.synced, s.hand, s.gqlgen} {
		if p != nil {
			p.stop()
		}
	}
}

// asked are a workload's requests, per server.
type asked struct{ weir, off, synced, hand, gqlgen []request }

const purpose = "X-Weir-Purpose: case-handling"

func (s *servers) requests(w *workload) (a asked) {
	for _, v := range w.variables {
		a.weir = append(a.weir, newRequest(s.weir.address, "/graphql", s.token, body(w.weir, v), purpose))
		a.off = append(a.off, newRequest(s.off.address, "/graphql", s.offToken, body(w.weir, v), purpose))
		a.synced = append(a.synced, newRequest(s.synced.address, "/graphql", s.syncedToken, body(w.weir, v), purpose))
		a.hand = append(a.hand, newRequest(s.hand.address, "/"+w.name, "", body(w.weir, v)))
		a.gqlgen = append(a.gqlgen, newRequest(s.gqlgen.address, "/query", "", body(w.gqlgen, v)))
	}
	return a
}

// bench prints a row for each workload and number of clients.
type bench struct {
	servers
	rounds   int
	duration time.Duration
	// data are weir's answers to the first request of each workload.
	data map[string]json.RawMessage
}

const header = "workload\tclients\tweir/hand\tweir/gqlgen\ton/off\tsynced/off\tlater\tp99+\tp99+ at 70%\tweir req/s\tweir p50\tweir p99\thand p99\t"

func (b *bench) measure(table *tabwriter.Writer, w *workload) error {
	if err := b.equal(w); err != nil {
		return err
	}
	a := b.requests(w)
	for _, clients := range w.clients {
		r, err := b.inTurns(w, &a, clients)
		if err != nil {
			return err
		}
		added, err := b.atEqualLoad(w, &a, clients, loaded*r.weirPerSecond())
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s (%s)\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f%%\t%v\t%v\t%.0f\t%v\t%v\t%v\t\n", w.name, w.what, clients,
			median(r.overHand), median(r.overGqlgen), median(r.overOff), median(r.syncedOverOff), 100*median(r.later), short(median(r.added)), short(added),
			r.weirPerSecond(), medianTime(r.weir, 50), medianTime(r.weir, 99), medianTime(r.hand, 99))
	}
	return nil
}

// equal asks hand what weir was asked: only who answers the same is compared.
func (b *bench) equal(w *workload) error {
	got, err := ask(b.hand.address, newRequest(b.hand.address, "/"+w.name, "", body(w.weir, w.variables[0])))
	if err != nil {
		return fmt.Errorf("hand, %s: %w\n%s", w.name, err, b.hand.log)
	}
	if !bytes.Equal(got.Data, b.data[w.name]) {
		return fmt.Errorf("%s: hand and weir answer differently:\nhand %.600s\nweir %.600s", w.name, got.Data, b.data[w.name])
	}
	return nil
}

// compared is what rounds of one workload gave; of each figure one per round.
type compared struct {
	weir, hand                           []result
	overHand, overGqlgen, overOff, added []float64
	syncedOverOff                        []float64
	// later is what weir works off after the answers, as a part of the processor
	// time that it took while it gave them.
	later []float64
}

func (c *compared) weirPerSecond() float64 {
	return median(each(c.weir, func(r result) float64 { return r.perSecond }))
}

// inTurns loads the servers one after the other, as much as they can take.
func (b *bench) inTurns(w *workload, a *asked, clients int) (*compared, error) {
	var c compared
	for round := range b.rounds + 1 {
		d := b.duration
		if round == 0 {
			d /= 3 // warms caches and pools, not counted
		}
		var got [5]result
		var weirLater float64
		for i, s := range []struct {
			name     string
			process  *process
			requests []request
		}{
			{"weir", b.weir, a.weir},
			{"weir without records", b.off, a.off},
			{"weir that only syncs", b.synced, a.synced},
			{"hand", b.hand, a.hand},
			{"gqlgen", b.gqlgen, a.gqlgen},
		} {
			var err error
			before := s.process.processor()
			if got[i], err = load(s.process.address, s.requests, clients, d); err != nil {
				return nil, fmt.Errorf("%s, %s: %w\n%s", s.name, w.name, err, s.process.log)
			}
			if s.process != b.weir {
				continue
			}
			taken := s.process.processor() - before
			later, err := s.process.rest()
			if err != nil {
				return nil, err
			}
			if taken > 0 {
				weirLater = float64(later) / float64(taken)
			}
		}
		if round == 0 {
			continue
		}
		weir, off, synced, hand, gqlgen := got[0], got[1], got[2], got[3], got[4]
		c.later = append(c.later, weirLater)
		c.weir, c.hand = append(c.weir, weir), append(c.hand, hand)
		c.overHand = append(c.overHand, weir.perSecond/hand.perSecond)
		c.overGqlgen = append(c.overGqlgen, weir.perSecond/gqlgen.perSecond)
		c.overOff = append(c.overOff, weir.perSecond/off.perSecond)
		c.syncedOverOff = append(c.syncedOverOff, synced.perSecond/off.perSecond)
		c.added = append(c.added, float64(weir.p99-off.p99))
	}
	return &c, nil
}

// atEqualLoad is what records add to p99 when weir with them and weir without
// are asked for as many answers a second, the same number.
func (b *bench) atEqualLoad(w *workload, a *asked, clients int, perSecond float64) (float64, error) {
	var added []float64
	for range b.rounds {
		on, err := paced(b.weir.address, a.weir, clients, perSecond, b.duration)
		if err != nil {
			return 0, fmt.Errorf("weir, %s: %w\n%s", w.name, err, b.weir.log)
		}
		if _, err := b.weir.rest(); err != nil {
			return 0, err
		}
		off, err := paced(b.off.address, a.off, clients, perSecond, b.duration)
		if err != nil {
			return 0, fmt.Errorf("weir without records, %s: %w\n%s", w.name, err, b.off.log)
		}
		added = append(added, float64(on.p99-off.p99))
	}
	return median(added), nil
}

type answer struct {
	Data, Errors, Extensions json.RawMessage
}

func ask(address string, r request) (*answer, error) {
	conn, err := dial(address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	var b bytes.Buffer
	if err := conn.exchange(r, &b); err != nil {
		return nil, fmt.Errorf("%w: %s", err, b.String())
	}
	a := &answer{}
	return a, json.Unmarshal(b.Bytes(), a)
}

func each(rs []result, f func(result) float64) []float64 {
	out := make([]float64, len(rs))
	for i, r := range rs {
		out[i] = f(r)
	}
	return out
}

func median(of []float64) float64 {
	of = slices.Clone(of)
	slices.Sort(of)
	return of[len(of)/2]
}

func medianTime(rs []result, p int) time.Duration {
	return short(median(each(rs, func(r result) float64 {
		if p == 50 {
			return float64(r.p50)
		}
		return float64(r.p99)
	})))
}

func short(d float64) time.Duration { return time.Duration(d).Round(10 * time.Microsecond) }

// printed begins a table whose columns stand to the right.
func printed(out io.Writer) *tabwriter.Writer {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, header)
	return table
}
