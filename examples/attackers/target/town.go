// Package target is what the attackers attack: a small town behind a real Weir,
// served over HTTP in this process, and the judge who compares what an attacker
// says with what is in the rows.
//
// It promises that an attacker gets nothing but a token, the address and what
// its [Case] holds. It does not attack.
package target

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Person is a row of the town, as its owner knows it.
type Person struct {
	ID, District    string
	Income          int    // withheld
	Score           int64  // withheld; too large for its type in half of the rows
	Grade           int    // clear in the north alone
	Phone           string // masked, last four digits visible; "" for none
	Alias           string // masked by NULL, which hides whether there is one; "" for none
	Title           string // withheld; "" for none
	Badge           string // masked as a pseudonym per purpose
	Pin             string // may be compared, not seen
	Diary           string // withheld, long in half of the rows
	Points          int    // clear in the west, where nobody lives; -1 for none
	Story           string // masked without its length, long in half of the rows
	Room            int    // 0 to 9999; withheld, and the key of the person's stay at the inn
	NearLoan, Loans bool   // a loan of the reader's branch; a loan of another one
	Code            string // of the patient: by key alone
	Doctor          string
}

const schemaText = `
"A person of the town"
type Person
  @source(department: "registry", table: "person", key: ["id_number"], tiebreak: "row_no")
  @classified(level: "L1")
  @sharing(mode: UNCONDITIONAL, basis: "the example's own")
  @scope(name: "north", where: "{district: {_eq: \"north\"}}")
  @scope(name: "west", where: "{district: {_eq: \"west\"}}")
{
  idNumber: String @subject
  district: String
  grade: Int @classified(level: "L2")
  points: Int @classified(level: "L2")
  phone: String @classified(level: "L2") @mask(with: "PHONE")
  alias: String @classified(level: "L2") @mask(with: "NULL")
  badge: String @classified(level: "L2") @mask(with: "PSEUDONYM")
  story: String @classified(level: "L2") @mask(with: "REDACT")
  title: String @classified(level: "L2")
  income: Int @classified(level: "L3")
  score: Int @classified(level: "L3")
  pin: String @classified(level: "L3")
  diary: String @classified(level: "L3")
  loans: [Loan!] @relation(fields: ["idNumber"], references: ["holder"])
}

"A loan, seen by its own branch"
type Loan
  @source(department: "registry", table: "loan", key: ["number"], tiebreak: "row_no")
  @classified(level: "L2")
  @sharing(mode: UNCONDITIONAL, basis: "the example's own")
  @scope(name: "own_branch", where: "{branch: {_eq: $subject.branch}}")
{
  number: String
  branch: String
  holder: String @classified(level: "L3")
}

"A stay at the inn, one to a room"
type Stay
  @source(department: "registry", table: "stay", key: ["room"], tiebreak: "row_no")
  @classified(level: "L1")
  @sharing(mode: UNCONDITIONAL, basis: "the example's own")
{
  room: Int @classified(level: "L3")
  guest: String @subject
}

"A patient, for those who state the whole number"
type Patient
  @source(department: "clinic", table: "patient", key: ["id_number"], tiebreak: "row_no")
  @classified(level: "L2")
  @sharing(mode: UNCONDITIONAL, basis: "the example's own")
{
  idNumber: String @subject
  code: String
  doctor: String
  colleagues: [Patient!] @relation(fields: ["doctor"], references: ["doctor"])
}
`

// guarded is what the attackers' reader holds.
const guarded = `
p, curious, registry, Person._row,      L1, *, all,        clear, allow
p, curious, registry, Person.idNumber,  L1, *, all,        clear, allow
p, curious, registry, Person.district,  L1, *, all,        clear, allow
p, curious, registry, Person.loans,     L1, *, all,        clear, allow
p, curious, registry, Person.grade,     L2, *, north,      clear, allow
p, curious, registry, Person.points,    L2, *, west,       clear, allow
p, curious, registry, Person.phone,     L2, *, all,        mask,  allow
p, curious, registry, Person.alias,     L2, *, all,        mask,  allow
p, curious, registry, Person.badge,     L2, *, all,        mask,  allow
p, curious, registry, Person.story,     L2, *, all,        mask,  allow
p, curious, registry, Person.pin,       L3, *, all,        match, allow
p, curious, registry, Loan.*,           L2, *, own_branch, clear, allow
p, curious, registry, Stay._row,        L1, *, all,        clear, allow
p, curious, registry, Stay.guest,       L1, *, all,        clear, allow
p, curious, clinic,   Patient.*,        L2, *, by_key,     clear, allow
`

