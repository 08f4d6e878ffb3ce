package exec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// errPlan is a plan that contradicts itself; it is never executed.
var errPlan = errors.New("plan cannot be executed")

// program is a plan made ready for writing: flat steps with their constant
// bytes put together, slots instead of maps. It is immutable and shared like
// the plan it comes from.
type program struct {
	plan     *plan.Plan
	root     *object
	fetches  []fetchNode
	roots    []int // fetches without a parent
	rows     []*rows
	merges   []mergeSet
	objects  [][]*plan.Decision // per memo slot: the decisions that vary
	masks    []string           // per mask slot: the rule
	steps    int                // of all objects
	bound    sync.Map           // purpose -> []resolvers.Mask
	document string             // hex of the document's hash
	kind     string             // lineage.Record.Kind
	// describes that the answer tells of the schema.
	describes bool
}

// fetchNode is a fetch with its place in the tree.
type fetchNode struct {
	*plan.Fetch
	children []int
	lists    []*rows // that write its rows
	merge    int     // index of its set in program.merges; -1 when it waits for none
	// department is the index of its own in Plan.Departments.
	department int
	rowUse     int   // index in Plan.Uses of the row's own coordinate; -1 for none
	lane       *lane // where fetches of one key meet
}

// object writes one JSON object.
type object struct {
	steps []step
	memo  int // slot of its outcomes; -1 when no leaf varies
}

// step writes one response key.
type step struct {
	kind    plan.FieldKind
	nonNull bool
	// prefix is what stands before the value, from the opening brace or the
	// comma on; for constants with the value itself.
	prefix  []byte
	leaf    resolvers.Leaf
	outcome lineage.Outcome // of a leaf that does not vary
	varying int             // index in the object's outcomes; -1 when it does not vary
	rows    *rows
	inner   *object
	field   *plan.Field
}

// rows writes a list of rows or one row.
type rows struct {
	*plan.Rows
	slot    int // of its windows
	members []member
	skip    bool // the offset is applied here, over the merged rows
	object  *object
}

// member is one concrete type's part.
type member struct {
	fetch        int
	object       *object
	mergeColumns []int
}

var null = []byte("null")

// compile makes a plan's program. A plan that is not whole is refused: an
// executor that guessed would serve what nobody decided.
func compile(p *plan.Plan, document [32]byte) (*program, error) {
	c := &compiler{program: &program{plan: p, document: hex.EncodeToString(document[:]), kind: "query"}, maskSlots: map[string]int{}}
	for i, f := range p.Fetches {
		if f.ID != i || f.Shape == nil || f.Statement == nil || len(f.Args) != len(f.Shape.Params) {
			return nil, fmt.Errorf("%w: fetch %d is not whole", errPlan, i)
		}
		department := slices.Index(p.Departments, f.Department)
		if department < 0 {
			return nil, fmt.Errorf("%w: fetch %d is of no department", errPlan, i)
		}
		c.fetches = append(c.fetches, fetchNode{Fetch: f, department: department, rowUse: rowUse(p, f.Type), lane: &lane{}})
		switch {
		case f.Parent == nil:
			c.roots = append(c.roots, i)
		case f.Parent.ID >= i || len(f.ParentColumns) != len(f.Shape.Keys):
			return nil, fmt.Errorf("%w: fetch %d does not follow its parent", errPlan, i)
		default:
			c.fetches[f.Parent.ID].children = append(c.fetches[f.Parent.ID].children, i)
		}
		if (f.Parent != nil || f.Stated != nil || f.Refs != nil) != (len(f.Shape.Keys) > 0) {
			return nil, fmt.Errorf("%w: fetch %d has keys without a source of them, or the reverse", errPlan, i)
		}
	}
	for i := range c.fetches {
		if err := c.aggregation(&c.fetches[i]); err != nil {
			return nil, err
		}
	}
	if p.Root == nil {
		return nil, fmt.Errorf("%w: no root", errPlan)
	}
	var err error
	if c.root, err = c.object(p.Root, -1, nil); err != nil {
		return nil, err
	}
	c.mergeSets()
	alone := true
	if c.describes, alone = introspective(p.Root); c.describes && alone {
		c.kind = "introspection"
	}
	return c.program, nil
}

// rowUse finds under which use the rows of a type are counted: that they exist
// is a datum of their own level.
func rowUse(p *plan.Plan, typeName string) int {
	return slices.IndexFunc(p.Uses, func(u lineage.Use) bool {
		return u.Use == lineage.Select && u.Coordinate == schema.Coordinate{Type: typeName}
	})
}

