package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/lineage/index"
	"github.com/weir-data/weir/resolvers/control"
)

// replayFlags choose what is replayed.
type replayFlags struct {
	on       bool
	from, to string
	limit    int
}

func (f *replayFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.on, "replay", false, "decide the reads that the ledger has anew, with the index of --config")
	c.Flags().StringVar(&f.from, "from", "", "the first day to replay, such as 2026-11-01 (default: 29 days before the last)")
	c.Flags().StringVar(&f.to, "to", "", "the last day to replay (default: today, UTC)")
	c.Flags().IntVar(&f.limit, "limit", 50, "the most effects to print; 0 for all")
}

// replayed is what a replay found, and of what.
type replayed struct {
	*control.Replayed
	asOf   []index.Sequence
	first  time.Time // day
	last   time.Time // day
	sealed []index.Seal
}

const oneDay = 24 * time.Hour

// days reads the first and the last day.
func (f *replayFlags) days(now time.Time) (first, last time.Time, err error) {
	last = now.UTC().Truncate(oneDay)
	if f.to != "" {
		if last, err = time.Parse(time.DateOnly, f.to); err != nil {
			return first, last, &exitError{ExitUsage, fmt.Errorf("--to %q is not a day", f.to), "such as 2026-11-30"}
		}
	}
	first = last.Add(-29 * oneDay)
	if f.from != "" {
		if first, err = time.Parse(time.DateOnly, f.from); err != nil {
			return first, last, &exitError{ExitUsage, fmt.Errorf("--from %q is not a day", f.from), "such as 2026-11-01"}
		}
	}
	if last.Before(first) {
		return first, last, &exitError{ExitUsage, fmt.Errorf("--to %s is before --from %s", last.Format(time.DateOnly), first.Format(time.DateOnly)), ""}
	}
	return first, last, nil
}

// replay asks the index of a configuration, which a server may be writing.
func (f *replayFlags) replay(ctx context.Context, cfg *config.Config, draft *authz.Draft) (out *replayed, err error) {
	now := time.Now()
	out = &replayed{}
	if out.first, out.last, err = f.days(now); err != nil {
		return nil, err
	}
	at := indexConfig(cfg, nil)
	if at.Driver == index.SQLite && !isFile(at.Path) {
		return nil, environment(fmt.Errorf("no index of a ledger at %s", at.Path), "name the configuration of the node with --config; weir lineage reindex makes its index")
	}
	x, err := index.Open(ctx, at)
	if err != nil {
		return nil, environment(indexError(cfg, err), indexRemedy(err))
	}
	defer x.Close() //nolint:errcheck // nothing was written to it
	if err := x.Check(ctx); errors.Is(err, index.ErrForeign) {
		return nil, environment(indexError(cfg, err), indexRemedy(err))
	}
	for _, p := range cfg.Purposes {
		if p.Sealed > 0 {
			out.sealed = append(out.sealed, index.Seal{Purpose: p.ID, Before: now.Add(-p.Sealed)})
		}
	}
	slices.SortFunc(out.sealed, func(a, b index.Seal) int { return strings.Compare(a.Purpose, b.Purpose) })
	if out.asOf, err = x.AsOf(ctx); err != nil {
		return nil, environment(indexError(cfg, err), indexRemedy(err))
	}
	usages, err := x.Usages(ctx, index.UsageFilter{From: out.first, To: out.last.Add(oneDay), Sealed: out.sealed})
	if err != nil {
		return nil, environment(indexError(cfg, err), indexRemedy(err))
	}
	out.Replayed, err = control.Replay(ctx, draft, usages)
	return out, err
}

