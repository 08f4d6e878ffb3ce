package guangdong

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// kind is a column's type, in words that each engine has its own for.
type kind uint8

const (
	text kind = iota
	integer
	boolean
	date
	moment
	clock
	decimal
	uuid
	document
	list
)

type column struct {
	name string
	kind kind
}

// table is one table of a department. Rows yields its cells: nil, string, int64,
// bool or []string, as the column's kind wants them; all but integer, boolean
// and list as text.
type table struct {
	name    string
	columns []column
	key     []string
	indexes []string // each over one or more columns, with spaces between
	rows    func(Options) iter.Seq[[]any]
}

const dayFormat = "2006-01-02"

func day(t time.Time) string { return t.Format(dayFormat) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// tablesOf gives a department's tables, each with the columns that people ask by
// under an index, and the one of @fresh, whose newest value is asked for all the
// time.
func tablesOf(department string) []table {
	switch department {
	case "public_security":
		return []table{personTable(), householdTable(), permitTable()}
	case "health":
		return []table{birthTable(), vaccinationTable()}
	case "market_regulation":
		return []table{companyTable(), licenceTable()}
	case "social_security":
		return []table{accountTable(), contributionTable()}
	}
	return nil
}

// each numbers the rows that make gives for each index below n: row_no is a
// place in the table without meaning.
func each(n int, make func(i int, row func(cells ...any) bool) bool) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		no := int64(0)
		row := func(cells ...any) bool {
			no++
			return yield(append([]any{no}, cells...))
		}
		for i := range n {
			if !make(i, row) {
				return
			}
		}
	}
}

func personTable() table {
	return table{
		name: "person",
		columns: []column{
			{"row_no", integer},
			{"id_number", text},
			{"name", text},
			{"sex", text},
			{"birth_date", date},
			{"phone", text},
			{"address", text},
			{"district", text},
			{"household_number", text},
			{"updated_at", moment},
		},
		key: []string{"id_number"}, indexes: []string{"household_number", "district id_number", "name", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People, func(i int, row func(...any) bool) bool {
				p := personAt(i)
				sex := "MALE"
				if p.female {
					sex = "FEMALE"
				}
				return row(p.id, p.name, sex, day(p.born), optional(p.phone), p.address, p.district, p.household, instant(p.updated))
			})
		},
	}
}

func householdTable() table {
	return table{
		name: "household",
		columns: []column{
			{"row_no", integer}, {"number", text}, {"district", text}, {"address", text}, {"size", integer}, {"updated_at", moment},
		},
		key: []string{"number"}, indexes: []string{"district", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each((o.People+2)/3, func(h int, row func(...any) bool) bool {
				p := personAt(3 * h)
				return row(p.household, p.district, p.address, int64(min(3, o.People-3*h)), instant(p.updated))
			})
		},
	}
}

func permitTable() table {
	return table{
		name: "residence_permit",
		columns: []column{
			{"row_no", integer},
			{"number", text},
			{"holder_id_number", text},
			{"issued_on", date},
			{"valid_until", date},
			{"issuer", text},
			{"district", text},
			{"address", text},
			{"in_force", boolean},
			{"updated_at", moment},
		},
		key: []string{"number"}, indexes: []string{"holder_id_number", "district", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			no := 0
			return each(o.People, func(i int, row func(...any) bool) bool {
				r := randomFor(3, i)
				count := o.PermitsEach
				if count == 0 && r.IntN(3) == 0 {
					count = 1
				}
				if count == 0 {
					return true
				}
				p := personAt(i)
				for range count {
					no++
					issued := referenceDay().AddDate(0, 0, -r.IntN(3*365))
					district := pick(r, districts())
					ok := row(fmt.Sprintf("JZ99%08d", no), p.id, day(issued), day(issued.AddDate(1, 0, 0)), district+"公安分局", district,
						fmt.Sprintf("广东省%s%s%d号", district, pick(r, streets()), 1+r.IntN(300)), p.inForce, instant(p.updated))
					if !ok {
						return false
					}
				}
				return true
			})
		},
	}
}

func birthTable() table {
	return table{
		name: "birth_certificate",
		columns: []column{
			{"row_no", integer},
			{"number", text},
			{"holder_id_number", text},
			{"mother_id_number", text},
			{"child_name", text},
			{"born_at", moment},
			{"weight", decimal},
			{"issued_on", date},
			{"valid_until", date},
			{"issuer", text},
			{"updated_at", moment},
		},
		key: []string{"number"}, indexes: []string{"holder_id_number", "mother_id_number", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People/3, func(h int, row func(...any) bool) bool {
				mother, child, r := personAt(3*h), personAt(3*h+2), randomFor(4, h)
				grams := 2200 + r.IntN(2400)
				born := child.born.Add(time.Duration(r.IntN(86_400)) * time.Second)
				return row(fmt.Sprintf("CS99%08d", h+1), child.id, mother.id, child.name, instant(born),
					fmt.Sprintf("%d.%03d", grams/1000, grams%1000), day(born.AddDate(0, 0, 1+r.IntN(20))), nil,
					mother.district+"人民医院", instant(child.updated))
			})
		},
	}
}

