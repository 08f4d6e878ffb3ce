package schema

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
)

// What is printed from the parsed API is what the generator printed.
func TestPruneNothing(t *testing.T) {
	c := loadSmall(t)
	p, err := c.Prune(func(Coordinate) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.SDL, p.SDL); diff != "" {
		t.Errorf("SDL (-whole +pruned of nothing):\n%s", diff)
	}
}

// TestPrune hides at random: what is left is a valid API, a part of the whole, and
// has nothing that stands for what is hidden; hiding more leaves no more.
func TestPrune(t *testing.T) {
	c := loadSmall(t)
	all := c.Coordinates()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's choice
		hidden := map[Coordinate]bool{}
		for range random.IntN(1 + len(all)/2) {
			hidden[all[random.IntN(len(all))]] = true
		}
		left, err := c.Prune(func(at Coordinate) bool { return hidden[at] })
		if errors.Is(err, ErrNothingLeft) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		isPartOf(t, left.API, c.API)
		allNamed(t, c, left.API)
		for at := range hidden {
			lacks(t, c, left.API, at)
		}
		hidden[all[random.IntN(len(all))]] = true
		less, err := c.Prune(func(at Coordinate) bool { return hidden[at] })
		if err == nil {
			isPartOf(t, less.API, left.API)
		} else if !errors.Is(err, ErrNothingLeft) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestPruneColumns hides the columns of one type after the other: its relations
// stay, and are no reason to filter by.
func TestPruneColumns(t *testing.T) {
	c := loadSmall(t)
	related := 0
	for name, typ := range c.Types {
		left, err := c.Prune(func(at Coordinate) bool {
			return at.Type == name && !at.Row() && typ.Field(at.Field).Relation == nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		allNamed(t, c, left.API)
		if left.API.Types[name] != nil {
			related++
		}
	}
	if related == 0 {
		t.Error("no type has relations to be left with")
	}
}

// allNamed: no type is left that nothing names, unless a department declares it,
// and no filter that has only relations to follow. Either would tell of what was
// there.
func allNamed(t *testing.T, c *Catalogue, api *ast.Schema) {
	t.Helper()
	named := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		d := api.Types[name]
		if d == nil || named[name] {
			return
		}
		named[name] = true
		for _, f := range d.Fields {
			visit(f.Type.Name())
			for _, a := range f.Arguments {
				visit(a.Type.Name())
			}
		}
	}
	visit(api.Query.Name)
	for name := range c.Types {
		visit(name)
	}
	for name := range c.Abstracts {
		visit(name)
	}
	for name, d := range api.Types {
		if !d.BuiltIn && !named[name] {
			t.Fatalf("nothing names %s", name)
		}
		from := derivedTypes(c)[name]
		of := c.Types[from.base]
		if from.suffix != "Where" || of == nil {
			continue
		}
		if !slices.ContainsFunc(d.Fields, func(f *ast.FieldDefinition) bool {
			was := of.Field(f.Name)
			return was != nil && was.Relation == nil
		}) {
			t.Fatalf("%s filters by no column", name)
		}
	}
}

func isPartOf(t *testing.T, part, whole *ast.Schema) {
	t.Helper()
	for name, d := range part.Types {
		from := whole.Types[name]
		if from == nil {
			t.Fatalf("%s is new", name)
		}
		for _, f := range d.Fields {
			was := from.Fields.ForName(f.Name)
			if was == nil || was.Type.String() != f.Type.String() {
				t.Fatalf("%s.%s is new", name, f.Name)
			}
			for _, a := range f.Arguments {
				if was.Arguments.ForName(a.Name) == nil {
					t.Fatalf("%s.%s(%s) is new", name, f.Name, a.Name)
				}
			}
			for _, a := range was.Arguments {
				if a.Type.NonNull && f.Arguments.ForName(a.Name) == nil {
					t.Fatalf("%s.%s lost its argument %s", name, f.Name, a.Name)
				}
			}
		}
	}
}

// lacks looks in every type that is generated from the coordinate's, and from the
// interfaces of it.
func lacks(t *testing.T, c *Catalogue, api *ast.Schema, at Coordinate) {
	t.Helper()
	if at.Row() {
		for name := range api.Types {
			if name == at.Type || derivedTypes(c)[name].base == at.Type {
				t.Fatalf("%s is hidden, and %s is there", at, name)
			}
		}
		for name, r := range c.Roots {
			if r.Type == at.Type && api.Query.Fields.ForName(name) != nil {
				t.Fatalf("%s is hidden, and the root %s is there", at, name)
			}
		}
		return
	}
	bases := []string{at.Type}
	if api.Types[at.Type] != nil {
		bases = append(bases, c.Types[at.Type].Interfaces...)
	}
	for _, base := range bases {
		for _, name := range append([]string{base}, base+"Where", base+"Order", base+"Expect", base+"Group", base+"Sum", base+"Avg", base+"Min", base+"Max") {
			if d := api.Types[name]; d != nil && d.Fields.ForName(at.Field) != nil {
				t.Fatalf("%s is hidden, and %s.%s is there", at, name, at.Field)
			}
		}
		for name, r := range c.Roots {
			if r.Type != base {
				continue
			}
			if root := api.Query.Fields.ForName(name); root != nil && (slices.Contains(r.Keys, at.Field) || slices.Contains(r.By, at.Field)) {
				t.Fatalf("%s is hidden, and the root %s(%s) is there", at, name, at.Field)
			}
		}
	}
}

// TestRootArgumentsStandForFields: whatever a root must be told is a field's value,
// a handle, or an input that goes when it has no field left; else hiding a field
// would leave its argument.
func TestRootArgumentsStandForFields(t *testing.T) {
	c := loadSmall(t)
	for name, r := range c.Roots {
		for _, a := range c.API.Query.Fields.ForName(name).Arguments {
			def := c.API.Types[a.Type.Name()]
			switch {
			case !a.Type.NonNull, slices.Contains(r.Keys, a.Name), slices.Contains(r.By, a.Name), a.Name == "ref" && r.Kind == RootRef:
			case def != nil && def.Kind == ast.InputObject && derivedTypes(c)[def.Name].base == r.Type:
			default:
				t.Errorf("%s(%s:) stands for nothing", name, a.Name)
			}
		}
	}
}
