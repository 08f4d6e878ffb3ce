package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-data/weir/examples/guangdong"
)

// trouble is one line of the faults' table: what befalls a source.
type trouble struct {
	name  string
	fault fault
	// sql befalls the account; it names the role %s.
	begin, end string
}

func troubles() []trouble {
	return []trouble{
		{name: "5 s latency", fault: slow},
		{name: "stall after the first row", fault: stalled},
		{name: "reset in a row", fault: resetMidRow},
		{name: "refused", fault: refusing},
		{name: "wrong types", fault: garbled},
		{name: "a row of 1 GB", fault: oneHugeRow},
		{name: "rows without end", fault: endlessRows},
		{name: "credentials revoked", begin: "ALTER ROLE %s NOLOGIN", end: "ALTER ROLE %s LOGIN"},
		{name: "too many connections", begin: "ALTER ROLE %s CONNECTION LIMIT 0", end: "ALTER ROLE %s CONNECTION LIMIT -1"},
	}
}

// TestFaults is the table of faults: each befalls a department's PostgreSQL while
// the node is idle, loaded, reloading its policy, and shutting down. Nothing that
// the fault-free run would have masked or withheld appears, what is not null is
// what it was, codes are from the closed set, requests that do not touch the
// source are unaffected, goroutines, descriptors and connections are back within
// 10 s, and every response has its record. In the short form each fault meets one
// department, under WEIR_SOAK=1 all four.
func TestFaults(t *testing.T) {
	address := postgresOrSkip(t)
	const prefix = "weir_faults"
	if err := guangdong.WritePostgres(t.Context(), address, prefix, guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	codes := closedSet(t)
	departments := guangdong.Departments()
	for i, trouble := range troubles() {
		for j, department := range departments {
			if j != i%len(departments) && os.Getenv("WEIR_SOAK") == "" {
				continue
			}
			t.Run(trouble.name+"/"+department, func(t *testing.T) {
				t.Parallel()
				newSite(t, address, prefix, fmt.Sprintf("weir_fault_%d_%d", i, j), department, codes).suffer(trouble)
			})
		}
	}
}

// closedSet are the codes that an error may have.
func closedSet(t *testing.T) map[string]bool {
	t.Helper()
	source, err := os.ReadFile("../graph/plan/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, m := range regexp.MustCompile(`Code = "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		set[m[1]] = true
	}
	if len(set) < 20 {
		t.Fatalf("%d codes", len(set))
	}
	return set
}

// question is one request of the load.
type question struct {
	token, purpose, query, variables string
	touches                          bool // the faulty department
	want                             any  // its data without a fault
}

// site is a node in front of four proxies, and what it answers when all is well.
type site struct {
	*server
	t          *testing.T
	db         *pgx.Conn
	role       string
	department string
	proxies    map[string]*proxy
	codes      map[string]bool
	questions  []*question

	mu       sync.Mutex
	receipts map[string]bool
	took     map[bool][]time.Duration // whether the faulty department was touched
	failed   atomic.Int64             // answers with an error
	ending   atomic.Bool
	// reloading: the policy changes.
	reloading atomic.Bool
	// withdrawn is the policy under which phones are seen by nobody.
	withdrawn atomic.Pointer[string]
}

// faultTimeout is how long the faulty department is waited for, soundTimeout how long
// the others: a machine that is busy with other tests makes them slow as well.
const (
	faultTimeout = time.Second
	soundTimeout = 10 * time.Second
)

func newSite(t *testing.T, address, prefix, role, department string, codes map[string]bool) *site {
	t.Helper()
	s := &site{t: t, role: role, department: department, proxies: map[string]*proxy{}, codes: codes, receipts: map[string]bool{}, took: map[bool][]time.Duration{}}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(parsed.Query().Get("host"), ".s.PGSQL."+orPort(parsed.Query().Get("port")))
	if s.db, err = pgx.Connect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	other := role + "_other" // of the departments that nothing befalls
	t.Cleanup(func() {
		// Clients of the role are gone when this runs.
		_, _ = s.db.Exec(context.Background(), "DROP ROLE "+role+", "+other)
		_ = s.db.Close(context.Background())
	})
	s.exec("DROP ROLE IF EXISTS " + role + ", " + other)
	for _, name := range []string{role, other} {
		s.exec("CREATE ROLE " + name + " LOGIN IN ROLE pg_read_all_data")
	}
	var yaml strings.Builder
	for _, d := range guangdong.Departments() {
		p := newProxy(t, socket)
		s.proxies[d] = p
		account := other
		if d == department {
			account = role
		}
		timeout := soundTimeout
		if d == department {
			timeout = faultTimeout
		}
		fmt.Fprintf(&yaml, "  %s: {driver: postgres, url: \"postgres://%s@%s/%s?sslmode=disable\", pool: 4, timeout: %s, connectTimeout: %s, titles: {zh: 一, en: one}}\n",
			d, account, p.address, guangdong.DatabaseName(prefix, d), timeout, timeout)
	}
	dir := prepare(t, yaml.String())
	raw, err := os.ReadFile(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "weir.yaml"), string(raw)+"\nserver: {shutdownTimeout: 8s}\n")
	s.server = start(t, dir)
	s.questions = questionsOf(department)
	for _, q := range s.questions {
		a, err := s.post(t.Context(), q.token, q.purpose, q.query, q.variables)
		if err != nil || len(a.Errors) > 0 || a.Data == nil {
			t.Fatalf("without a fault: %s: %v %v", q.query, err, a)
		}
		q.want = decoded(t, a.Data)
		s.note(a)
	}
	return s
}

