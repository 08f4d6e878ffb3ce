package guangdong

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// seed makes the data; a person depends on it and on his index alone, so that
// tables can be written side by side and in any size.
const seed = 0x5eed_2256

// referenceDay is the day on which the example is told: nothing in it depends
// on the clock.
func referenceDay() time.Time { return time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC) }

// person is one synthetic natural person. People come in households of three:
// index 3h is the mother, 3h+1 the father, 3h+2 the child.
type person struct {
	index            int
	id               string
	name             string
	female           bool
	born             time.Time
	phone, address   string
	district         string
	household        string
	updated          time.Time
	hasCompany       bool
	insured, inForce bool
}

func surnames() []string {
	return []string{"陈", "李", "黄", "张", "林", "王", "吴", "刘", "梁", "何", "郑", "罗", "谢", "曾", "邓", "冯", "许", "蔡", "杨", "潘", "欧阳", "司徒", "上官"}
}

func givenNames() []string {
	return []string{"伟", "芳", "静", "敏", "强", "磊", "洋", "艳", "勇", "杰", "娟", "涛", "明", "超", "霞", "平", "刚", "嘉欣", "子轩", "浩然", "思琪", "雨桐", "俊杰", "晓彤", "梓涵", "家豪", "咏诗", "志强", "丽华", "建国"}
}

func districts() []string {
	return []string{"天河区", "越秀区", "海珠区", "荔湾区", "白云区", "番禺区", "南山区", "福田区", "罗湖区", "宝安区", "禅城区", "顺德区", "香洲区", "惠城区", "端州区", "湘桥区"}
}

func streets() []string {
	return []string{"中山路", "解放路", "人民路", "文明路", "东风路", "北京路", "建设路", "和平路", "滨江路", "体育路"}
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func randomFor(table uint64, index int) *rand.Rand {
	return rand.New(rand.NewPCG(seed^table<<32, uint64(index))) //nolint:gosec // synthetic data wants the same numbers each time; index >= 0
}

// personAt makes the person of an index.
func personAt(i int) person {
	home := randomFor(1, i/3)
	p := person{index: i, district: pick(home, districts())}
	p.household = fmt.Sprintf("99%08d", i/3+1)
	p.address = fmt.Sprintf("广东省%s%s%d号%d室", p.district, pick(home, streets()), 1+home.IntN(300), 101+home.IntN(2500))
	family := pick(home, surnames())

	r := randomFor(2, i)
	day := referenceDay().AddDate(0, 0, -r.IntN(365))
	switch i % 3 {
	case 0:
		p.female, p.born = true, day.AddDate(-24-r.IntN(30), 0, 0)
		p.name = pick(r, surnames()) + pick(r, givenNames())
	case 1:
		p.born = day.AddDate(-24-r.IntN(32), 0, 0)
		p.name = family + pick(r, givenNames())
	default:
		p.female, p.born = r.IntN(2) == 0, day.AddDate(-r.IntN(18), 0, 0)
		p.name = family + pick(r, givenNames())
	}
	p.id = idNumber(i, p.born, p.female)
	if i%3 != 2 {
		p.phone = fmt.Sprintf("1%d%09d", 3+r.IntN(7), r.IntN(1_000_000_000))
	}
	p.updated = referenceDay().Add(-time.Duration(r.IntN(72*3600)) * time.Second)
	p.hasCompany = i%3 != 2 && r.IntN(5) == 0
	p.insured = i%3 != 2 && r.IntN(10) != 0
	p.inForce = r.IntN(4) != 0
	return p
}

// idNumber composes an 18-digit identity number as GB 11643-1999 does, with an
// area code that no place has. Index makes it unique below five million: it
// chooses the area and the sequence digits.
func idNumber(index int, born time.Time, female bool) string {
	sequence := index % 500 * 2
	if !female {
		sequence++
	}
	body := fmt.Sprintf("99%04d%s%03d", 1+index/500%9999, born.Format("20060102"), sequence)
	return body + string(checkDigit(body))
}

// checkDigit is that of ISO 7064 MOD 11-2 over 17 digits.
func checkDigit(body string) byte {
	sum := 0
	for i := range len(body) {
		sum = (sum + int(body[i]-'0')) * 2 % 11
	}
	return "0123456789X"[(12-sum%11)%11]
}

// creditCode composes an 18-character code of the form of GB 32100-2015 whose
// area, 99xxxx, is likewise no place's.
func creditCode(index int) string {
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	body := []byte(fmt.Sprintf("9199%04d%09d", 1+index/500%9999, index))
	weights := [...]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	return string(append(body, alphabet[(31-sum%31)%31]))
}
