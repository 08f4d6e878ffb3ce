// Command bench prints one table: Weir beside a hand-written handler, the
// limit, and beside what gqlgen generates. Every figure is a ratio: the servers
// run as processes of their own on one machine and are loaded in turns, and the
// median of the rounds is printed. It needs a PostgreSQL server of its own:
//
//	make bench
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
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
	fmt.Fprintf(out, "writing %d people and %d permits …\n", people, 3*people)
	env, all, err := prepare(ctx, url, people)
	if err != nil {
		return err
	}
	b := &bench{rounds: rounds, duration: duration}
	defer b.stop()
	if err := b.start(ctx, dir, env, all); err != nil {
		return err
	}
	fsync, err := lineage.ProbeFsync(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rounds of %v each, in turns; medians. Everything on in weir: signed token, decisions, two masked fields, ledger with fsync; its request log is off, as hand has none; look-ups by key of several requests go to PostgreSQL as one statement, which neither hand nor gqlgen does (this disk's fsync: %v).\n", rounds, duration, fsync.Round(time.Microsecond))
	fmt.Fprintf(out, "on/off and p99+ compare weir with a weir built without records, which exists for this table alone: no tags, record, sync, tree and index. synced/off is the same of a weir that makes no record either, but lets each answer leave when 130 bytes for it are on disk, those of many answers with one sync: what a ledger that survives a power cut takes at the least, so that on/off can hardly be above it on this machine. p99+ is under all the load that each can take, p99+ at 70%% where both are asked for as many answers a second, 70%% of what weir with records can take. The index of the records works in short turns while there is load and catches up when there is less: every turn waits until it has, and later is the processor time that this takes, as a part of what the answers took.\n\n")
	table := printed(out)
	var resident float64
	for i := range all {
		if only != "" && all[i].name != only {
			continue
		}
		if err := b.measure(table, &all[i]); err != nil {
			return err
		}
		if all[i].name == "list" {
			resident = b.weir.residentMiB()
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

// prepare writes the data and gives where it is, for the programs' environment,
// and what is asked of it.
func prepare(ctx context.Context, url string, people int) (env []string, all []workload, err error) {
	const prefix = "weir_bench"
	err = guangdong.WritePostgres(ctx, url, prefix, guangdong.Options{
		People: people, PermitsEach: 3, Only: []string{"public_security", "social_security"},
	}, nil)
	if err != nil {
		return nil, nil, err
	}
	database := func(department string) string {
		return strings.Replace(url, "/postgres?", "/"+guangdong.DatabaseName(prefix, department)+"?", 1)
	}
	env = []string{"BENCH_PUBLIC_SECURITY=" + database("public_security"), "BENCH_SOCIAL_SECURITY=" + database("social_security")}
	ids, districts, err := sample(ctx, database("public_security"))
	if err != nil {
		return nil, nil, err
	}
	return env, workloads(ids, districts), nil
}

// start builds and starts the programs, in dir, and asks weir each workload's
// first request: hand answers with extensions of the same length.
func (b *bench) start(ctx context.Context, dir string, env []string, all []workload) (err error) {
	programs := map[string]string{}
	for name, pkg := range map[string]string{"weir": ".", "hand": "./bench/hand", "gqlgen": "./bench/gqlgen"} {
		if programs[name], err = build(ctx, dir, pkg, name); err != nil {
			return err
		}
	}
	for _, name := range []string{unrecorded, synced} {
		if programs[name], err = buildWithout(ctx, dir, name); err != nil {
			return err
		}
	}
	if b.weir, b.token, err = startWeir(ctx, env, programs["weir"], filepath.Join(dir, "on")); err != nil {
		return err
	}
	if b.off, b.offToken, err = startWeir(ctx, env, programs[unrecorded], filepath.Join(dir, "off")); err != nil {
		return err
	}
	if b.synced, b.syncedToken, err = startWeir(ctx, env, programs[synced], filepath.Join(dir, "off-synced")); err != nil {
		return err
	}
	b.data = map[string]json.RawMessage{}
	extensions := map[string]json.RawMessage{}
	for _, w := range all {
		a, err := ask(b.weir.address, newRequest(b.weir.address, "/graphql", b.token, body(w.weir, w.variables[0]), purpose))
		if err != nil {
			return fmt.Errorf("weir, %s: %w\n%s", w.name, err, b.weir.log)
		}
		if a.Errors != nil {
			return fmt.Errorf("weir, %s: %s", w.name, a.Errors)
		}
		b.data[w.name], extensions[w.name] = a.Data, a.Extensions
	}
	raw, err := json.Marshal(extensions)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "extensions.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return err
	}
	if b.hand, err = startPrinting(ctx, env, programs["hand"], "-extensions", file); err != nil {
		return err
	}
	b.gqlgen, err = startPrinting(ctx, env, programs["gqlgen"])
	return err
}
