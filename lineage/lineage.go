// Package lineage records every read and lets no byte leave before its record
// is where the level of the data demands it to be.
//
// It promises: records are gapless and ordered per node; an answer without a
// record on disk does not exist; what cannot be recorded is refused. It does
// not decide what may be read, and no value of any row, variable or SQL text
// ever reaches it.
package lineage

import (
	"time"

	"github.com/weir-data/weir/schema"
)

// UseKind is what a column or field was used for.
type UseKind uint8

// Uses.
const (
	Select UseKind = iota
	Filter
	Sort
	Group
	Aggregate
	Match
	Join
	Scope
	Ref
	Tag
)

var useNames = [...]string{"select", "filter", "sort", "group", "aggregate", "match", "join", "scope", "ref", "tag"}

// String is the use in lower case.
func (u UseKind) String() string { return useNames[u] }

// ByStatement reports whether the counts of a use are of the statements that
// used the column, as Clear, and not of cells: nothing of a filter, an order or a
// tag is in the answer by itself. Without a statement the column was not read.
func (u UseKind) ByStatement() bool {
	switch u {
	case Filter, Sort, Match, Join, Scope, Tag:
		return true
	default:
		return false
	}
}

// Use is one entry of a shape: which field of which column was used for what.
type Use struct {
	Department, Table, Column string // empty for control-graph fields
	Coordinate                schema.Coordinate
	Level                     schema.Rank
	Use                       UseKind
}

// Outcome of a use for one cell.
type Outcome uint8

// Outcomes. SQL NULL counts as clear or masked.
const (
	Absent   Outcome = iota // no cell produced
	Withheld                // null by policy
	Masked
	Clear
)

var outcomeNames = [...]string{"absent", "withheld", "masked", "clear"}

// String is the outcome in lower case.
func (o Outcome) String() string { return outcomeNames[o] }

// Counts are the cells of one use by outcome.
type Counts struct {
	Withheld, Masked, Clear uint32
}

// Record is one operation's entry, as handed to the gate. The gate adds order
// and time. It holds no value of any row; identifiers arrive keyed (see
// internal/keyring) except the names of schema and policy.
type Record struct {
	RequestID   string
	Kind        string // "query", "control", "introspection", "refused", "schema-load", "policy-load", "retention", "archive"
	Operation   string // operation name, "" for none
	Subject     string // keyed pseudonym of the subject id
	Application string
	Department  string
	Roles       []string
	Attributes  [8]byte // digest of the attributes that scopes used
	Purpose     string
	Case        string   // keyed commitment of the stated case number, "" for none
	Schema      string   // catalogue revision
	Policy      string   // policy revision
	Document    string   // sha256 of the document
	Uses        []Use    // the shape; shared, not changed afterwards
	Counts      []Counts // per use; nil when nothing was read
	Rows        uint64
	Tags        []SubjectTag // at most MaxTags; of more, TagDigest
	TagGroups   []TagGroup   // of Tags, one after the other; nil for one source, or when it is not known
	TagCount    uint64
	TagDigest   [16]byte
	Sources     []SourceAge // times are kept to the microsecond
	Status      string      // "ok", "partial", "refused", "failed"
	Code        string      // error code of a refusal or failure
	Salt        [16]byte    // drawn per record by the caller, for Answer
	Answer      [16]byte    // AnswerDigest of the salt, data and errors
	Level       schema.Rank // highest level touched
	// Sealed is for how long the record is shown to nobody but auditors, in
	// whole seconds from its time on; 0 for not at all.
	Sealed time.Duration
}

// SourceAge is how old a department's data was.
type SourceAge struct {
	Department string
	AsOf       time.Time // zero: unknown
	Stale      bool
	Failed     bool
}

// Position identifies a record: log origin, boot epoch, sequence. Its text form
// is the receipt: "node-a/7/184467".
type Position struct {
	Origin   string
	Epoch    uint32
	Sequence uint64
}

// Durability is what the gate waits for before bytes may leave.
type Durability uint8

// Durabilities, weakest first.
const (
	Written    Durability = iota // survives a kill of the process
	Synced                       // survives a power cut
	Replicated                   // survives this machine: synced on a second one; see package replica
)
