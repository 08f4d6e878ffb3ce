package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-data/weir/examples/guangdong"
)

// killSteps are the named places of gate, log and tree at which the server is
// killed, with how often one may have to come; "" is at a random time.
var killSteps = [...]struct {
	name string
	most int
}{
	{"", 0},
	{"before write", 40},
	{"torn write", 40},
	{"after write", 40},
	{"before sync", 40},
	{"after sync", 40},
	{"after create", 1},
	{"after syncdir", 1},
	{"appended", 40},
	{"durable", 40},
	{"before bytes", 40},
	{"between bytes", 40},
	{"batched", 6},
	{"added", 6},
	{failingSync, 40},
	{shortWrite, 40},
}

// Steps at which the disk fails instead: a failed sync must end the process, a
// short write is made good by itself.
const (
	failingSync = "failing sync"
	shortWrite  = "short write"
)

// TestKilledUnderLoad kills the real server under load, at random and at each
// named step, and starts it again on the same folder. Clients keep every byte
// that they get. In the end each whole answer has exactly one record, which is
// of these very bytes, and each answer of which but a part came has one too.
// Records without an answer are those that were not delivered; they are counted.
// WEIR_SEED draws other times, WEIR_KILL_ROUNDS another number of rounds.
func TestKilledUnderLoad(t *testing.T) {
	rounds := len(killSteps)
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 100
	}
	if n, err := strconv.Atoi(os.Getenv("WEIR_KILL_ROUNDS")); err == nil && n > 0 {
		rounds = n
	}
	seed, err := strconv.ParseUint(os.Getenv("WEIR_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	t.Logf("WEIR_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := prepare(t, "")
	if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	k := &killing{t: t, dir: dir, program: buildStepped(t), answers: filepath.Join(t.TempDir(), "answers.ndjson"), asked: map[string]*asking{}}
	for round := range rounds {
		step, wanted := killSteps[round%len(killSteps)], ""
		if step.name != "" {
			wanted = fmt.Sprintf("%s=%d", step.name, 1+random.IntN(step.most))
		}
		k.round(round, wanted, time.Duration(100+random.IntN(400))*time.Millisecond)
	}
	k.reconcile(rounds)
}

// killing is the clients' side of the rounds.
type killing struct {
	t                     *testing.T
	dir, program, answers string

	mu      sync.Mutex
	asked   map[string]*asking // by request id
	atSteps map[string]int
	largest int // bytes of an answer
}

// asking is one request and what came of it.
type asking struct {
	receipt string // of a whole answer
	partly  int    // bytes of an answer that did not come whole, status line included
	refused bool   // 503: its record, if there is one, vouches for nothing
}

func (k *killing) round(round int, step string, after time.Duration) {
	k.t.Helper()
	s, ready := launch(k.t, k.dir, k.program, "WEIR_E2E_STEP="+step)
	if ready {
		ctx, cancel := context.WithCancel(k.t.Context())
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() { k.client(ctx, s, round, i) })
		}
		if step == "" {
			time.Sleep(after)
		} else {
			select {
			case err := <-s.exited:
				s.exited <- err
			case <-time.After(15 * time.Second): // it did not come that often: as good a time as any
			}
		}
		s.kill()
		clients.Wait()
		cancel()
	}
	s.kill()
	code := s.command.ProcessState.ExitCode()
	if strings.HasPrefix(step, failingSync) && code == 5 {
		if !strings.Contains(s.log.String(), "the ledger cannot be trusted any more and the process ends") {
			k.t.Errorf("it does not say why it ends:\n%s", s.tail())
		}
		code, s.fails = -1, true
	}
	if !ready && code == 5 && strings.Contains(s.log.String(), "ledger unavailable") {
		code, s.fails = -1, true // it does not start on a disk that is too slow for its first record
	}
	if code != -1 {
		k.t.Fatalf("round %d, %q: the server ended by itself with %d\n%s", round, step, code, s.tail())
	}
	if step != "" && strings.Contains(s.log.String(), "came to "+step) {
		k.mu.Lock()
		if k.atSteps == nil {
			k.atSteps = map[string]int{}
		}
		name, _, _ := strings.Cut(step, "=")
		k.atSteps[name]++
		k.mu.Unlock()
	}
}