// printReplay prints it for a reviewer.
func (s *streams) printReplay(r *replayed, limit int) {
	var asOf []string
	for _, p := range r.asOf {
		asOf = append(asOf, fmt.Sprintf("%s up to record %d", p.Origin, p.Sequence))
	}
	s.printf("\nreplay of %s to %s, %s: %s decided anew\n", r.first.Format(time.DateOnly), r.last.Format(time.DateOnly),
		strings.Join(append(asOf, "nothing else")[:max(1, len(asOf))], ", "), plural(r.Reads, "read"))
	shown := 0
	section := func(title string, t control.ReplayTotal, of func(*control.ReplayedUse) bool) {
		if t.Effects == 0 {
			s.printf("nobody would have seen %s\n", title)
			return
		}
		s.printf("would have seen %s: %s, %s, %s; at most %s\n", title, strings.Replace(plural(uint64(t.Readers), "kind of reader"), "kind of readers", "kinds of readers", 1),
			plural(uint64(t.Operations), "operation"), plural(uint64(t.Fields), "field"), plural(t.Reads, "read"))
		for i := range r.Effects {
			x := &r.Effects[i]
			if !of(x) {
				continue
			}
			if shown++; limit > 0 && shown > limit {
				continue
			}
			s.printf("  %s\n", effectText(x))
		}
	}
	section("more", r.Widened, func(x *control.ReplayedUse) bool { return x.Widens })
	section("less", r.Narrowed, func(x *control.ReplayedUse) bool { return x.Narrows && !x.Widens })
	if limit > 0 && shown > limit {
		s.printf("and %d more: --limit 0 prints all\n", shown-limit)
	}
	if r.Refused > 0 {
		s.printf("%s refused: what they asked for is not recorded, so nobody can tell whether they still would be\n", plural(r.Refused, "request"))
	}
	for _, seal := range r.sealed {
		s.printf("reads for %s are sealed from %s on, and left out\n", seal.Purpose, seal.Before.UTC().Format(time.DateOnly))
	}
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// effectText tells one effect in a line.
func effectText(x *control.ReplayedUse) string {
	reader := strings.Join(x.Roles, "+")
	if reader == "" {
		reader = "readers without a role"
	}
	if x.Consumer != "" {
		reader += " of " + x.Consumer
	}
	for _, word := range [...]string{x.Application, x.Purpose} {
		if word != "" {
			reader += ", " + word
		}
	}
	operation := x.Operation
	if operation == "" {
		operation = "an operation without a name"
	}
	text := fmt.Sprintf("%s (%.12s) by %s: %s, %s: %s -> %s", operation, x.Document, reader, x.Recorded.Coordinate, x.Recorded.Use.Use, x.From, x.To)
	if x.When != "" {
		text += ", on some rows: " + x.When
	}
	if x.Note != "" {
		text += "; " + x.Note
	}
	return fmt.Sprintf("%s; at most %s, last %s", text, plural(x.Reads, "read"), x.Last.Format(time.DateOnly))
}

// The shapes of --format json, as those of policyjson.go.

type replayJSON struct {
	AsOf     []asOfJSON   `json:"asOfSequence"`
	From     string       `json:"from"`
	To       string       `json:"to"`
	Reads    uint64       `json:"reads"`
	Refused  uint64       `json:"refused"`
	Sealed   []sealedJSON `json:"sealed"`
	Widened  totalJSON    `json:"widened"`
	Narrowed totalJSON    `json:"narrowed"`
	Effects  []effectJSON `json:"effects"`
}

type asOfJSON struct {
	Origin   string `json:"origin"`
	Epoch    uint32 `json:"epoch"`
	Sequence uint64 `json:"sequence"`
}

type sealedJSON struct {
	Purpose string `json:"purpose"`
	From    string `json:"from"`
}

type totalJSON struct {
	Effects      int    `json:"effects"`
	Operations   int    `json:"operations"`
	Applications int    `json:"applications"`
	Readers      int    `json:"readers"`
	Fields       int    `json:"fields"`
	Reads        uint64 `json:"reads"`
}

type effectJSON struct {
	Widens      bool         `json:"widens"`
	Narrows     bool         `json:"narrows"`
	Operation   string       `json:"operation"`
	Document    string       `json:"document"`
	Application string       `json:"application"`
	Consumer    string       `json:"consumer"`
	Roles       []string     `json:"roles"`
	Purpose     string       `json:"purpose"`
	Department  string       `json:"department"`
	Coordinate  string       `json:"coordinate"`
	Use         string       `json:"use"`
	Recorded    outcomesJSON `json:"recorded"`
	Before      string       `json:"before"`
	After       string       `json:"after"`
	Rows        string       `json:"rows"`
	When        string       `json:"when,omitempty"`
	Note        string       `json:"note,omitempty"`
	Reads       uint64       `json:"reads"`
	Last        string       `json:"last"`
}

type outcomesJSON struct {
	Clear    uint64 `json:"clear"`
	Masked   uint64 `json:"masked"`
	Withheld uint64 `json:"withheld"`
}

func replayReport(r *replayed, limit int) *replayJSON {
	out := &replayJSON{
		AsOf: []asOfJSON{}, From: r.first.Format(time.DateOnly), To: r.last.Format(time.DateOnly), Reads: r.Reads, Refused: r.Refused,
		Sealed: []sealedJSON{}, Widened: totalJSON(r.Widened), Narrowed: totalJSON(r.Narrowed), Effects: []effectJSON{},
	}
	for _, p := range r.asOf {
		out.AsOf = append(out.AsOf, asOfJSON(p))
	}
	for _, p := range r.sealed {
		out.Sealed = append(out.Sealed, sealedJSON{p.Purpose, p.Before.UTC().Format(time.DateOnly)})
	}
	for i := range r.Effects {
		if limit > 0 && i == limit {
			break
		}
		x := &r.Effects[i]
		rows := "ALL"
		if x.When != "" {
			rows = "SOME"
		}
		out.Effects = append(out.Effects, effectJSON{
			Widens: x.Widens, Narrows: x.Narrows, Operation: x.Operation, Document: x.Document, Application: x.Application,
			Consumer: x.Consumer, Roles: list(x.Roles), Purpose: x.Purpose, Department: x.Recorded.Department,
			Coordinate: x.Recorded.Coordinate.String(), Use: x.Recorded.Use.Use.String(),
			Recorded: outcomesJSON{x.Recorded.Clear, x.Recorded.Masked, x.Recorded.Withheld},
			Before:   x.From.String(), After: x.To.String(), Rows: rows, When: x.When, Note: x.Note, Reads: x.Reads, Last: x.Last.Format(time.DateOnly),
		})
	}
	return out
}
