package noninterference

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
)

// The record of an operation must name every column that the databases were
// asked for, and few that they were not. What was read is not Weir's to say: the
// engines' own view is taken, SQLite's through its authorizer, PostgreSQL's by
// running every statement again as a role that holds the recorded columns alone.
//
// Sizes in operations.
const (
	shortOperations = 3_000
	soakOperations  = 100_000
	// PostgreSQL takes a share.
	postgresOperations = 4
)

// leastPrecision is the share of claimed columns that were really read.
const leastPrecision = 0.99

// column is one of a department's table; without a name it stands for the row.
type column struct{ department, table, name string }

func (c column) String() string {
	return c.department + " " + c.table + "." + cmp.Or(c.name, "(row)")
}

func sortedColumns(set map[column]bool) []column {
	out := make([]column, 0, len(set))
	for c := range set {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b column) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// sent is a statement as it reached a source.
type sent struct {
	department string
	shape      *adapters.Shape
	text       string
	args       []adapters.Arg
	keys       *adapters.Keys
}

// watch keeps what is sent to the sources of one side.
type watch struct {
	mu   sync.Mutex
	sent []sent
}

func (w *watch) take() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	return out
}

// note keeps a statement that a source is about to be sent.
func (w *watch) note(s faultyStatement, args []adapters.Arg, keys *adapters.Keys) {
	one := sent{department: s.a.name, shape: s.shape, text: s.String(), args: slices.Clone(args)}
	if keys != nil {
		one.keys = &adapters.Keys{Rows: keys.Rows, Cols: keys.Cols, Data: slices.Clone(keys.Data), Ends: slices.Clone(keys.Ends)}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, one)
}

// databaseView is a database's own view of what a statement reads.
type databaseView interface {
	// world is told of a new world's tables.
	world(w *world) error
	// read gives what the database had to read for the statements of an
	// operation, as far as it was not recorded, and all of it where the engine
	// can tell (whole).
	read(statements []sent, recorded map[column]bool) (columns map[column]bool, whole bool, err error)
}

// completeness runs random sessions over one side and holds each record to what
// the database saw.
type completeness struct {
	seed    uint64
	from    uint64
	rig     *rig
	side    *side
	watch   *watch
	view    databaseView
	records *lineage.Reader
	stops   *stops
	log     func(format string, args ...any)

	tally
	repeated int  // worlds, after a stop
	behind   bool // records of what a stop interrupted may still come
}

// tally counts operations and what was seen of them.
type tally struct {
	operations, refused, statements int
	looked                          int // operations of which all is known that was read
	reads, claims, really           int // columns: read; claimed by records; both
	unasked                         map[string]int
	// noticed counts, per use, the operations on which a record that left out
	// all uses of the kind would have been found incomplete.
	noticed map[lineage.UseKind]int
	queries map[string]int
}

func newTally() tally {
	return tally{unasked: map[string]int{}, noticed: map[lineage.UseKind]int{}, queries: map[string]int{}}
}

// clone is what an interrupted world is set back to.
func (t tally) clone() tally {
	t.unasked, t.noticed, t.queries = maps.Clone(t.unasked), maps.Clone(t.noticed), maps.Clone(t.queries)
	return t
}

func newCompleteness(t *testing.T, e engine, view databaseView) *completeness {
	t.Helper()
	w := &watch{}
	ring := newRing(t)
	_, loose := e.(*sqliteEngine)
	sd := newSide(t, ring, e)
	sd.watch = w
	c := &completeness{
		seed: seed(), from: number("WEIR_FROM", 0), rig: &rig{ring: ring, loose: loose}, side: sd, watch: w, view: view,
		records: lineage.NewReader(lineage.Folder{Dir: sd.ledger, Reading: ring.Box("reading")}, 0),
		stops:   watchStops(t, e), log: t.Logf, tally: newTally(),
	}
	t.Cleanup(c.records.Close)
	t.Logf("WEIR_SEED=%d WEIR_FROM=%d", c.seed, c.from)
	return c
}