func orPort(port string) string {
	if port == "" {
		return "5432"
	}
	return port
}

func (s *site) exec(statement string) {
	s.t.Helper()
	if _, err := s.db.Exec(s.t.Context(), statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

// questionsOf is a mixture of readers who are masked and withheld something, and
// for each department a question that touches no other.
func questionsOf(department string) []*question {
	sample := guangdong.TheSample()
	all := []*question{
		{token: "demo-officer", purpose: "case-handling", query: `{ persons(limit: 12) { name phone district idNumber permits { number holder { phone } } companies { name legalRepName licences { number } } } }`},
		{token: "demo-officer", purpose: "case-handling", query: `{ certificates(holderIdNumber: "` + sample.Mother + `") { number issuedOn } person(idNumber: "` + sample.Elsewhere + `") { name phone insurance { monthsPaid } } }`},
		{token: "demo-clerk", purpose: "newborn-registration", query: `query($id: String!) { person(idNumber: $id) { name phone births { number childName } household { address } } }`, variables: `{"id":"` + sample.Mother + `"}`},
		{token: "demo-e2e-partial", purpose: "case-handling", query: `{ personsConnection(first: 5) { totalCount nodes { name phone address } } birthCertificates(limit: 4) { childName mother { name } } companies(limit: 4) { name } insuranceAccounts(limit: 4) { balance } }`},
	}
	for _, q := range all {
		q.touches = true // whole or in part, whatever the department
	}
	for d, query := range map[string]string{
		"public_security": `{ persons(limit: 5) { district sex phone } }`, "health": `{ birthCertificates(limit: 5) { number } }`,
		"market_regulation": `{ companies(limit: 5) { name } }`, "social_security": `{ insuranceAccounts(limit: 5) { district } }`,
	} {
		all = append(all, &question{token: "demo-e2e-reader", purpose: "case-handling", query: query, touches: d == department})
	}
	return all
}

// suffer goes through the four states.
func (s *site) suffer(x trouble) {
	t := s.t
	// Warm: the pools, and what a load leaves behind, are no leak.
	s.load(300*time.Millisecond, nil)
	http.DefaultClient.CloseIdleConnections()
	time.Sleep(100 * time.Millisecond)
	before := s.state()
	calm := s.spent(false)

	s.begin(x)
	s.each() // idle
	if s.failed.Load() == 0 {
		t.Error("idle: nothing failed: the fault is none")
	}
	s.load(400*time.Millisecond, func() { s.end(x); s.begin(x) }) // loaded, and befallen in the middle of it
	s.reloading.Store(true)
	s.load(900*time.Millisecond, s.withdraw) // during a reload
	s.reloading.Store(false)
	if s.withdrawn.Load() == nil {
		t.Error("during a reload: the withdrawal was not live within a second")
	}
	shaken := s.spent(false)
	if n := len(shaken); n == 0 || shaken[n/2] > max(faultTimeout/2, 3*at(calm, 50)) {
		t.Errorf("requests that do not touch %s: %d, half of them within %v, and %v without the fault: they wait for it", s.department, n, at(shaken, 50), at(calm, 50))
	}
	t.Logf("requests that do not touch the source: %d without the fault, p50 %v p99 %v; %d with it, p50 %v p99 %v",
		len(calm), at(calm, 50), at(calm, 99), len(shaken), at(shaken, 50), at(shaken, 99))

	s.end(x)
	s.recovered(before)

	s.begin(x)
	s.load(500*time.Millisecond, s.shutDown)
	select {
	case err := <-s.exited:
		s.exited <- err
		if err != nil {
			t.Errorf("the node ended with %v\n%s", err, s.tail())
		}
	case <-time.After(10 * time.Second):
		t.Error("the node did not end within 10 s of SIGTERM")
	}
	s.end(x)
	records := recorded(t, s.dir)
	for receipt := range s.receipts {
		if records[receipt] != 1 {
			t.Errorf("receipt %s has %d records, want 1", receipt, records[receipt])
		}
	}
	if len(s.receipts) < 60 {
		t.Errorf("%d answers: too few to mean anything", len(s.receipts))
	}
}

func (s *site) begin(x trouble) {
	if x.begin != "" {
		s.exec(fmt.Sprintf(x.begin, s.role))
		s.proxies[s.department].drop()
		return
	}
	s.proxies[s.department].set(x.fault)
}

func (s *site) end(x trouble) {
	if x.end != "" {
		s.exec(fmt.Sprintf(x.end, s.role))
		return
	}
	s.proxies[s.department].set(sound)
}

// each asks every question once, all at a time.
func (s *site) each() {
	var clients sync.WaitGroup
	for _, q := range s.questions {
		clients.Go(func() { s.ask(q) })
	}
	clients.Wait()
}

// load asks for a while, with something happening after a third of it. It goes
// on until each question was asked.
func (s *site) load(d time.Duration, happening func()) {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	var clients sync.WaitGroup
	for i := range s.questions {
		clients.Go(func() {
			for n := i; ; n++ {
				// Half of the clients ask what does not touch the source.
				q := s.questions[n%len(s.questions)]
				for i%2 == 0 && q.touches {
					n++
					q = s.questions[n%len(s.questions)]
				}
				s.ask(q)
				if ctx.Err() != nil || s.ending.Load() {
					return
				}
			}
		})
	}
	if happening != nil {
		time.Sleep(d / 3)
		happening()
	}
	clients.Wait()
}

// ask asks one question and judges the answer.
func (s *site) ask(q *question) {
	begun := time.Now()
	a, err := s.post(context.Background(), q.token, q.purpose, q.query, q.variables)
	took := time.Since(begun)
	if err != nil {
		if !s.ending.Load() {
			s.t.Errorf("no answer: %v", err)
		}
		return
	}
	policy := s.note(a)
	for _, e := range a.Errors {
		if code, _ := e.Extensions["code"].(string); !s.codes[code] {
			s.t.Errorf("an error outside the closed set: %s", a)
		}
	}
	if a.Data != nil && string(a.Data) != "null" {
		got := decoded(s.t, a.Data)
		revision := s.withdrawn.Load()
		if revision != nil && policy == *revision {
			if phone := regexp.MustCompile(`"phone":"`).Find(a.Data); phone != nil {
				s.t.Errorf("a withdrawn field in an answer under the new policy: %s", a.Data)
			}
		}
		if place := beyond("data", got, q.want); place != "" {
			s.t.Errorf("%s as %s: %s is not what it is without the fault, nor null\n%s", q.query, q.token, place, a.Data)
		}
	}
	if len(a.Errors) > 0 {
		s.failed.Add(1)
		// A withdrawal is live for requests on their way, too.
		changed := a.Errors[0].Extensions["code"] == "POLICY_CHANGED" && s.reloading.Load()
		if !q.touches && !changed && !s.ending.Load() {
			s.t.Errorf("%s does not touch %s, and failed: %s", q.query, s.department, a)
		}
	}
	s.mu.Lock()
	s.took[q.touches] = append(s.took[q.touches], took)
	s.mu.Unlock()
}

// note keeps an answer's receipt, and gives the policy that it came under.
func (s *site) note(a *answer) (policy string) {
	var weir struct{ Receipt, Policy string }
	if err := json.Unmarshal(a.Extensions.Weir, &weir); err != nil || weir.Receipt == "" {
		s.t.Errorf("an answer without a receipt: %s", a)
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receipts[weir.Receipt] {
		s.t.Errorf("two answers with the receipt %s", weir.Receipt)
	}
	s.receipts[weir.Receipt] = true
	return weir.Policy
}

// beyond names the first place at which an answer shows something else than the
// fault-free one, or more; "" where it is that or null.
func beyond(path string, got, want any) string {
	switch got := got.(type) {
	case nil:
		return ""
	case map[string]any:
		of, ok := want.(map[string]any)
		if !ok || len(of) != len(got) {
			return path
		}
		for key, v := range got {
			if place := beyond(path+"."+key, v, of[key]); place != "" {
				return place
			}
		}
		return ""
	case []any:
		of, ok := want.([]any)
		if !ok || len(of) != len(got) {
			return path
		}
		for i, v := range got {
			if place := beyond(path+"."+strconv.Itoa(i), v, of[i]); place != "" {
				return place
			}
		}
		return ""
	}
	if got != want {
		return path
	}
	return ""
}

func decoded(t *testing.T, data json.RawMessage) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Errorf("%v: %s", err, data)
	}
	return v
}

// withdraw takes the phones away from everybody, and waits until the node says
// that it is so.
func (s *site) withdraw() {
	s.tightened(testPolicy + "p, case-officer, *, Person.phone, L1, *, all, any, deny\np, window-clerk, *, Person.phone, L1, *, all, any, deny\np, reader, *, Person.phone, L1, *, all, any, deny\n")
}

func (s *site) tightened(policy string) {
	untouched := s.questions[slices.IndexFunc(s.questions, func(q *question) bool { return !q.touches })]
	policyNow := func() string {
		a, err := s.post(context.Background(), untouched.token, untouched.purpose, untouched.query, "")
		if err != nil {
			s.t.Errorf("no answer: %v", err)
			return ""
		}
		return s.note(a)
	}
	was := policyNow()
	write(s.t, filepath.Join(s.dir, "policy", "testing.csv"), policy)
	// A second is the promise; a machine that is busy with other tests gets more.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is := policyNow(); is != was && is != "" {
			s.withdrawn.Store(&is)
			return
		}
	}
}

