package cli

import (
	"context"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLibrariesLog: what a library logs without a logger is a line of the node's
// while it serves, and afterwards everything is as it was.
func TestLibrariesLog(t *testing.T) {
	was, writer, flags := slog.Default(), stdlog.Writer(), stdlog.Flags()
	out := &lockedBuffer{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, []string{"demo", "--state", filepath.Join(t.TempDir(), "demo"), "--people", "10", "--listen", "127.0.0.1:0", "--log", "info"}, "test", out, out)
	}()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "Ctrl-C"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no introduction: %s", out)
		}
	}
	slog.Warn("of a library")
	stdlog.Print("of an older one")
	stop()
	if code := <-done; code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{`"level":"WARN","msg":"of a library"}`, `"level":"INFO","msg":"of an older one"}`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if slog.Default() != was || stdlog.Writer() != writer || stdlog.Flags() != flags {
		t.Error("the process logs as the node did")
	}
}

// TestToldToStopWhileItStarts: that is no fault of a ledger, a port or an issuer.
func TestToldToStopWhileItStarts(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	demo := filepath.Join(t.TempDir(), "demo")
	for _, args := range [][]string{
		{"demo", "--state", demo, "--people", "10", "--listen", "127.0.0.1:0"},
		{"serve", "--config", filepath.Join(demo, "weir.yaml"), "--listen", "127.0.0.1:0"},
	} {
		out := &lockedBuffer{}
		if code := Run(stopped, args, "test", out, out); code != ExitOK || strings.Contains(out.String(), "weir:") {
			t.Errorf("%s: exit code %d\n%s", args[0], code, out)
		}
		if args[0] == "serve" && !strings.Contains(out.String(), `"msg":"told to stop before it served"`) {
			t.Errorf("the log does not say why it ended\n%s", out)
		}
	}
}

// TestSignals: each ends a node in order.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !slices.Contains(Signals(), os.Signal(sig)) && !signal.Ignored(sig) {
			t.Errorf("%s kills", sig)
		}
	}
}

// TestChecksNewSchemas: a department that is taken on while the node serves is
// checked as those of the start are, so that a table that is not there is known
// before anybody asks for it.
func TestChecksNewSchemas(t *testing.T) {
	out := &lockedBuffer{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	state := filepath.Join(t.TempDir(), "demo")
	go func() {
		done <- Run(ctx, []string{"demo", "--state", state, "--people", "10", "--listen", "127.0.0.1:0"}, "test", out, out)
	}()
	await := func(words string) {
		for end := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), words); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %q: %s", words, out)
			}
		}
	}
	await("Ctrl-C")
	if strings.Contains(out.String(), "catalogue") {
		t.Errorf("a complaint at the start: %s", out)
	}
	const ghost = `type Ghost @source(department: "health", table: "ghost", key: ["id"]) @classified(level: "L1") { id: String }
type Spirit @source(department: "health", table: "vaccination", key: ["record_id"], tiebreak: "no_tie") @classified(level: "L3") @fresh(column: "no_age", within: "1h") { vaccine: String }
type Shade @source(department: "health", table: "vaccination", key: ["record_id"], tiebreak: "rowid") @classified(level: "L3") { vaccine: String }`
	if err := os.WriteFile(filepath.Join(state, "schema", "ghost.graphqls"), []byte(ghost), 0o600); err != nil {
		t.Fatal(err)
	}
	await(`department health: source does not match the catalogue: no table \"ghost\"`)
	await(`table \"vaccination\": no column \"no_tie\"\ntable \"vaccination\": no column \"no_age\"`)
	if strings.Contains(out.String(), "rowid") {
		t.Errorf("a complaint about a row's number: %s", out)
	}
	stop()
	if code := <-done; code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}
