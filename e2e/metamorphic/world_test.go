// Package metamorphic rewrites queries in every way that leaves their meaning,
// and holds the set of cells that they show in clear to be the same. It holds
// tests only.
package metamorphic

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-data/weir/examples/attackers/target"
	"github.com/weir-data/weir/graph/exec"
)

const schemaText = `
interface Paper @api(list: "papers", by: ["holder"]) {
  number: String
  holder: String
  issuer: String
  grade: Int
}

type Person
  @source(department: "registry", table: "person", key: ["id_number"], tiebreak: "row_no")
  @classified(level: "L1")
  @sharing(mode: UNCONDITIONAL, basis: "the test's own")
  @scope(name: "north", where: "{district: {_eq: \"north\"}}")
  @scope(name: "graded", where: "{grade: {_gt: 3}}")
{
  idNumber: String @subject
  name: String @classified(level: "L2") @mask(with: "NAME")
  phone: String @classified(level: "L3") @mask(with: "KEEP(2,2)")
  district: String
  grade: Int @classified(level: "L2")
  note: String @classified(level: "L3")
  permits: [Permit!] @relation(fields: ["idNumber"], references: ["holder"])
  certificates: [Certificate!] @relation(fields: ["idNumber"], references: ["holder"]) @classified(level: "L2")
}

type Permit implements Paper
  @source(department: "registry", table: "permit", key: ["number"], tiebreak: "row_no")
  @classified(level: "L1")
  @sharing(mode: UNCONDITIONAL, basis: "the test's own")
  @scope(name: "graded", where: "{grade: {_gt: 3}}")
{
  number: String @mask(with: "KEEP(2,2)")
  holder: String @classified(level: "L2") @mask(with: "KEEP(2,2)") @subject
  issuer: String
  grade: Int @classified(level: "L2")
  size: Int @classified(level: "L3")
  person: Person @relation(fields: ["holder"], references: ["idNumber"])
}

type Certificate implements Paper
  @source(department: "clinic", table: "certificate", key: ["number"], tiebreak: "row_no")
  @classified(level: "L2")
  @sharing(mode: CONDITIONAL, basis: "the test's own")
  @scope(name: "graded", where: "{grade: {_gt: 3}}")
{
  number: String @mask(with: "KEEP(2,2)")
  holder: String @classified(level: "L2") @mask(with: "KEEP(2,2)") @subject
  issuer: String @mask(with: "NAME")
  grade: Int
  person: Person @relation(fields: ["holder"], references: ["idNumber"]) @classified(level: "L3")
}
`

// world is the rows: every cell has a text or number of its own, so that a
// value in an answer names its cell.
type world struct {
	setup        target.Setup
	cells        map[string]string // the cell, by how its value stands in JSON
	ids, permits []string
	words        map[string][]string // values by field name
}