func vaccinationTable() table {
	vaccines := []string{"乙型肝炎疫苗", "卡介苗", "脊髓灰质炎疫苗", "百白破疫苗", "麻腮风疫苗"}
	return table{
		name: "vaccination",
		columns: []column{
			{"row_no", integer},
			{"record_id", uuid},
			{"person_id_number", text},
			{"vaccine", text},
			{"dose", integer},
			{"given_on", date},
			{"updated_at", moment},
		},
		key: []string{"record_id"}, indexes: []string{"person_id_number", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People/3, func(h int, row func(...any) bool) bool {
				child, r := personAt(3*h+2), randomFor(5, h)
				for d := range 1 + r.IntN(3) {
					id := fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
					if !row(id, child.id, pick(r, vaccines), int64(d+1), day(child.born.AddDate(0, d+1, 0)), instant(child.updated)) {
						return false
					}
				}
				return true
			})
		},
	}
}

// companyOf gives the code, name and district of the company that the person
// of an index represents.
func companyOf(p person) (code, name, district string) {
	r := randomFor(6, p.index)
	district = pick(r, districts())
	return creditCode(p.index), fmt.Sprintf("%s%s%s有限公司", district[:len(district)-len("区")], pick(r, givenNames()), pick(r, []string{"科技", "贸易", "餐饮", "物流", "文化", "建筑"})), district
}

func companyTable() table {
	lines := []string{"软件开发", "货物进出口", "餐饮服务", "道路货物运输", "房屋建筑", "广告设计"}
	return table{
		name: "company",
		columns: []column{
			{"row_no", integer},
			{"credit_code", text},
			{"name", text},
			{"district", text},
			{"status", text},
			{"registered_capital", integer},
			{"founded_on", date},
			{"business_lines", list},
			{"legal_rep_name", text},
			{"legal_rep_id_number", text},
			{"updated_at", moment},
		},
		key: []string{"credit_code"}, indexes: []string{"legal_rep_id_number", "district", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People, func(i int, row func(...any) bool) bool {
				p := personAt(i)
				if !p.hasCompany {
					return true
				}
				code, name, district := companyOf(p)
				r := randomFor(7, i)
				status := []string{"ACTIVE", "ACTIVE", "ACTIVE", "SUSPENDED", "DISSOLVED"}[r.IntN(5)]
				var business any
				if n := r.IntN(4); n > 0 {
					business = lines[:n]
				}
				return row(code, name, district, status, int64(1+r.IntN(5000))*10_000, day(referenceDay().AddDate(0, 0, -r.IntN(20*365))),
					business, p.name, p.id, instant(p.updated))
			})
		},
	}
}

func licenceTable() table {
	return table{
		name: "business_licence",
		columns: []column{
			{"row_no", integer},
			{"number", text},
			{"holder_id_number", text},
			{"credit_code", text},
			{"issued_on", date},
			{"valid_until", date},
			{"issuer", text},
			{"particulars", document},
			{"updated_at", moment},
		},
		key: []string{"number"}, indexes: []string{"holder_id_number", "credit_code", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People, func(i int, row func(...any) bool) bool {
				p := personAt(i)
				if !p.hasCompany {
					return true
				}
				code, _, district := companyOf(p)
				r := randomFor(8, i)
				issued := referenceDay().AddDate(0, 0, -r.IntN(10*365))
				particulars, err := json.Marshal(map[string]any{"copies": 1 + r.IntN(3), "electronic": r.IntN(2) == 0})
				if err != nil {
					return false
				}
				return row(fmt.Sprintf("YZ99%08d", i+1), p.id, code, day(issued), day(issued.AddDate(10, 0, 0)), district+"市场监督管理局",
					string(particulars), instant(p.updated))
			})
		},
	}
}

func accountTable() table {
	return table{
		name: "insurance_account",
		columns: []column{
			{"row_no", integer},
			{"holder_id_number", text},
			{"card_number", text},
			{"district", text},
			{"active", boolean},
			{"months_paid", integer},
			{"balance", decimal},
			{"updated_at", moment},
		},
		key: []string{"holder_id_number"}, indexes: []string{"district", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People, func(i int, row func(...any) bool) bool {
				p := personAt(i)
				if !p.insured {
					return true
				}
				r := randomFor(9, i)
				return row(p.id, fmt.Sprintf("G99%07d", i+1), p.district, p.inForce, int64(r.IntN(400)),
					fmt.Sprintf("%d.%02d", r.IntN(200_000), r.IntN(100)), instant(p.updated))
			})
		},
	}
}

func contributionTable() table {
	return table{
		name: "contribution",
		columns: []column{
			{"row_no", integer},
			{"holder_id_number", text},
			{"month", date},
			{"base", decimal},
			{"amount", decimal},
			{"employer_credit_code", text},
			{"received_at", clock},
			{"updated_at", moment},
		},
		key: []string{"holder_id_number", "month"}, indexes: []string{"employer_credit_code", "updated_at"},
		rows: func(o Options) iter.Seq[[]any] {
			return each(o.People, func(i int, row func(...any) bool) bool {
				p := personAt(i)
				if !p.insured {
					return true
				}
				r := randomFor(10, i)
				base := 3000 + r.IntN(20_000)
				var employer any
				if e := personAt(i - i%15 + r.IntN(15)); e.index < o.People && e.hasCompany {
					employer, _, _ = companyOf(e)
				}
				for m := range 3 {
					month := referenceDay().AddDate(0, -1-m, 0)
					if !row(p.id, day(month), fmt.Sprintf("%d.00", base), fmt.Sprintf("%d.%02d", base*8/100, base*8%100), employer,
						fmt.Sprintf("%02d:%02d:%02d", 8+r.IntN(10), r.IntN(60), r.IntN(60)), instant(p.updated)) {
						return false
					}
				}
				return true
			})
		},
	}
}