// introspective reports whether an operation reads the schema, and nothing else.
func introspective(root *plan.Object) (found, alone bool) {
	alone = true
	for _, f := range root.Fields {
		switch f.Kind {
		case plan.FieldIntrospection:
			found = true
		case plan.FieldTypename:
		default:
			alone = false
		}
	}
	return found, alone
}

type compiler struct {
	*program
	maskSlots map[string]int
}

// object compiles an object over the rows of a fetch (-1 for none); wrap is the
// connection whose wrapper, edge or page info it is.
func (c *compiler) object(o *plan.Object, fetch int, wrap *rows) (*object, error) {
	out := &object{memo: -1, steps: make([]step, 0, len(o.Fields))}
	var varying []*plan.Decision
	for i, f := range o.Fields {
		s := step{kind: f.Kind, nonNull: f.NonNull, field: f, varying: -1}
		s.prefix = append(s.prefix, ","...)
		if i == 0 {
			s.prefix[0] = '{'
		}
		s.prefix = append(s.prefix, f.Quoted...)
		var err error
		switch f.Kind {
		case plan.FieldLeaf:
			if err = c.column(fetch, f.Column); err != nil {
				return nil, err
			}
			s.leaf = resolvers.Leaf{Form: f.Form, Scalar: f.Scalar, Column: f.Column, Use: f.Use, Mask: c.mask(f.Decision.Mask)}
			if f.Decision.Varies() {
				s.varying = len(varying)
				varying = append(varying, &f.Decision)
			} else {
				s.outcome = f.Decision.Outcome(0, 0)
			}
		case plan.FieldTypename:
			s.prefix = append(s.prefix, f.Const...)
		case plan.FieldWithheld:
			s.prefix = append(s.prefix, null...)
		case plan.FieldRef:
			for _, column := range f.RefColumns {
				err = errors.Join(err, c.column(fetch, column))
			}
		case plan.FieldRows:
			if f.Rows == nil {
				return nil, fmt.Errorf("%w: %s has no rows", errPlan, f.Path)
			}
			s.rows, err = c.list(f, fetch)
		case plan.FieldMatch:
			err = c.match(f)
		case plan.FieldAggregate, plan.FieldPart, plan.FieldCell:
			s.leaf = resolvers.Leaf{Form: f.Form, Scalar: f.Scalar, Use: f.Use, Mask: -1}
			err = c.groupObject(&s, fetch)
		case plan.FieldIntrospection:
			if f.AST == nil {
				err = fmt.Errorf("%w: %s has no selection", errPlan, f.Path)
			}
		default:
			err = c.wrapped(&s, wrap)
		}
		if err != nil {
			return nil, err
		}
		out.steps = append(out.steps, s)
	}
	c.steps += len(out.steps)
	if len(varying) > 0 {
		out.memo = len(c.objects)
		c.objects = append(c.objects, varying)
	}
	return out, nil
}

// wrapped compiles the fields of a connection, its edges and its page info.
func (c *compiler) wrapped(s *step, wrap *rows) error {
	if wrap == nil {
		return fmt.Errorf("%w: %s stands outside a connection", errPlan, s.field.Path)
	}
	var err error
	switch s.kind {
	case plan.FieldNodes, plan.FieldNode:
		if len(wrap.members) != 1 || s.field.Selection == nil {
			return fmt.Errorf("%w: %s has no rows", errPlan, s.field.Path)
		}
		s.inner, err = c.object(s.field.Selection, wrap.members[0].fetch, nil)
	case plan.FieldEdges, plan.FieldPageInfo:
		if s.field.Selection == nil || (s.kind == plan.FieldEdges && len(wrap.members) != 1) {
			return fmt.Errorf("%w: %s has no selection", errPlan, s.field.Path)
		}
		s.inner, err = c.object(s.field.Selection, -1, wrap)
	case plan.FieldTotalCount:
		if wrap.Connection.Count == nil {
			return fmt.Errorf("%w: %s has no count", errPlan, s.field.Path)
		}
	case plan.FieldHasNext:
		if len(wrap.members) != 1 {
			return fmt.Errorf("%w: %s has no rows", errPlan, s.field.Path)
		}
	case plan.FieldCursor, plan.FieldStartCursor, plan.FieldEndCursor:
		if len(wrap.members) != 1 || len(wrap.Connection.CursorColumns) == 0 {
			return fmt.Errorf("%w: %s has no position", errPlan, s.field.Path)
		}
	default:
	}
	return err
}