// cleared gives the reader everything: an attacker who learns nothing even then
// proves nothing.
const cleared = guarded + `
p, curious, registry, *, L3, *, all, clear, allow
p, curious, clinic,   *, L3, *, all, clear, allow
`

// populate draws a town of n people.
func populate(n int, seed uint64) []Person {
	r := rand.New(rand.NewPCG(seed, 1))
	half := func() bool { return r.IntN(2) == 0 }
	people := make([]Person, n)
	rooms := r.Perm(n)
	for i := range people {
		p := &people[i]
		p.ID = fmt.Sprintf("%06d%08d%04d", 990001+r.IntN(20), 19500101+r.IntN(500000), r.IntN(10000))
		p.District = []string{"north", "south"}[r.IntN(2)]
		p.Income, p.Grade = r.IntN(1000), r.IntN(4)
		p.Score = int64(r.IntN(1000))
		if half() {
			p.Score += 1 << 40
		}
		if half() {
			p.Phone = fmt.Sprintf("138%08d", r.IntN(100_000_000))
		}
		if half() {
			p.Alias = fmt.Sprintf("alias %d", r.IntN(1000))
		}
		p.Badge = fmt.Sprintf("B%09d", r.IntN(1_000_000_000))
		p.Pin = fmt.Sprintf("%04d", r.IntN(10_000))
		p.Diary = "nothing today"
		if half() {
			p.Diary = strings.Repeat("a long day. ", 4_000)
		}
		p.NearLoan, p.Loans = half(), half()
		if half() {
			p.Title = "alderman"
		}
		p.Points, p.Story, p.Room = -1, "a short story", rooms[i]*10_000/n
		if half() {
			p.Points = r.IntN(1000)
		}
		if half() {
			p.Story = strings.Repeat("a long story. ", 200)
		}
		p.Code, p.Doctor = fmt.Sprintf("%04d", r.IntN(10_000)), fmt.Sprintf("doctor %d", r.IntN(10))
	}
	return people
}

// write runs the statements on a new database.
func write(ctx context.Context, path string, statements []Statement) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=synchronous(OFF)"}).String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s.Text, s.Args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// statements store the rows; their order tells nothing.
func statements(people []Person) []Statement {
	var all []Statement
	run := func(text string, args ...any) { all = append(all, Statement{text, args}) }
	run(`CREATE TABLE person (row_no INTEGER PRIMARY KEY, id_number TEXT NOT NULL UNIQUE, district TEXT, grade INTEGER, phone TEXT, alias TEXT,
		badge TEXT, income INTEGER, score INTEGER, pin TEXT, diary TEXT, points INTEGER, story TEXT, title TEXT)`)
	run(`CREATE TABLE stay (row_no INTEGER PRIMARY KEY, room INTEGER NOT NULL UNIQUE, guest TEXT)`)
	run(`CREATE TABLE loan (row_no INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, branch TEXT, holder TEXT)`)
	run(`CREATE INDEX loan_holder ON loan (holder)`)
	run(`CREATE TABLE patient (row_no INTEGER PRIMARY KEY, id_number TEXT NOT NULL UNIQUE, code TEXT, doctor TEXT)`)
	for i, p := range people {
		run(`INSERT INTO person VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, i+1, p.ID, p.District, p.Grade, orNull(p.Phone), orNull(p.Alias), p.Badge,
			p.Income, p.Score, p.Pin, p.Diary, sql.NullInt64{Int64: int64(p.Points), Valid: p.Points >= 0}, p.Story, orNull(p.Title))
		run(`INSERT INTO stay VALUES (?,?,?)`, i+1, p.Room, p.ID)
		if p.NearLoan {
			run(`INSERT INTO loan VALUES (?,?,?,?)`, 2*i, fmt.Sprintf("L%05d", 2*i), "near", p.ID)
		}
		if p.Loans {
			run(`INSERT INTO loan VALUES (?,?,?,?)`, 2*i+1, fmt.Sprintf("L%05d", 2*i+1), "far", p.ID)
		}
		run(`INSERT INTO patient VALUES (?,?,?,?)`, i+1, p.ID, p.Code, p.Doctor)
	}
	return all
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
