package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/openlineage"
	"github.com/weir-data/weir/schema"
)

// openLineage are the flags of an export for other tools.
type openLineage struct {
	on                 bool
	from, to, out, dir string
	options            openlineage.Options
}

func (o *openLineage) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.on, "openlineage", false, "write OpenLineage events instead: names and counts, for tools that draw where data goes")
	f.StringVar(&o.from, "from", "", "with --openlineage: the first day or instant (2026-03-01, or RFC 3339; default: the ledger's first)")
	f.StringVar(&o.to, "to", "", "with --openlineage: where it ends; a day alone is not part (default: the ledger's last)")
	f.DurationVar(&o.options.Window, "window", 24*time.Hour, "with --openlineage: how long a run is, from 1h to 24h, a whole part of a day")
	f.StringVar(&o.options.Namespace, "namespace", "weir", "with --openlineage: the namespace of jobs and answers")
	f.StringVar(&o.out, "out", "-", "with --openlineage: file to write, - for standard output")
	f.StringVar(&o.dir, "ledger", "", "with --openlineage: a copy of a ledger's folder, instead of the node's own")
}

// alone are the flags that mean nothing without --openlineage.
var alone = [...]string{"from", "to", "window", "namespace", "out", "ledger", "archive", "reading-key"}

// exportOpenLineage reads the log, not the index: a copied folder is enough.
func (s *streams) exportOpenLineage(ctx context.Context, w *wherever, o *openLineage) error {
	var err error
	if o.options.From, err = dayOrInstant(o.from); err != nil {
		return err
	}
	if o.options.To, err = dayOrInstant(o.to); err != nil {
		return err
	}
	folder, err := o.folder(w)
	if err != nil {
		return err
	}
	if err := o.check(folder.Dir); err != nil {
		return err
	}
	report, err := s.writeEvents(ctx, folder, o)
	if err != nil {
		var out *outError
		if errors.As(err, &out) {
			return environment(fmt.Errorf("events: %w", out.error), placeRemedy(out, "name a file in a folder that exists with --out"))
		}
		if errors.Is(err, openlineage.ErrWindow) {
			return &exitError{ExitUsage, err, "--window 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h"}
		}
		if errors.Is(err, lineage.ErrReadingKey) {
			return environment(fmt.Errorf("ledger %s: %w", folder.Dir, err), "--reading-key with the file that ledger.readingKey in weir.yaml names")
		}
		return ledgerError(folder.Dir, err)
	}
	// Standard output may be the events themselves.
	if report.Redacted > 0 {
		_, _ = fmt.Fprintf(s.err, "%s left out: redacted, the key was dropped\n", count(int(report.Redacted), "record")) //nolint:gosec // records of one ledger
	}
	_, err = fmt.Fprintf(s.err, "%d runs of %d records; %d records read no department's column\n", report.Runs, report.Records, report.Others)
	return err
}

// folder is the ledger's own, or a copy with a reading key that is named.
func (o *openLineage) folder(w *wherever) (f lineage.Folder, err error) {
	if o.dir == "" {
		f, o.options.Levels, err = w.folder()
		return f, err
	}
	if w.state != "" {
		return f, &exitError{ExitUsage, errors.New("--ledger and --state both say which ledger is meant"), "give one of them"}
	}
	f.Dir, f.Archive = o.dir, w.archive
	if err := archiveThere(w.archive); err != nil {
		return f, err
	}
	if o.options.Levels, err = levelsOfCopy(w.path); err != nil || w.reading == "" {
		return f, err
	}
	if f.Reading, err = loadReading(w.reading); err != nil {
		return f, environment(err, remedyReading)
	}
	return f, nil
}

func (s *streams) writeEvents(ctx context.Context, folder lineage.Folder, o *openLineage) (report openlineage.Report, err error) {
	to := s.out
	if o.out != "-" {
		file, err := os.OpenFile(o.out, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return report, &outError{err}
		}
		defer func() {
			if failed := file.Close(); err == nil && failed != nil {
				err = &outError{failed}
			}
		}()
		to = file
	}
	b := bufio.NewWriter(eventsTo{to})
	if report, err = openlineage.Export(ctx, folder, b, o.options); err == nil {
		err = b.Flush()
	}
	return report, err
}

// eventsTo tells what cannot be written from a ledger that cannot be read.
type eventsTo struct{ io.Writer }

func (w eventsTo) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = &outError{err}
	}
	return n, err
}

type outError struct{ error }

func (e *outError) Unwrap() error { return e.error }

// check refuses what would come to nothing, or spoil the ledger.
func (o *openLineage) check(ledger string) error {
	if o.out != "-" {
		if err := outside(ledger, o.out); err != nil {
			return err
		}
	}
	if !o.options.To.IsZero() && !o.options.To.After(o.options.From) {
		return &exitError{ExitUsage, fmt.Errorf("--to %s is not after --from %s", o.to, o.from), "--to names where it ends: a day alone is not part"}
	}
	if hasNoSegments(ledger) {
		return environment(fmt.Errorf("no ledger in %s", ledger), "name a copy of the ledger's folder: the one with the *.wal files")
	}
	return nil
}

// levelsOfCopy names the levels of a copied ledger: as a configuration that is
// named has them, or by default.
func levelsOfCopy(path string) (schema.Levels, error) {
	if path == "" {
		return schema.DefaultLevels(), nil
	}
	cfg, err := located(path)
	if err != nil {
		return nil, err
	}
	return levelsOf(cfg), nil
}

func dayOrInstant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &exitError{ExitUsage, fmt.Errorf("%q is neither a day nor an instant", text), "2026-03-01, or 2026-03-01T08:00:00Z"}
}
