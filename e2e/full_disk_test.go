package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
)

// disk is what a test can do to the disk under a running server's state.
type disk struct {
	how   string
	fill  func(t *testing.T, s *server)
	clear func(t *testing.T, s *server)
}

// TestFullDisk fills the disk under a running server: from the first record that
// does not fit on nothing is served, and the server says why. When there is room
// again it serves again, without a restart, and every answer that left has its
// record.
func TestFullDisk(t *testing.T) {
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	d := smallDisk(t, filepath.Join(dir, "state"))
	t.Logf("the disk is full by %s", d.how)
	s := start(t, dir)
	receipts := map[string]bool{}
	ask := func() *answer {
		t.Helper()
		a, err := s.post(t.Context(), "demo-e2e-reader", "case-handling", `{ persons(limit: 2) { name idNumber } }`, "")
		if err != nil {
			t.Fatal(err)
		}
		var weir struct{ Receipt string }
		if err := json.Unmarshal(a.Extensions.Weir, &weir); err != nil {
			t.Fatal(err)
		}
		switch {
		case a.Status == http.StatusOK && a.Data != nil && weir.Receipt != "":
			receipts[weir.Receipt] = true
		case a.Status == http.StatusServiceUnavailable && a.Data == nil && weir.Receipt == "" && len(a.Errors) == 1 && a.Errors[0].Extensions["code"] == "LEDGER_UNAVAILABLE":
		default:
			t.Fatalf("neither an answer with its receipt nor a refusal: %s", a)
		}
		return a
	}
	for range 5 {
		if a := ask(); a.Status != http.StatusOK {
			t.Fatalf("with room: %s", a)
		}
	}
	d.fill(t, s)
	// The page of the file that is there already takes some records yet.
	full := false
	for range 2_000 {
		if full = ask().Status != http.StatusOK; full {
			break
		}
	}
	if !full {
		t.Fatalf("served 2,000 answers on a full disk\n%s", s.tail())
	}
	for range 20 {
		if a := ask(); a.Status == http.StatusOK {
			t.Fatalf("served while the disk is full: %s", a)
		}
	}
	if got := s.status(t, "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d on a full disk", got)
	}
	if got := s.status(t, "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz says %d: a restart would not make room", got)
	}
	if log := s.tail(); !strings.Contains(log, "no space left on device") && !strings.Contains(log, "file too large") {
		t.Errorf("the log does not say why:\n%s", log)
	}

	d.clear(t, s)
	deadline := time.Now().Add(15 * time.Second)
	for ask().Status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatalf("not served 15 s after room was made\n%s", s.tail())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := s.status(t, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz says %d with room again", got)
	}
	for range 5 {
		ask()
	}

	s.kill() // the worst end: nothing is made good on the way out
	records := recorded(t, dir)
	for receipt := range receipts {
		if records[receipt] != 1 {
			t.Errorf("receipt %s has %d records, want 1", receipt, records[receipt])
		}
	}
}

func (s *server) status(t *testing.T, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}

// smallDisk puts the folder on a file system of its own, which a file then
// fills; where mounting is not allowed, the system bounds the server's files
// instead, which it meets as writes that fail.
func smallDisk(t *testing.T, folder string) disk {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder).Run() == nil { //nolint:gosec // a test's own folder
		t.Cleanup(func() {
			// Lazily: the server, if a test failed, still runs on it.
			if out, err := exec.Command("umount", "-l", folder).CombinedOutput(); err != nil { //nolint:gosec,noctx // as above; the test's context has ended
				t.Errorf("umount: %v: %s", err, out)
			}
		})
		filler := filepath.Join(folder, "filler")
		return disk{"a file system of 4 MiB", func(t *testing.T, _ *server) {
			t.Helper()
			f, err := os.Create(filler) //nolint:gosec // as above
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = f.Write(make([]byte, 4096))
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, _ *server) {
			t.Helper()
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}}
	}
	limit := func(t *testing.T, s *server, bytes string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "prlimit", "--pid", strconv.Itoa(s.command.Process.Pid), "--fsize="+bytes).CombinedOutput() //nolint:gosec // numbers
		if err != nil {
			t.Skipf("SKIPPED: neither may this test mount a file system nor bound a process's files: %v: %s", err, out)
		}
	}
	return disk{"a limit on the size of files", func(t *testing.T, s *server) {
		t.Helper()
		limit(t, s, "1:unlimited")
	}, func(t *testing.T, s *server) {
		t.Helper()
		limit(t, s, "unlimited:unlimited")
	}}
}
