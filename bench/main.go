// Command bench prints one table: Weir beside a hand-written handler, the
// limit, and beside what gqlgen generates. Every figure is a ratio: the servers
// run as processes of their own on one machine and are loaded in turns, and the
// median of the rounds is printed. It needs a PostgreSQL server of its own:
//
//	make bench
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/lineage"
)

func main() {
	people := flag.Int("people", 200_000, "size of the data; three residence permits each")
	rounds := flag.Int("rounds", 5, "rounds of each measurement; medians are printed")
	duration := flag.Duration("duration", 3*time.Second, "length of one measurement")
	short := flag.Bool("short", false, "a quick look: 20,000 people, three rounds of a second")
	only := flag.String("only", "", "one workload by name")
	flag.Parse()
	if *short {
		*people, *rounds, *duration = 20_000, 3, time.Second
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Stdout, *people, *rounds, *duration, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		cancel()
		os.Exit(1) //nolint:gocritic // cancel is called above
	}
}

func run(ctx context.Context, out io.Writer, people, rounds int, duration time.Duration, only string) error {
	url := os.Getenv("WEIR_TEST_POSTGRES")
	if url == "" {
		return errors.New("WEIR_TEST_POSTGRES is not set; make bench starts a server")
	}
	dir, err := os.MkdirTemp("", "weir-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	const prefix = "weir_bench"
	fmt.Fprintf(out, "writing %d people and %d permits …\n", people, 3*people)
	err = guangdong.WritePostgres(ctx, url, prefix, guangdong.Options{
		People: people, PermitsEach: 3, Only: []string{"public_security", "social_security"},
	}, nil)
	if err != nil {
		return err
	}
	database := func(department string) string {
		return strings.Replace(url, "/postgres?", "/"+guangdong.DatabaseName(prefix, department)+"?", 1)
	}
	env := []string{"BENCH_PUBLIC_SECURITY=" + database("public_security"), "BENCH_SOCIAL_SECURITY=" + database("social_security")}
	ids, districts, err := sample(ctx, database("public_security"))
	if err != nil {
		return err
	}

	programs := map[string]string{}
	for name, pkg := range map[string]string{"weir": ".", "hand": "./bench/hand", "gqlgen": "./bench/gqlgen"} {
		if programs[name], err = build(ctx, dir, pkg, name); err != nil {
			return err
		}
	}
	if programs["unrecorded"], err = buildUnrecorded(ctx, dir); err != nil {
		return err
	}
	weir, token, err := startWeir(ctx, env, programs["weir"], filepath.Join(dir, "on"))
	if err != nil {
		return err
	}
	defer weir.stop()
	off, offToken, err := startWeir(ctx, env, programs["unrecorded"], filepath.Join(dir, "off"))
	if err != nil {
		return err
	}
	defer off.stop()

	all := workloads(ids, districts)
	purpose := "X-Weir-Purpose: case-handling"
	weirData := map[string]json.RawMessage{}
	extensions := map[string]json.RawMessage{}
	for _, w := range all {
		a, err := ask(weir.address, newRequest(weir.address, "/graphql", token, body(w.weir, w.variables[0]), purpose))
		if err != nil {
			return fmt.Errorf("weir, %s: %w\n%s", w.name, err, weir.log)
		}
		if a.Errors != nil {
			return fmt.Errorf("weir, %s: %s", w.name, a.Errors)
		}
		weirData[w.name], extensions[w.name] = a.Data, a.Extensions
	}
	raw, err := json.Marshal(extensions)
	if err != nil {
		return err
	}
	extensionsFile := filepath.Join(dir, "extensions.json")
	if err := os.WriteFile(extensionsFile, raw, 0o600); err != nil {
		return err
	}
	hand, err := startPrinting(ctx, env, programs["hand"], "-extensions", extensionsFile)
	if err != nil {
		return err
	}
	defer hand.stop()
	gqlgen, err := startPrinting(ctx, env, programs["gqlgen"])
	if err != nil {
		return err
	}
	defer gqlgen.stop()

	fsync, err := lineage.ProbeFsync(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rounds of %v each, in turns; medians. Everything on in weir: signed token, decisions, two masked fields, ledger with fsync; its request log is off, as hand has none (this disk's fsync: %v).\n", rounds, duration, fsync.Round(time.Microsecond))
	fmt.Fprintf(out, "on/off and p99+ compare weir with a weir built without records, which exists for this table alone: no tags, record, sync, tree and index.\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "workload\tclients\tweir/hand\tweir/gqlgen\ton/off\tp99+\tweir req/s\tweir p50\tweir p99\thand p99\t")
	var resident float64
	for _, w := range all {
		if only != "" && w.name != only {
			continue
		}
		handAnswer, err := ask(hand.address, newRequest(hand.address, "/"+w.name, "", body(w.weir, w.variables[0])))
		if err != nil {
			return fmt.Errorf("hand, %s: %w\n%s", w.name, err, hand.log)
		}
		if !bytes.Equal(handAnswer.Data, weirData[w.name]) {
			return fmt.Errorf("%s: hand and weir answer differently:\nhand %.600s\nweir %.600s", w.name, handAnswer.Data, weirData[w.name])
		}
		var toWeir, toOff, toHand, toGqlgen []request
		for _, v := range w.variables {
			toOff = append(toOff, newRequest(off.address, "/graphql", offToken, body(w.weir, v), purpose))
			toWeir = append(toWeir, newRequest(weir.address, "/graphql", token, body(w.weir, v), purpose))
			toHand = append(toHand, newRequest(hand.address, "/"+w.name, "", body(w.weir, v)))
			toGqlgen = append(toGqlgen, newRequest(gqlgen.address, "/query", "", body(w.gqlgen, v)))
		}
		for _, clients := range w.clients {
			var overHand, overGqlgen, overOff, added []float64
			var weirs, hands []result
			for round := range rounds + 1 {
				d := duration
				if round == 0 {
					d = duration / 3 // warms caches and pools, not counted
				}
				a, err := load(weir.address, toWeir, clients, d)
				if err != nil {
					return fmt.Errorf("weir, %s: %w\n%s", w.name, err, weir.log)
				}
				o, err := load(off.address, toOff, clients, d)
				if err != nil {
					return fmt.Errorf("weir without records, %s: %w\n%s", w.name, err, off.log)
				}
				b, err := load(hand.address, toHand, clients, d)
				if err != nil {
					return fmt.Errorf("hand, %s: %w\n%s", w.name, err, hand.log)
				}
				c, err := load(gqlgen.address, toGqlgen, clients, d)
				if err != nil {
					return fmt.Errorf("gqlgen, %s: %w\n%s", w.name, err, gqlgen.log)
				}
				if round == 0 {
					continue
				}
				weirs, hands = append(weirs, a), append(hands, b)
				overHand = append(overHand, a.perSecond/b.perSecond)
				overGqlgen = append(overGqlgen, a.perSecond/c.perSecond)
				overOff = append(overOff, a.perSecond/o.perSecond)
				added = append(added, float64(a.p99-o.p99))
			}
			if w.name == "list" {
				resident = weir.residentMiB()
			}
			fmt.Fprintf(table, "%s (%s)\t%d\t%.2f\t%.2f\t%.2f\t%v\t%.0f\t%v\t%v\t%v\t\n", w.name, w.what, clients, median(overHand), median(overGqlgen),
				median(overOff), time.Duration(median(added)).Round(10*time.Microsecond),
				median(each(weirs, func(r result) float64 { return r.perSecond })), medianTime(weirs, 50), medianTime(weirs, 99), medianTime(hands, 99))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if resident > 0 {
		fmt.Fprintf(out, "\nweir's resident memory after list at 64 clients: %.0f MiB\n", resident)
	}
	return nil
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
	slices.Sort(of)
	return of[len(of)/2]
}

func medianTime(rs []result, p int) time.Duration {
	times := each(rs, func(r result) float64 {
		if p == 50 {
			return float64(r.p50)
		}
		return float64(r.p99)
	})
	return time.Duration(median(times)).Round(10 * time.Microsecond)
}