// client asks until the server is gone, and keeps what it gets.
func (k *killing) client(ctx context.Context, s *server, round, client int) {
	mother := guangdong.TheSample().Mother
	queries := [...][2]string{
		{"demo-e2e-reader", `{"query":"query($id: String!) { person(idNumber: $id) { name idNumber } companies(limit: 3) { name } }","variables":{"id":"` + mother + `"}}`},
		{"demo-e2e-reader", `{"query":"{ companies(limit: 3) { name } }"}`},
		{"demo-e2e-reader", `{"query":"{ persons(limit: 100) { name idNumber phone address birthDate } }"}`},
		{"demo-e2e-partial", `{"query":"{ persons(limit: 5) { name phone } }"}`},
		{"demo-e2e-partial", `{"query":"{ persons(limit: 5, where: {phone: {_eq: \"1\"}}) { name } }"}`},
	}
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("round-%d-%d-%d", round, client, n)
		one := &asking{}
		k.mu.Lock()
		k.asked[id] = one
		k.mu.Unlock()
		q := queries[(client+n)%len(queries)]
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/graphql", strings.NewReader(q[1]))
		if err != nil {
			k.t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/graphql-response+json")
		r.Header.Set("Authorization", "Bearer "+q[0])
		r.Header.Set("X-Weir-Purpose", "case-handling")
		r.Header.Set("X-Weir-Withheld", "errors")
		r.Header.Set("X-Request-Id", id)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return // killed before a byte came
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			one.partly = 1 + len(body)
			return
		}
		if err := k.keep(one, body); err != nil {
			k.t.Errorf("%s: %v: %s", id, err, body)
			return
		}
	}
}

// keep writes a whole answer down as it came.
func (k *killing) keep(one *asking, body []byte) error {
	var a answer
	var weir struct{ Receipt string }
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	if err := json.Unmarshal(a.Extensions.Weir, &weir); err != nil {
		return err
	}
	switch {
	case weir.Receipt == "" && a.Data == nil && len(a.Errors) == 1 && a.Errors[0].Extensions["code"] == "LEDGER_UNAVAILABLE":
		one.refused = true // the disk failed
	case weir.Receipt == "":
		return errors.New("an answer without a receipt")
	}
	one.receipt = weir.Receipt
	k.mu.Lock()
	defer k.mu.Unlock()
	k.largest = max(k.largest, len(body))
	f, err := os.OpenFile(k.answers, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(body), '\n'))
	return errors.Join(err, f.Close())
}

// reconcile holds everything that clients kept against the recovered ledger.
func (k *killing) reconcile(rounds int) {
	t := k.t
	t.Helper()
	state := filepath.Join(k.dir, "state")
	out, err := exec.CommandContext(t.Context(), binary, "lineage", "reconcile", k.answers, "--state", state).CombinedOutput()
	if err != nil {
		t.Fatalf("weir lineage reconcile: %v\n%s", err, out)
	}
	t.Logf("weir lineage reconcile:\n%s", out)
	records := map[string][]string{} // positions by request id
	others := map[string]int{}
	for _, r := range tailed(t, k.dir) {
		if k.asked[r.RequestID] == nil {
			others[r.Kind]++
			continue
		}
		records[r.RequestID] = append(records[r.RequestID], r.Position)
	}
	whole, partly, refused, surplus, unheard := 0, 0, 0, 0, 0
	for id, one := range k.asked {
		got := records[id]
		switch {
		case len(got) > 1:
			t.Errorf("%s has %d records: %v", id, len(got), got)
		case one.receipt != "" && (len(got) != 1 || got[0] != one.receipt):
			t.Errorf("%s came whole with receipt %s, its records: %v", id, one.receipt, got)
		case one.partly > 0 && len(got) != 1:
			t.Errorf("%d bytes of %s came, and it has no record", one.partly, id)
		}
		switch {
		case one.receipt != "":
			whole++
		case one.partly > 0:
			partly++
		case one.refused:
			refused++
		case len(got) == 1:
			surplus++
		default:
			unheard++
		}
	}
	t.Logf("%d rounds, ended at steps %v and otherwise at random: %d answers came whole, %d in part, each with its record, 0 unexplained; %d refused since the disk failed; %d records of answers that were not delivered, %d requests without either; other records %v; the largest answer had %d bytes",
		rounds, k.atSteps, whole, partly, refused, surplus, unheard, others, k.largest)
	if whole < 20*rounds {
		t.Errorf("only %d answers in %d rounds: too few to mean anything", whole, rounds)
	}
	for _, step := range killSteps[1:] {
		if k.atSteps[step.name] == 0 {
			t.Errorf("no server came to %q", step.name)
		}
	}
	if others["query"]+others["refused"] > 0 {
		t.Errorf("records of requests that nobody sent: %v", others)
	}
}

// tailedRecord is what tests read of a record.
type tailedRecord struct{ Position, RequestID, Kind string }