// run makes worlds until enough operations were looked at.
func (c *completeness) run(t *testing.T, operations int) {
	t.Helper()
	for n := c.from; c.operations < operations; n++ {
		before := c.operations
		if err := c.world(n); err != nil {
			t.Fatalf("seed %d, world %d, after %d operations: %v", c.seed, n, c.operations, err)
		}
		if before/progress != c.operations/progress {
			t.Logf("%d operations, none incomplete; to go on from here: WEIR_SEED=%d WEIR_FROM=%d", c.operations, c.seed, n+1)
		}
	}
	precision := float64(c.really) / float64(max(1, c.claims))
	t.Logf("%d operations, %d refused, %d statements; of %d operations: %d columns read, all of them recorded; %d claimed, %d of them read: precision %.4f; %d worlds run again after a stop\nqueries %v\nwould have been noticed without the uses of a kind: %v\nclaimed and not read: %v",
		c.operations, c.refused, c.statements, c.looked, c.reads, c.claims, c.really, precision, c.repeated, c.queries, c.noticed, c.unasked)
	if c.looked == 0 || c.reads < c.looked {
		t.Errorf("%d columns read in %d operations: too few to mean anything", c.reads, c.looked)
	}
	if precision < leastPrecision {
		t.Errorf("precision %.4f, want at least %.2f", precision, leastPrecision)
	}
	for kind := lineage.Select; kind <= lineage.Tag; kind++ {
		if c.noticed[kind] == 0 && c.reads > 2_000 {
			t.Errorf("that the uses of kind %s are left out would not have been noticed", kind)
		}
	}
}

// world looks at the operations of one, and once more when a stop interrupted
// them.
func (c *completeness) world(n uint64) error {
	before := c.clone()
	for repeats := 0; ; repeats++ {
		begin := c.stops.now()
		err := c.attempt(n)
		stop, yes := c.stops.interrupted(begin, err)
		if !yes {
			return err
		}
		if repeats == mostRepeats {
			return fmt.Errorf("%d stops: %w", repeats, err)
		}
		c.log("seed %d, world %d: stopped for %.1f s; the world is run again: %v", c.seed, n, stop.Seconds(), err)
		c.repeated++
		c.behind, c.tally = true, before.clone()
		c.stops.over()
	}
}

func (c *completeness) attempt(n uint64) error {
	w := newWorld(c.seed, n)
	if err := c.side.engine.tables(w); err != nil {
		return err
	}
	if err := c.view.world(w); err != nil {
		return err
	}
	st := &stage{rig: c.rig, w: w}
	defer st.close()
	for _, p := range w.policies {
		gen, err := c.side.generation(w, p)
		if err != nil {
			return err
		}
		st.generations[0] = append(st.generations[0], gen)
	}
	for i := range uint64(sessionsPerWorld) {
		ss := c.rig.draw(w, i, 0)
		if err := c.session(st, ss, newSource(c.seed, n<<8|i)); err != nil {
			return fmt.Errorf("session %d: %w\n%s\n%s", i, err, w.sdl(), w.policies[0].text())
		}
	}
	return nil
}

func (c *completeness) session(st *stage, ss *session, s source) error {
	if err := c.side.engine.rows(ss.w, ss.first, s); err != nil {
		return err
	}
	for _, rd := range append(slices.Clone(ss.others), ss.reader) {
		c.side.readers.Store(rd.token, rd.subject())
	}
	names := newNaming()
	for n := range ss.steps {
		step := &ss.steps[n]
		c.side.random.reset(n)
		c.side.current.Store(st.generations[0][step.policy])
		f := step.fault
		if step.reload > 0 && f != nil {
			swapped := *f
			swapped.reload = st.generations[0][step.reload-1]
			f = &swapped
		}
		c.side.fault.Store(f)
		r, err := step.request(names)
		if err != nil {
			return err
		}
		a := names.take(n, true, c.side.serve(r))
		if err := c.hold(step, a); err != nil {
			return fmt.Errorf("request %d: %w\n%s\n%s", n, err, step.describe(), a.raw)
		}
	}
	return nil
}

var errIncomplete = errors.New("the record is not complete")