// list compiles the rows that a field leads to from a row of fetch.
func (c *compiler) list(f *plan.Field, fetch int) (*rows, error) {
	r := &rows{Rows: f.Rows, slot: len(c.rows)}
	c.rows = append(c.rows, r)
	for i := range f.Rows.Members {
		m := &f.Rows.Members[i]
		if m.Fetch == nil || m.Fetch.ID >= len(c.fetches) {
			return nil, fmt.Errorf("%w: %s has no fetch", errPlan, f.Path)
		}
		node := &c.fetches[m.Fetch.ID]
		node.lists = append(node.lists, r)
		parent := -1
		if node.Parent != nil {
			parent = node.Parent.ID
		}
		if parent != fetch || node.Shape.Count || node.Aggregate != nil {
			return nil, fmt.Errorf("%w: %s reads rows of another parent", errPlan, f.Path)
		}
		if parent < 0 && len(node.Shape.Keys) > 0 && f.Rows.Ordinal >= max(len(node.Stated), len(node.Refs)) {
			return nil, fmt.Errorf("%w: %s names no stated key", errPlan, f.Path)
		}
		r.skip = r.skip || (f.Rows.Offset != nil && node.Shape.Offset == nil)
		out := member{fetch: m.Fetch.ID, mergeColumns: m.MergeColumns}
		if len(f.Rows.Members) > 1 {
			if len(m.MergeColumns) != len(f.Rows.Merge) {
				return nil, fmt.Errorf("%w: %s cannot be merged", errPlan, f.Path)
			}
			for _, column := range m.MergeColumns {
				if err := c.column(m.Fetch.ID, column); err != nil {
					return nil, err
				}
			}
		}
		// A connection's rows are written with the selections of its fields.
		if f.Rows.Connection == nil {
			if m.Object == nil {
				return nil, fmt.Errorf("%w: %s writes no object", errPlan, f.Path)
			}
			var err error
			if out.object, err = c.object(m.Object, m.Fetch.ID, nil); err != nil {
				return nil, err
			}
		}
		r.members = append(r.members, out)
	}
	if f.Rows.Connection == nil {
		return r, nil
	}
	return r, c.connection(f, r)
}

func (c *compiler) connection(f *plan.Field, r *rows) error {
	conn := f.Rows.Connection
	if conn.Object == nil || len(r.members) > 1 || (len(conn.CursorColumns) > 0 && len(conn.CursorColumns) != len(conn.CursorKinds)) {
		return fmt.Errorf("%w: %s is not a whole connection", errPlan, f.Path)
	}
	if len(r.members) == 1 {
		for _, column := range conn.CursorColumns {
			if err := c.column(r.members[0].fetch, column); err != nil {
				return err
			}
		}
	}
	if conn.Count != nil && (conn.Count.ID >= len(c.fetches) || !conn.Count.Shape.Count || conn.Count.Parent != nil) {
		return fmt.Errorf("%w: %s does not count", errPlan, f.Path)
	}
	var err error
	r.object, err = c.object(conn.Object, -1, r)
	return err
}

// column refuses a cell that the fetch does not read.
func (c *compiler) column(fetch, column int) error {
	if fetch < 0 || column < 0 || column >= len(c.fetches[fetch].Shape.Columns) {
		return fmt.Errorf("%w: cell %d of fetch %d is not read", errPlan, column, fetch)
	}
	return nil
}

// mask gives the slot of a rule; -1 for none.
func (c *compiler) mask(spec string) int {
	if spec == "" {
		return -1
	}
	slot, ok := c.maskSlots[spec]
	if !ok {
		slot = len(c.masks)
		c.maskSlots[spec] = slot
		c.masks = append(c.masks, spec)
	}
	return slot
}

var _ plan.Sources = (*sources)(nil)

// sources shows the planner the departments' engines, without their data.
type sources struct{ adapters map[string]adapters.Adapter }

// Capabilities implements plan.Sources.
func (s *sources) Capabilities(department string) (adapters.Capabilities, bool) {
	a, ok := s.adapters[department]
	if !ok {
		return adapters.Capabilities{}, false
	}
	return a.Capabilities(), true
}

// Compile implements plan.Sources.
func (s *sources) Compile(department string, shape *adapters.Shape) (adapters.Statement, error) {
	a, ok := s.adapters[department]
	if !ok {
		return nil, &adapters.Error{Kind: adapters.Unsupported}
	}
	return a.Compile(shape)
}
