package resolvers

import (
	"sync"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// ReadSet collects what one operation read, for its record. Counting is not
// safe for concurrent use on the data graph, whose writer is one goroutine; the
// control graph's resolvers run side by side and use [ReadSet.CountField].
type ReadSet struct {
	Kind      string // lineage.Record.Kind: "query", "introspection", "control", "refused"
	Document  string // sha256 of the document, hex
	Name      string // of the operation
	Uses      []lineage.Use
	Counts    []lineage.Counts // parallel to Uses
	Rows      uint64
	Tags      []lineage.SubjectTag // unique; keyed; the record takes them over
	TagGroups []lineage.TagGroup   // of Tags, by Sources; the record takes them over
	Level     schema.Rank          // highest level touched, as the gate needs it
	Sources   []lineage.SourceAge
	Extension []byte // JSON members of extensions.weir made by the executor: `"access":{…},"truncated":[…],"sources":[…]`, "" when none
	Code      string // of the refusal or first failure, from the closed set
	// Coordinates are those of the plan, for the gate's check at release.
	Coordinates []schema.Coordinate

	mu sync.Mutex
}

// Begin sets the shape that Count refers to.
func (r *ReadSet) Begin(uses []lineage.Use, level schema.Rank) {
	r.Uses, r.Level = uses, level
	r.Counts = make([]lineage.Counts, len(uses))
}

// Count adds n cells of one use. A use below zero is not counted.
func (r *ReadSet) Count(use int, o lineage.Outcome, n uint32) {
	if use < 0 {
		return
	}
	c := &r.Counts[use]
	switch o {
	case lineage.Clear:
		c.Clear += n
	case lineage.Masked:
		c.Masked += n
	case lineage.Withheld:
		c.Withheld += n
	case lineage.Absent:
	}
}

// CountField counts one resolved field of the control graph.
func (r *ReadSet) CountField(c schema.Coordinate, level schema.Rank, o lineage.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Level = max(r.Level, level)
	for i := range r.Uses {
		if r.Uses[i].Coordinate == c {
			r.Count(i, o, 1)
			return
		}
	}
	r.Uses = append(r.Uses, lineage.Use{Coordinate: c, Level: level, Use: lineage.Select})
	r.Counts = append(r.Counts, lineage.Counts{})
	r.Count(len(r.Uses)-1, o, 1)
}
