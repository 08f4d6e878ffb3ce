package noninterference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-data/weir/graph/plan"
)

// session is a reader's session in a world: what he asks, in which order, and
// what happens beside it. It is a script, so that it can be run again over other
// rows.
type session struct {
	w       *world
	loose   bool // the engine can hold values of another kind than the column's
	reader  *reader
	purpose string
	oracles []*oracle // one per policy that is in force during the session
	stated  []stated
	asked   []verification
	first   database
	second  database
	changes []change
	others  []*reader // who warm the caches, and whose cursors are handed on
	steps   []step
}

// step is one request.
type step struct {
	reader    *reader
	purpose   string
	watched   bool // the reader's own: compared
	doc       string
	vars      map[string]any // json values and handed
	get       bool
	withheld  bool
	partial   bool
	graphql   bool // accepts application/graphql-response+json
	policy    int  // in force when the request begins
	fault     *fault
	restart   bool // before the request every cache is lost
	reload    int  // 1 + the policy that is swapped in while a fetch runs; 0 for none
	hits      []hit
	expecting string // the kind of query, for counting
}

// handed is a cursor or ref of an earlier answer.
type handed struct {
	step int
	kind string // "ref" or "cur"
	nth  int
}

// hit is a place of the table that the harness must reach.
type hit struct{ operator, position, decision string }

func (ss *session) observe(db database) [][]byte {
	out := make([][]byte, len(ss.oracles))
	for i, o := range ss.oracles {
		out[i] = o.observe(db, ss.stated, ss.asked)
	}
	return out
}

// alike tells whether the oracles observe in db what they did before.
func (ss *session) alike(before [][]byte, db database) bool {
	for i, o := range ss.oracles {
		if !bytes.Equal(before[i], o.observe(db, ss.stated, ss.asked)) {
			return false
		}
	}
	return true
}

// answer is one response as it is compared.
type answer struct {
	status  int
	headers string
	body    string
	raw     string
}

// naming renames refs and cursors of one side by first occurrence; their length
// stays to be compared.
type naming struct {
	known map[string]string
	taken map[handed]string
}

func newNaming() *naming {
	return &naming{known: map[string]string{}, taken: map[handed]string{}}
}

// Generated queries name every ref ref_N and every cursor cur_N.
var sealed = regexp.MustCompile(`"(ref|cur)_(\d+)":"([A-Za-z0-9_-]+)"`)

// take reads a response; only the reader's own answers, which are watched, name
// anything.
func (n *naming) take(step int, watched bool, w *httptest.ResponseRecorder) answer {
	a := answer{status: w.Code, raw: w.Body.String()}
	var headers []string
	for k, v := range w.Header() {
		if k == "Date" || k == "X-Request-Id" {
			continue
		}
		headers = append(headers, k+": "+strings.Join(v, "|"))
	}
	slices.Sort(headers)
	a.headers = strings.Join(headers, "\n")
	counts := map[string]int{}
	a.body = sealed.ReplaceAllStringFunc(a.raw, func(match string) string {
		m := sealed.FindStringSubmatch(match)
		n.taken[handed{step, m[1], counts[m[1]]}] = m[3]
		counts[m[1]]++
		if !watched {
			return match
		}
		name, ok := n.known[m[3]]
		if !ok {
			name = fmt.Sprintf("<%s %d of %d bytes>", m[1], len(n.known), len(m[3]))
			n.known[m[3]] = name
		}
		return `"` + m[1] + "_" + m[2] + `":"` + name + `"`
	})
	return a
}

// request builds a step's request for one side.
func (st *step) request(n *naming) (*http.Request, error) {
	vars := map[string]any{}
	for k, v := range st.vars {
		if h, ok := v.(handed); ok {
			text, found := n.taken[h]
			if !found {
				text = "nothing"
			}
			v = text
		}
		vars[k] = v
	}
	var r *http.Request
	if st.get {
		encoded, err := json.Marshal(vars)
		if err != nil {
			return nil, err
		}
		q := url.Values{"query": {st.doc}}
		if len(vars) > 0 {
			q.Set("variables", string(encoded))
		}
		r = httptest.NewRequest(http.MethodGet, "/graphql?"+q.Encode(), nil)
	} else {
		body, err := json.Marshal(map[string]any{"query": st.doc, "variables": vars})
		if err != nil {
			return nil, err
		}
		r = httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+st.reader.token)
	if st.purpose != "" {
		r.Header.Set("X-Weir-Purpose", st.purpose)
	}
	if st.withheld {
		r.Header.Set("X-Weir-Withheld", "errors")
	}
	if st.partial {
		r.Header.Set("X-Weir-Partial", "list")
	}
	if st.graphql {
		r.Header.Set("Accept", "application/graphql-response+json")
	}
	return r, nil
}

