package index

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-data/weir/lineage"
)

// TestSharesOf: of a record of several departments it is known who came from
// which, as far as the record tells.
func TestSharesOf(t *testing.T) {
	a, b, c, nobody := tagOf(1), tagOf(2), tagOf(3), tagOf(4)
	sources := func(names ...string) (out []lineage.SourceAge) {
		for _, n := range names {
			out = append(out, lineage.SourceAge{Department: n})
		}
		return out
	}
	both := []lineage.Use{{Department: "security"}, {Department: "health"}, {Department: "security"}}
	many := make([]lineage.Use, maxDepartments+1)
	for i := range many {
		many[i].Department = strconv.Itoa(i)
	}
	for name, test := range map[string]struct {
		uses    []lineage.Use
		sources []lineage.SourceAge
		from    [][]lineage.SubjectTag
		asked   lineage.SubjectTag
		want    []Share
	}{
		"of both, in another order": {both, sources("security", "health"), [][]lineage.SubjectTag{{a, b}, {b, c}}, a, []Share{{"health", 2, false}, {"security", 2, true}}},
		"who came from both":        {both, sources("security", "health"), [][]lineage.SubjectTag{{a, b}, {b, c}}, b, []Share{{"health", 2, true}, {"security", 2, true}}},
		"somebody else":             {both, sources("security", "health"), [][]lineage.SubjectTag{{a, b}, {b, c}}, nobody, []Share{{"health", 2, false}, {"security", 2, false}}},
		"nobody of the other":       {both, sources("security", "health"), [][]lineage.SubjectTag{{a}, nil}, a, []Share{{"security", 1, true}}},
		"the other was not asked":   {both, sources("health"), [][]lineage.SubjectTag{{a}}, a, []Share{{"health", 1, true}}},
		"a source of no use":        {both, sources("security", "market"), [][]lineage.SubjectTag{{a}, {b}}, a, nil},
		"nobody":                    {both, sources("security", "health"), [][]lineage.SubjectTag{nil, nil}, a, nil},
		"one department":            {both[:1], sources("security"), [][]lineage.SubjectTag{{a}}, a, nil},
		"too many departments":      {many, sources("0", "1"), [][]lineage.SubjectTag{{a}, {b}}, a, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := lineage.Record{Uses: test.uses, Sources: test.sources}
			r.SetGroupedTags(lineage.GroupTags(test.from))
			if diff := cmp.Diff(test.want, SharesOf(&r, test.asked)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	untold := lineage.Record{Uses: both, Sources: sources("security", "health")}
	untold.SetTags([]lineage.SubjectTag{a, b})
	if got := SharesOf(&untold, a); got != nil {
		t.Errorf("a record that does not tell: %+v", got)
	}
}

// TestCohorts: what a row says comes back, and what was not written is refused.
func TestCohorts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		departments := rapid.IntRange(2, maxDepartments).Draw(t, "departments")
		list := rapid.SliceOf(rapid.Custom(func(t *rapid.T) cohort {
			return cohort{
				departmentSet(rapid.Uint64Range(1, math.MaxUint64>>(64-departments)).Draw(t, "from")),
				rapid.IntRange(1, lineage.MaxTags).Draw(t, "people"),
			}
		})).Draw(t, "cohorts")
		b := appendCohorts(nil, list)
		got, err := parseCohorts(b, departments)
		if err != nil || !slices.Equal(got, list) {
			t.Fatalf("%v comes back as %v, %v", list, got, err)
		}
		if len(b) == 0 {
			return
		}
		if _, err := parseCohorts(b[:len(b)-1], departments); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut short: %v", err)
		}
	})
	for name, b := range map[string][]byte{
		"of no department":             {0, 1},
		"of one that there is not":     {4, 1},
		"of nobody":                    {1, 0},
		"more than a record can have":  appendCohorts(nil, []cohort{{1, lineage.MaxTags + 1}}),
		"a number without an end":      {1, 0x80},
		"departments without an end":   {0x80},
		"departments without a number": {1},
	} {
		if got, err := parseCohorts(b, 2); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
