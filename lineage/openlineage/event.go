package openlineage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strconv"
	"time"
)

// producer names what made the events; the schema's versions are those that the
// events are checked against.
const (
	producer = "https://github.com/weir-data/weir"

	eventSchema         = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
	lineageSchema       = "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
	schemaSchema        = "https://openlineage.io/spec/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"
	ownershipSchema     = "https://openlineage.io/spec/facets/1-0-1/OwnershipDatasetFacet.json#/$defs/OwnershipDatasetFacet"
	tagsSchema          = "https://openlineage.io/spec/facets/1-0-0/TagsDatasetFacet.json#/$defs/TagsDatasetFacet"
	documentationSchema = "https://openlineage.io/spec/facets/1-1-0/DocumentationDatasetFacet.json#/$defs/DocumentationDatasetFacet"

	tagSource = "WEIR"
)

// Events as the published schema has them, as far as they are used.
type event struct {
	EventTime string    `json:"eventTime"`
	EventType string    `json:"eventType"`
	Run       runOf     `json:"run"`
	Job       jobOf     `json:"job"`
	Inputs    []dataset `json:"inputs,omitempty"`
	Outputs   []dataset `json:"outputs,omitempty"`
	Producer  string    `json:"producer"`
	SchemaURL string    `json:"schemaURL"`
}

type runOf struct {
	RunID string `json:"runId"`
}

type jobOf struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type dataset struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Facets    facets `json:"facets"`
}

type facets struct {
	Documentation *documentation `json:"documentation,omitempty"`
	Ownership     *ownership     `json:"ownership,omitempty"`
	Schema        *columns       `json:"schema,omitempty"`
	Tags          *tags          `json:"tags,omitempty"`
	ColumnLineage *columnLineage `json:"columnLineage,omitempty"`
}

type facet struct {
	Producer  string `json:"_producer"`
	SchemaURL string `json:"_schemaURL"`
}

type documentation struct {
	facet
	Description string `json:"description"`
}

type ownership struct {
	facet
	Owners []owner `json:"owners"`
}

type owner struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type columns struct {
	facet
	Fields []column `json:"fields"`
}

type column struct {
	Name string `json:"name"`
}

type tags struct {
	facet
	Tags []tag `json:"tags"`
}

type tag struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
	Field  string `json:"field,omitempty"`
}

type columnLineage struct {
	facet
	Fields  map[string]inputs `json:"fields"`
	Dataset []input           `json:"dataset,omitempty"`
}

type inputs struct {
	InputFields []input `json:"inputFields"`
}

type input struct {
	Namespace       string           `json:"namespace"`
	Name            string           `json:"name"`
	Field           string           `json:"field"`
	Transformations []transformation `json:"transformations"`
}

// transformation is how a column reached an answer. Cells is our own, which the
// schema allows here: how many values did.
type transformation struct {
	Type        string `json:"type"`
	Subtype     string `json:"subtype"`
	Description string `json:"description"`
	Masking     bool   `json:"masking"`
	Cells       uint64 `json:"cells,omitempty"`
}

func facetOf(schemaURL string) facet { return facet{producer, schemaURL} }

// runID is an UUID of version 8 made from names (RFC 9562, B.2): the same job and
// window have the same, in every export.
func runID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	b := h.Sum(nil)[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// writer writes events, a line each.
type writer struct{ w io.Writer }

func (w *writer) write(e *event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = w.w.Write(append(b, '\n'))
	return err
}
