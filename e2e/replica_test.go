package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
)

// secondMachine is `weir lineage replica` in a process of its own.
type secondMachine struct {
	t             *testing.T
	dir, identity string
	node          string // public key
	address       string
	command       *exec.Cmd
	log           *bytes.Buffer
}

func (m *secondMachine) start() {
	m.t.Helper()
	m.log = &bytes.Buffer{}
	m.command = exec.Command(binary, "lineage", "replica", "--listen", m.address, "--dir", m.dir, "--identity", m.identity, "--node", m.node) //nolint:gosec,noctx // a test's own
	m.command.Stderr = m.log
	if err := m.command.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// kill ends it as a power cut of the machine's process would.
func (m *secondMachine) kill() {
	_ = m.command.Process.Kill()
	_ = m.command.Wait()
}

// replicaKey prints a key file's public half, and makes the file.
func replicaKey(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "lineage", "replica-key", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestSecondMachine: answers of a level that waits for a second machine are
// there when the first is destroyed. Under load the replica is killed and comes
// back; meanwhile such answers are refused with 503, others are served. Then the
// node is killed and its disk is gone: every answer that a client holds is
// explained by the replica's folder alone.
func TestSecondMachine(t *testing.T) {
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	elsewhere := t.TempDir()
	m := &secondMachine{
		t: t, dir: filepath.Join(elsewhere, "ledger"), identity: filepath.Join(elsewhere, "replica.key"), address: address,
		node: replicaKey(t, filepath.Join(state, "replica.key")),
	}
	key := replicaKey(t, m.identity)
	yaml := filepath.Join(dir, "weir.yaml")
	text, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	write(t, yaml, strings.Replace(string(text), "\nledger:\n",
		fmt.Sprintf("\nledger:\n  durability: {L4: replicated}\n  replica: {address: %q, key: %q, grace: {L4: 1s}}\n", address, key), 1))
	m.start()
	t.Cleanup(m.kill)
	s := start(t, dir)

	mother := guangdong.TheSample().Mother
	kept := filepath.Join(t.TempDir(), "answers.ndjson")
	var mu sync.Mutex
	answers, refused := map[bool]int{}, map[bool]int{}
	ask := func(ctx context.Context, secret bool) error {
		q, v := `{ companies(limit: 3) { name } }`, ""
		if secret {
			q, v = `query($id: String!) { person(idNumber: $id) { name idNumber } }`, `{"id":"`+mother+`"}`
		}
		raw, status, err := s.raw(ctx, q, v)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case status == http.StatusServiceUnavailable && strings.Contains(string(raw), "LEDGER_UNAVAILABLE") && !strings.Contains(string(raw), `"data"`):
			refused[secret]++
		case status == http.StatusOK:
			answers[secret]++
			if secret {
				f, err := os.OpenFile(kept, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					t.Error(err)
					return err
				}
				_, _ = f.Write(append(raw, '\n'))
				_ = f.Close()
			}
		default:
			t.Errorf("neither an answer nor a refusal: %d %s", status, raw)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for i := range 6 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if ask(ctx, i%2 == 0) != nil {
					return // the node is gone
				}
			}
		})
	}
	count := func(of map[bool]int, secret bool) int {
		mu.Lock()
		defer mu.Unlock()
		return of[secret]
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within 60 s: %s\nnode:\n%s\nreplica:\n%s", what, s.tail(), m.log)
			}
		}
	}
	for round := range 3 {
		served := count(answers, true)
		until("answers that wait for the replica", func() bool { return count(answers, true) > served+20 })
		m.kill()
		turned, open := count(refused, true), count(answers, false)
		until("refusals without the replica", func() bool { return count(refused, true) > turned+5 })
		until("answers of other levels", func() bool { return count(answers, false) > open+20 })
		if round == 0 {
			if got := s.metric(t, "weir_ledger_replica_connected"); got != "0" {
				t.Errorf("weir_ledger_replica_connected is %s without the replica", got)
			}
			if got := s.status(t, "/readyz"); got != http.StatusOK {
				t.Errorf("/readyz says %d: other levels are served", got)
			}
		}
		m.start()
	}
	served := count(answers, true)
	until("answers after the last return", func() bool { return count(answers, true) > served+20 })
	if got := s.metric(t, "weir_ledger_replica_connected"); got != "1" {
		t.Errorf("weir_ledger_replica_connected is %s with the replica", got)
	}

	// The first machine is destroyed under load.
	s.kill()
	clients.Wait()
	public, err := exec.CommandContext(t.Context(), binary, "lineage", "key", "--config", yaml).Output()
	if err != nil {
		t.Fatal(err)
	}
	reading := filepath.Join(t.TempDir(), "backup.keys") // kept elsewhere, as the operators' page says
	if err := os.Rename(filepath.Join(state, "ledger-reading.keys"), reading); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	m.kill()
	out, err := exec.CommandContext(t.Context(), binary, "lineage", "reconcile", kept, "--state", elsewhere, "--reading-key", reading).CombinedOutput()
	if err != nil {
		t.Fatalf("weir lineage reconcile: %v\n%s", err, out)
	}
	last := lastReceipt(t, kept)
	verified, err := exec.CommandContext(t.Context(), binary, "lineage", "verify", m.dir, "--log-only", "--key", strings.TrimSpace(string(public)), "--reading-key", reading, "--anchor", last).CombinedOutput() //nolint:gosec // as above
	if err != nil {
		t.Fatalf("weir lineage verify: %v\n%s", err, verified)
	}
	if !strings.Contains(string(verified), "read with the reading key: ") {
		t.Errorf("the records were not read:\n%s", verified)
	}
	t.Logf("%d answers that waited for the second machine, all in its folder; %d refused while it was away; %d answers of other levels, %d refused\n%s%s",
		answers[true], refused[true], answers[false], refused[false], out, verified)
	if refused[false] > 0 {
		t.Errorf("%d answers were refused that wait for no second machine", refused[false])
	}
}

// lastReceipt is the receipt of the last kept answer.
func lastReceipt(t *testing.T, kept string) string {
	t.Helper()
	raw, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	var a struct {
		Extensions struct{ Weir struct{ Receipt string } }
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &a); err != nil {
		t.Fatal(err)
	}
	return a.Extensions.Weir.Receipt
}
