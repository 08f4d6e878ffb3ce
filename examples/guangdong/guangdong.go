// Package guangdong is the running example: four departments of one province
// with synthetic people, the schemas under which Weir serves them, and the
// policies that say who may see what.
//
// It promises that the data is the same for the same size on every machine, and
// that no identity number in it can belong to a person: their area codes, 99xxxx,
// are assigned to no place. It is an example and a fixture, not a part of the
// gateway.
package guangdong

import (
	"embed"
	"io/fs"
)

//go:embed weir.yaml schema/*.graphqls policy/*.csv policy/tests/*.txt
var files embed.FS

// Files are the example's weir.yaml and its schema/ and policy/ folders.
func Files() fs.FS { return files }

// Departments are the example's departments, sorted.
func Departments() []string {
	return []string{"health", "market_regulation", "public_security", "social_security"}
}

// Options size the data.
type Options struct {
	People int // 0 means DefaultPeople
	// PermitsEach gives every person exactly so many residence permits; 0 gives
	// one to about a third of the people.
	PermitsEach int
	// Only names the departments to write; nil for all.
	Only []string
}

// DefaultPeople is the size of the demo.
const DefaultPeople = 20_000

func (o Options) withDefaults() Options {
	if o.People <= 0 {
		o.People = DefaultPeople
	}
	return o
}

func (o Options) departments() []string {
	if o.Only == nil {
		return Departments()
	}
	return o.Only
}

// Sample are people of the data whom examples and tests can name: the smallest
// data holds them.
type Sample struct {
	// Mother lives in Region and has a child with a birth certificate.
	Mother, Child string
	Region        string
	// Elsewhere is the identity number of somebody who lives in another region.
	Elsewhere string
	// Citizen is who the demo's citizen token stands for.
	Citizen string
}

// TheSample gives the sample.
func TheSample() Sample {
	mother := personAt(0)
	s := Sample{Mother: mother.id, Child: personAt(2).id, Region: mother.district, Citizen: mother.id}
	for i := 3; ; i += 3 {
		if p := personAt(i); p.district != s.Region {
			s.Elsewhere = p.id
			return s
		}
	}
}
