// Package openlineage tells tools that speak OpenLineage where data went: which
// application's operation read which columns, and how they reached the answer.
//
// It promises that an event stands for all records of one operation shape in one
// window, never for a request; that it holds names and counts, no value, no
// reader, no person and no stand-in for either; and that the same ledger makes
// the same bytes. It reads the log, so that it can stand on a copy of a ledger's
// folder without a server or an index. It is not evidence: see lineage/verify.
package openlineage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// ErrWindow is a window that does not part a day.
var ErrWindow = errors.New("the window is not a whole part of a day from an hour up")

// Options say what is exported.
type Options struct {
	// From and To bound the time; zero for no bound. Windows are whole: the one
	// that From is in is the first, the one that To is in the last, and where To
	// begins a window it is not part.
	From, To time.Time
	// Window is how long a run is: from an hour to a day, a whole part of it.
	// Windows begin at midnight UTC.
	Window time.Duration
	// Levels names the ranks; schema.DefaultLevels.
	Levels schema.Levels
	// Namespace is that of jobs and answers; "weir".
	Namespace string
}

// Report is what an export came to.
type Report struct {
	Records uint64 // that are in an event
	Others  uint64 // of the bounds that read no department's column: refusals, the ledger's own
	// Redacted are records whose key was dropped, of any time: what they read,
	// and when, is gone.
	Redacted uint64
	Runs     uint64 // a START each, and an event with all they did
}

func (o *Options) complete() error {
	if o.Window < time.Hour || o.Window > 24*time.Hour || 24*time.Hour%o.Window != 0 {
		return fmt.Errorf("%w: %v", ErrWindow, o.Window)
	}
	if o.Levels == nil {
		o.Levels = schema.DefaultLevels()
	}
	if o.Namespace == "" {
		o.Namespace = "weir"
	}
	if !o.From.IsZero() {
		o.From = o.From.UTC().Truncate(o.Window)
	}
	if !o.To.IsZero() {
		o.To = o.To.UTC().Add(o.Window - 1).Truncate(o.Window)
	}
	return nil
}

// window gives the beginning of the window of a record, false outside the bounds.
func (o *Options) window(e *lineage.Entry) (time.Time, bool) {
	at := e.Time.UTC().Truncate(o.Window)
	return at, !at.Before(o.From) && (o.To.IsZero() || at.Before(o.To))
}

// Export writes the events of a log in a folder, one JSON object a line. It needs
// no lock; what is appended meanwhile is not part. The log is read twice: first
// to see where each window ends, since a clock may jump, then to write each as
// soon as it is whole, so that memory holds the windows that are open. Without the
// key that opens the records it is an [lineage.ErrReadingKey].
func Export(ctx context.Context, folder lineage.Folder, w io.Writer, o Options) (Report, error) {
	if err := o.complete(); err != nil {
		return Report{}, err
	}
	x := &export{options: &o, out: writer{w: w}, open: make(map[time.Time]window), keys: make(map[shapeKey]*job)}
	plan, err := survey(ctx, folder, &o)
	if err != nil {
		return Report{}, err
	}
	for e, err := range lineage.Read(folder, 0) {
		switch {
		case err != nil:
			return x.report, err
		case ctx.Err() != nil:
			return x.report, ctx.Err()
		case e.Position.Sequence > plan.last:
			return x.report, nil
		case e.Content == lineage.Redacted:
			x.report.Redacted++
			continue
		}
		at, in := o.window(&e)
		if !in {
			continue
		}
		x.add(at, &e)
		if plan.ends[at] == e.Position.Sequence {
			if err := x.close(at, plan.newest); err != nil {
				return x.report, err
			}
		}
	}
	return x.report, nil
}

// plan is what the first reading found.
type plan struct {
	ends   map[time.Time]uint64 // by window: its last record
	last   uint64               // the last record of the log
	newest time.Time            // of any record
}

func survey(ctx context.Context, folder lineage.Folder, o *Options) (plan, error) {
	p := plan{ends: make(map[time.Time]uint64)}
	for e, err := range lineage.Read(folder, 0) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return p, err
		}
		p.last = e.Position.Sequence
		switch e.Content {
		case lineage.Sealed:
			return p, fmt.Errorf("%w: record %d is sealed", lineage.ErrReadingKey, e.Position.Sequence)
		case lineage.Redacted:
			continue
		case lineage.Readable:
		}
		if e.Time.After(p.newest) {
			p.newest = e.Time.UTC()
		}
		if at, in := o.window(&e); in {
			p.ends[at] = e.Position.Sequence
		}
	}
	return p, nil
}
