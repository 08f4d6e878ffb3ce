package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-data/weir/lineage"
)

// stuckLedger takes records and never comes to what is asked of them.
type stuckLedger struct {
	fakeLedger
	from lineage.Durability // what never comes
}

func (l *stuckLedger) Append(ctx context.Context, r *lineage.Record) (lineage.Position, Ticket, error) {
	p, _, err := l.fakeLedger.Append(ctx, r)
	return p, l, err
}

func (l *stuckLedger) Wait(ctx context.Context, d lineage.Durability) error {
	if d < l.from {
		return nil
	}
	<-ctx.Done()
	return fmt.Errorf("%w: %w", lineage.ErrLedgerUnavailable, context.Cause(ctx))
}

// TestSlowDisk: an answer waits for its record, and is refused when that takes
// too long; nothing of it leaves, and the record stands.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &stuckLedger{from: lineage.Synced}
		b := newBench(t, func(c *Config) { c.Ledger = ledger })
		b.respond = reads(3, `{"person":{"name":"`+canary+`"}}`)
		start := time.Now()
		w := b.post(typename)
		if w.Code != 503 || codeOf(t, w) != "LEDGER_UNAVAILABLE" || strings.Contains(w.Body.String(), canary) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if took := time.Since(start); took < ledgerPatience || took > ledgerPatience+2*time.Second {
			t.Errorf("refused after %s", took)
		}
		if len(ledger.all()) != 1 {
			t.Errorf("%d records", len(ledger.all()))
		}
		b.respond = reads(0, `{"person":{"name":"`+canary+`"}}`)
		if w := b.post(typename); w.Code != 200 {
			t.Errorf("a level that does not wait for the disk: %d %s", w.Code, w.Body)
		}
	})
}

// TestGrace: each level waits for the second machine as long as its grace; other
// levels do not wait for it.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &stuckLedger{from: lineage.Replicated}
		b := newBench(t, func(c *Config) {
			c.Ledger = ledger
			c.Durability = []lineage.Durability{lineage.Written, lineage.Synced, lineage.Replicated, lineage.Replicated}
			c.Grace = []time.Duration{0, 0, 300 * time.Millisecond, 2 * time.Second}
		})
		for level, grace := range map[int]time.Duration{0: 0, 1: 0, 2: 300 * time.Millisecond, 3: 2 * time.Second} {
			b.respond = reads(rank(level), `{"person":{"name":"`+canary+`"}}`)
			start := time.Now()
			w := b.post(typename)
			took := time.Since(start)
			switch {
			case grace == 0 && (w.Code != 200 || took != 0):
				t.Errorf("level %d waits for no second machine: %d after %s", level, w.Code, took)
			case grace > 0 && (w.Code != 503 || codeOf(t, w) != "LEDGER_UNAVAILABLE" || strings.Contains(w.Body.String(), canary)):
				t.Errorf("level %d: %d %s", level, w.Code, w.Body)
			case grace > 0 && took != grace:
				t.Errorf("level %d was refused after %s, its grace is %s", level, took, grace)
			}
		}
	})
}