// tailed gives the records of a state folder.
func tailed(t *testing.T, dir string) []tailedRecord {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "lineage", "tail", "--state", filepath.Join(dir, "state"), "--json", "--last", "10000000").Output()
	if err != nil {
		t.Fatalf("lineage tail: %v", err)
	}
	var records []tailedRecord
	for line := range strings.Lines(string(out)) {
		var r tailedRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		records = append(records, r)
	}
	return records
}

// recorded counts the records of a state folder by their position, which is the
// receipt of the answer.
func recorded(t *testing.T, dir string) map[string]int {
	t.Helper()
	records := map[string]int{}
	for _, r := range tailed(t, dir) {
		records[r.Position]++
	}
	return records
}

// steppedFiles counts the named steps in every file operation of the log.
const steppedFiles = `package lineage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var stepsLeft atomic.Int64

var stepName = func() string {
	name, count, _ := strings.Cut(os.Getenv("WEIR_E2E_STEP"), "=")
	n, _ := strconv.ParseInt(count, 10, 64)
	stepsLeft.Store(n)
	return name
}()

// Step ends the process, as kill -9 does, when the step that the environment
// names has come often enough.
func Step(name string) {
	if stepDue(name) {
		die()
	}
}

func stepDue(name string) bool {
	due := name == stepName && stepsLeft.Add(-1) == 0
	if due {
		fmt.Fprintln(os.Stderr, "came to "+os.Getenv("WEIR_E2E_STEP"))
	}
	return due
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

type steppedFile struct{ File }

func (f steppedFile) WriteAt(b []byte, at int64) (int, error) {
	Step("before write")
	if stepDue("torn write") {
		_, _ = f.File.WriteAt(b[:len(b)/2], at)
		die()
	}
	if stepDue("short write") {
		return f.File.WriteAt(b[:len(b)/2], at)
	}
	n, err := f.File.WriteAt(b, at)
	Step("after write")
	return n, err
}

func (f steppedFile) Sync() error {
	Step("before sync")
	if stepDue("failing sync") {
		return syscall.EIO
	}
	err := f.File.Sync()
	Step("after sync")
	return err
}

type steppedFS struct{ osFS }

func (f steppedFS) Create(path string) (File, error) {
	file, err := f.osFS.Create(path)
	Step("after create")
	return steppedFile{file}, err
}

func (f steppedFS) Open(path string, write bool) (File, error) {
	file, err := f.osFS.Open(path, write)
	if err != nil {
		return nil, err
	}
	return steppedFile{file}, nil
}

func (f steppedFS) SyncDir(dir string) error {
	err := f.osFS.SyncDir(dir)
	Step("after syncdir")
	return err
}
`

// buildStepped builds the program with the named steps in it: the real one in
// all else.
func buildStepped(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	put := func(file, text string) {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		write(t, copied, text)
		replace[filepath.Join(root, filepath.FromSlash(file))] = copied
	}
	put("lineage/steps.go", steppedFiles)
	for _, p := range []struct {
		file    string
		changes [][2]string
	}{
		{"lineage/fs.go", [][2]string{{"return osFS{} }", "return steppedFS{osFS{}} }"}}},
		{"lineage/ledger/ledger.go", [][2]string{{"c.step = func(string) {}", "c.step = lineage.Step"}}},
		{"internal/gateway/recorded.go", [][2]string{
			{"err = ticket.Wait(", "lineage.Step(\"appended\")\n\t\terr = ticket.Wait("},
		}},
		{"internal/gateway/release.go", [][2]string{
			{"g.receipt = position.String()", "lineage.Step(\"durable\")\n\tg.receipt = position.String()"},
			{"g.w.WriteHeader(status)", "lineage.Step(\"before bytes\")\n\tg.w.WriteHeader(status)"},
			{
				"for _, p := range parts {\n\t\tif _, err := g.w.Write(p); err != nil {\n\t\t\treturn",
				"for i, p := range parts {\n\t\tif i > 0 {\n\t\t\tlineage.Step(\"between bytes\")\n\t\t}\n\t\tif _, err := g.w.Write(p); err != nil {\n\t\t\treturn",
			},
		}},
	} {
		raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.file)))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, c := range p.changes {
			if n := strings.Count(text, c[0]); n != 1 {
				t.Fatalf("%q stands %d times in %s: name the step's place anew", c[0], n, p.file)
			}
			text = strings.Replace(text, c[0], c[1], 1)
		}
		put(p.file, text)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), string(overlay))
	program := filepath.Join(dir, "weir")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program with steps: %v\n%s", err, out)
	}
	return program
}