// hold compares the record of an answer with what the database saw.
func (c *completeness) hold(step *step, a answer) error {
	statements := c.watch.take()
	e, err := c.record(a)
	if err != nil {
		if lateCodes(a) != "" {
			return fmt.Errorf("%w: %w", errLate, err)
		}
		return err
	}
	c.operations++
	c.statements += len(statements)
	c.queries[step.expecting]++
	if e.Record.Status == "refused" {
		c.refused++
	}
	if e.Record.Code == string(plan.Internal) && step.fault == nil {
		return errors.New("a fault of Weir's own")
	}
	recorded, claimed := columnsOf(&e.Record)
	read, whole, err := c.view.read(statements, recorded)
	if lateSource(err) {
		return fmt.Errorf("%w: %w", errLate, err)
	}
	if err != nil {
		return err
	}
	for _, col := range sortedColumns(read) {
		if !recorded[col] {
			return fmt.Errorf("%w: %s was read", errIncomplete, col)
		}
	}
	c.reads += len(read)
	if !whole {
		return nil
	}
	c.looked++
	c.forget(&e.Record, read)
	for col := range claimed {
		c.claims++
		if read[col] {
			c.really++
		} else {
			c.unasked[claimed[col]]++
		}
	}
	return nil
}

// record reads the one record of an answer.
func (c *completeness) record(a answer) (lineage.Entry, error) {
	e, err := c.records.Next()
	for c.behind && err == nil && !of(e, a) {
		e, err = c.records.Next()
	}
	if err != nil {
		return e, fmt.Errorf("no record: %w", err)
	}
	if !of(e, a) {
		return e, fmt.Errorf("the next record is %s, which is not the answer's", e.Position)
	}
	c.behind = false
	if _, err := c.records.Next(); !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("more than one record: %w", err)
	}
	return e, nil
}

// of tells whether the record is the answer's.
func of(e lineage.Entry, a answer) bool {
	return strings.Contains(a.raw, strconv.Quote(e.Position.String()))
}

// columnsOf gives the columns that a record names, and those of them that it
// says were read, with the use that says so: there is a cell, or a statement. A
// field that was withheld, or whose rows were never asked for, is named alone.
func columnsOf(r *lineage.Record) (recorded map[column]bool, claimed map[column]string) {
	recorded, claimed = map[column]bool{}, map[column]string{}
	for i, u := range r.Uses {
		col := column{u.Department, u.Table, u.Column}
		recorded[col] = true
		recorded[column{u.Department, u.Table, ""}] = true
		if i < len(r.Counts) && u.Column != "" && r.Counts[i].Clear+r.Counts[i].Masked > 0 {
			claimed[col] = u.Use.String()
		}
	}
	return recorded, claimed
}

// forget leaves out the uses of one kind after the other, and counts when that
// would have been found.
func (c *completeness) forget(r *lineage.Record, read map[column]bool) {
	for kind := lineage.Select; kind <= lineage.Tag; kind++ {
		short := *r
		short.Uses = slices.DeleteFunc(slices.Clone(r.Uses), func(u lineage.Use) bool { return u.Use == kind })
		if len(short.Uses) == len(r.Uses) {
			continue
		}
		recorded, _ := columnsOf(&short)
		for col := range read {
			if !recorded[col] {
				c.noticed[kind]++
				break
			}
		}
	}
}

// TestCompleteSQLite holds every record to what SQLite's authorizer is asked
// while it prepares the statements of the operation. WEIR_SOAK=1 looks at 100,000
// operations, WEIR_TRIALS at any number; WEIR_SEED and WEIR_FROM (a world's
// number) begin where a run left off.
func TestCompleteSQLite(t *testing.T) {
	e, ok := newSQLite(t).(*sqliteEngine)
	if !ok {
		t.Fatal("another engine")
	}
	newCompleteness(t, e, newAuthorized(t, e)).run(t, operationsWanted())
}

func operationsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("WEIR_TRIALS")); err == nil && n > 0 {
		return n
	}
	if os.Getenv("WEIR_SOAK") == "1" {
		return soakOperations
	}
	return shortOperations
}