func (s *site) shutDown() {
	s.ending.Store(true)
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
}

// spent gives the sorted times of answers since it was last asked.
func (s *site) spent(touching bool) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.took[touching]
	s.took = map[bool][]time.Duration{}
	slices.Sort(out)
	return out
}

func at(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(100 * time.Microsecond)
}

// state is what must be as before when a fault is over.
type state struct{ goroutines, descriptors, connections int }

func (s *site) state() state {
	s.t.Helper()
	response, err := http.Get(s.url + "/metrics") //nolint:noctx // a local server of the test's own
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var text strings.Builder
	buffer := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	figure := func(name string) int {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text.String())
		if m == nil {
			s.t.Fatalf("no %s among the metrics", name)
		}
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return int(f)
	}
	now := state{goroutines: figure("go_goroutines"), descriptors: figure("process_open_fds")}
	for _, p := range s.proxies {
		now.connections += p.connections()
	}
	return now
}

// recovered waits until every question is answered whole again and nothing is
// held that was not held before; memory stayed bounded all the while.
func (s *site) recovered(before state) {
	t := s.t
	begun := time.Now()
	s.tightened(testPolicy)
	s.withdrawn.Store(nil)
	last := begun.Add(10 * time.Second)
	for {
		failed := s.failed.Load()
		s.each()
		if s.failed.Load() == failed {
			break
		}
		if time.Now().After(last) {
			t.Fatalf("answers are not whole 10 s after the fault\n%s", s.tail())
		}
		time.Sleep(50 * time.Millisecond)
	}
	whole := time.Since(begun)
	// A few of each: which connections a pool or a client keeps open differs.
	const slack = 12
	for {
		http.DefaultClient.CloseIdleConnections()
		now := s.state()
		if now.goroutines <= before.goroutines+slack && now.descriptors <= before.descriptors+slack && now.connections <= before.connections+slack {
			t.Logf("answers whole after %v; before %+v, after %+v", whole.Round(time.Millisecond), before, now)
			break
		}
		if time.Now().After(last) {
			t.Errorf("10 s after the fault %+v, before it %+v", now, before)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if peak := s.peak(); peak > 512<<20 {
		t.Errorf("%d MiB of memory at the most", peak>>20)
	} else {
		t.Logf("%d MiB of memory at the most", peak>>20)
	}
}

// peak is the most memory that the node held, in bytes; 0 where the system does
// not tell.
func (s *site) peak() int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(raw)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}