// stage is a world brought into a rig: a generation per side and policy.
type stage struct {
	rig         *rig
	w           *world
	generations [2][]*plan.Generation
	sessions    uint64
}

func (g *rig) stage(w *world) (*stage, error) {
	st := &stage{rig: g, w: w}
	for i, sd := range g.sides {
		if err := sd.engine.tables(w); err != nil {
			return nil, fmt.Errorf("tables: %w", err)
		}
		if err := st.compile(i); err != nil {
			return nil, err
		}
	}
	return st, nil
}

func (st *stage) compile(i int) error {
	for _, p := range st.w.policies {
		gen, err := st.rig.sides[i].generation(st.w, p)
		if err != nil {
			return fmt.Errorf("generation: %w", err)
		}
		st.generations[i] = append(st.generations[i], gen)
	}
	return nil
}

// fresh compiles the world anew on a side, so that no cache remembers anything.
func (st *stage) fresh(i int) error {
	st.closeSide(i)
	return st.compile(i)
}

func (st *stage) close() {
	for i := range st.rig.sides {
		st.closeSide(i)
	}
}

func (st *stage) closeSide(i int) {
	for _, g := range st.generations[i] {
		g.Documents.Close()
	}
	st.generations[i] = nil
}

// difference is the first one between two answers of a session.
type difference struct {
	step int
	a, b answer
	late bool // a time limit that passed can be why
}

var errStep = errors.New("a request cannot be built")

// run runs a session's script over two databases and compares. seen is told of
// every pair that was compared; may be nil.
func (st *stage) run(ss *session, second database, seen func(*step, answer)) (*difference, error) {
	st.sessions++
	names := [2]*naming{newNaming(), newNaming()}
	late := false
	for i, db := range [2]database{ss.first, second} {
		sd := st.rig.sides[i]
		// The rows lie in another order on each side.
		if err := sd.engine.rows(ss.w, db, newSource(uint64(i), st.sessions)); err != nil {
			return nil, fmt.Errorf("rows: %w", err)
		}
		for _, rd := range append(slices.Clone(ss.others), ss.reader) {
			sd.readers.Store(rd.token, rd.subject())
		}
	}
	for n := range ss.steps {
		step := &ss.steps[n]
		var answers [2]answer
		for i, sd := range st.rig.sides {
			// Ids and nonces are the step's, whatever others were answered before.
			sd.random.reset(n)
			if step.restart {
				if err := st.fresh(i); err != nil {
					return nil, err
				}
			}
			sd.current.Store(st.generations[i][step.policy])
			f := step.fault
			if step.reload > 0 && f != nil {
				swapped := *f
				swapped.reload = st.generations[i][step.reload-1]
				f = &swapped
			}
			sd.fault.Store(f)
			r, err := step.request(names[i])
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errStep, err)
			}
			answers[i] = names[i].take(n, step.watched, sd.serve(r))
		}
		a, b := answers[0], answers[1]
		late = late || step.late(a, b)
		if !step.watched {
			continue
		}
		if a.status != b.status || a.headers != b.headers || a.body != b.body {
			return &difference{n, a, b, late}, nil
		}
		if seen != nil {
			seen(step, a)
		}
	}
	return nil, nil //nolint:nilnil // no difference is the usual outcome
}

// describe prints a step for people.
func (st *step) describe() string {
	vars := ""
	if len(st.vars) > 0 {
		shown := map[string]any{}
		for k, v := range st.vars {
			if h, ok := v.(handed); ok {
				v = "<" + h.kind + " " + strconv.Itoa(h.nth) + " of request " + strconv.Itoa(h.step) + ">"
			}
			shown[k] = v
		}
		text, err := json.Marshal(shown)
		if err != nil {
			text = []byte(err.Error())
		}
		vars = " variables " + string(text)
	}
	more := ""
	if st.fault != nil {
		more = fmt.Sprintf(" fault %+v", *st.fault)
	}
	if st.restart {
		more += " restarted"
	}
	if st.reload > 0 {
		more += fmt.Sprintf(" reload to policy %d during the fetch", st.reload-1)
	}
	return fmt.Sprintf("as %s %v of %q attributes %v purpose %q policy %d withheld-errors %v partial %v get %v%s\n      %s%s",
		st.reader.token, st.reader.roles, st.reader.department, st.reader.attributes, st.purpose, st.policy, st.withheld, st.partial, st.get, more, st.doc, vars)
}