func newWorld(r *rand.Rand) *world {
	w := &world{cells: map[string]string{}, words: map[string][]string{}}
	w.setup.Match = exec.MatchLimits{Reader: 1 << 30, Key: 1 << 30} // what is stated is no subject here
	w.setup.Schema, w.setup.Policy = schemaText, policy(r)
	run := func(text string, args ...any) {
		w.setup.Statements = append(w.setup.Statements, target.Statement{Text: text, Args: args})
	}
	number := 0
	text := func(cell string) any {
		if r.IntN(8) == 0 {
			return nil
		}
		number++
		v := fmt.Sprintf("%c%d value", 'a'+r.IntN(5), number)
		w.cells[`"`+v+`"`] = cell
		w.words[cell[strings.IndexByte(cell, '.')+1:]] = append(w.words[cell[strings.IndexByte(cell, '.')+1:]], v)
		return v
	}
	run(`CREATE TABLE person (row_no INTEGER PRIMARY KEY, id_number TEXT NOT NULL UNIQUE, name TEXT, phone TEXT, district TEXT, grade INTEGER, note TEXT)`)
	run(`CREATE TABLE permit (row_no INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, holder TEXT, issuer TEXT, grade INTEGER, size INTEGER)`)
	run(`CREATE TABLE certificate (row_no INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, holder TEXT, issuer TEXT, grade INTEGER)`)
	const people = 12
	for i := range people {
		id := fmt.Sprintf("id-%03d", (i*7)%100)
		w.ids = append(w.ids, id)
		w.cells[`"`+id+`"`] = "Person.idNumber"
		run(`INSERT INTO person VALUES (?,?,?,?,?,?,?)`, i+1, id, text("Person.name"), text("Person.phone"), []string{"north", "south"}[r.IntN(2)], r.IntN(8), text("Person.note"))
	}
	w.words["idNumber"], w.words["holder"], w.words["district"] = w.ids, w.ids, []string{"north", "south"}
	for i := range 2 * people {
		n := fmt.Sprintf("permit-%03d", (i*37)%1000)
		w.cells[`"`+n+`"`] = "Permit.number"
		w.permits = append(w.permits, n)
		size := 100_000 + i
		w.cells[fmt.Sprint(size)] = "Permit.size"
		run(`INSERT INTO permit VALUES (?,?,?,?,?,?)`, i+1, n, w.ids[r.IntN(people)], text("Permit.issuer"), r.IntN(8), size)
		n = fmt.Sprintf("certificate-%03d", (i*37)%1000)
		w.cells[`"`+n+`"`] = "Certificate.number"
		run(`INSERT INTO certificate VALUES (?,?,?,?,?)`, i+1, n, w.ids[r.IntN(people)], text("Certificate.issuer"), r.IntN(8))
		w.words["number"] = append(w.words["number"], n)
	}
	return w
}

// policy draws rules. Rows exist mostly, so that there is something to show.
func policy(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	line := func(role, department, resource, level, purpose, scope, access, effect string) {
		fmt.Fprintf(&b, "p, %s, %s, %s, %s, %s, %s, %s, %s\n", role, department, resource, level, purpose, scope, access, effect)
	}
	types := map[string][]string{
		"Person":      {"idNumber", "name", "phone", "district", "grade", "note", "permits", "certificates"},
		"Permit":      {"number", "holder", "issuer", "grade", "size", "person"},
		"Certificate": {"number", "holder", "issuer", "grade", "person"},
	}
	for _, name := range []string{"Person", "Permit", "Certificate"} {
		department, key := "registry", "number"
		switch name {
		case "Person":
			key = "idNumber"
		case "Certificate":
			department = "clinic"
		}
		scope := func() string { return pick("all", "all", "all", "by_key", "graded", "self", "own_department") }
		if r.IntN(8) > 0 {
			line("curious", department, name+"._row", "L3", "*", pick("all", "all", "all", "graded"), pick("clear", "clear", "mask"), "allow")
		}
		if r.IntN(8) > 0 {
			line("curious", department, name+"."+key, "L3", "*", pick("all", "all", "by_key"), pick("clear", "match"), "allow")
		}
		if r.IntN(5) > 0 {
			line("curious", department, name+".*", pick("L1", "L2", "L3"), pick("*", "research"), scope(), pick("clear", "clear", "mask"), "allow")
		}
		for _, f := range types[name] {
			if r.IntN(3) == 0 {
				line("curious", pick(department, department, "*"), name+"."+f, pick("L2", "L3"), pick("*", "research"), scope(), pick("clear", "clear", "mask", "match"), "allow")
			}
			if r.IntN(12) == 0 {
				line("curious", pick(department, "*"), name+"."+f, "L1", "*", pick("all", "graded", "by_key"), pick("clear", "mask", "any"), "deny")
			}
		}
	}
	if b.Len() == 0 {
		line("curious", "registry", "Person.*", "L3", "*", "all", "clear", "allow")
	}
	return b.String()
}

func (w *world) serve(t *testing.T) *target.Town {
	t.Helper()
	town, err := target.Serve(t.Context(), filepath.Join(t.TempDir(), "town"), &w.setup)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.setup.Policy)
	}
	return town
}
