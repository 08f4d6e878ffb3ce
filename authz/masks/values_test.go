package masks

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// specs are all presets, with arguments that matter.
func specs() []string {
	return []string{
		"ADDRESS", "BANK_CARD", "BUCKET(2)", "BUCKET(1000)", "BUCKET(1000000000)", "CREDIT_CODE", "EMAIL", "ID_NUMBER",
		"ID_NUMBER(6,4)", "ID_NUMBER(0,0)", "KEEP(1,0)", "KEEP(0,4)", "KEEP(3,4)", "KEEP(16,16)", "MONTH", "NAME", "NULL",
		"PHONE", "PHONE(0,2)", "PLATE", "PSEUDONYM", "REDACT", "YEAR",
	}
}

// awkward are values that every rule meets.
func awkward() []string {
	return []string{
		"", " ", "*", "***", "\x00", "\xff\xfe", "张", "张\xff", "e\u0301", "e" + strings.Repeat("\u0301", 40), "\u0301a",
		"👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦🇨🇳🇨🇳abc", "🇨🇳🇨", "１３８１２３４５６７８", "９９０１０１１９９００３０７００７８", "\u202e张三", "a\u200db", "葛\U000E0100城",
		strings.Repeat("长", 5000), strings.Repeat("9", 5000), "null", "-", ".", "@", "a@", "@b", "a@b@c", "\n\u0301\n", "\"\\\u2028",
	}
}

// drawn draws a value: mostly of the shape that the rule is made for, with few
// different ends, so that many values share what is kept; sometimes damaged;
// sometimes another rule's.
func drawn(r *rand.Rand, rule string) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	if r.IntN(40) == 0 {
		return pick(awkward()...)
	}
	if r.IntN(10) == 0 {
		rule = pick(Names()...)
	}
	v := shaped(r, rule)
	if r.IntN(6) == 0 && v != "" {
		at := r.IntN(len(v) + 1)
		switch r.IntN(4) {
		case 0:
			v = v[:at] + pick("x", " ", "-", "0", "张", "\xff", "\u0301", "９", "·", "\u200d") + v[at:]
		case 1:
			v = v[:at]
		case 2: // another character in place of one, at the same length
			if at < len(v) {
				v = v[:at] + pick("a", "9", "-", "*", "\x00") + v[at+1:]
			}
		default:
			v = v[at:]
		}
	}
	return v
}

func shaped(r *rand.Rand, rule string) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	number := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		return string(b)
	}
	letters := func(alphabet string, n int) string {
		var b strings.Builder
		from := []rune(alphabet)
		for range n {
			b.WriteRune(from[r.IntN(len(from))])
		}
		return b.String()
	}
	switch rule {
	case "ADDRESS":
		return pick("", "广东省", "辽宁省", "北京市", "北京市场", "新疆维吾尔自治区") + pick("", "广州市", "朝阳市", "朝阳市场路", "克孜勒苏柯尔克孜自治州") +
			pick("", "天河区", "朝阳区", "广州市") + letters("东西南北路街甲乙丙", r.IntN(8)) + number(r.IntN(4)) + pick("", "号")
	case "BANK_CARD":
		return pick("6222 ", "6222-", "6222", "") + number(8+r.IntN(5)) + pick("0001", "0002")
	case "BUCKET":
		return pick("", "-") + pick("", "0", "00") + number(1+r.IntN(20)/(1+r.IntN(8))) + pick("", "", ".0", ".5", ".000")
	case "CREDIT_CODE":
		return pick("91", "12") + letters("0123456789ABCDEFGHJKLMNPQRTUWXY", 14) + pick("1X", "22")
	case "EMAIL":
		return pick("a", "Z", "7") + letters("abc.+-_ 名", 1+r.IntN(9)) + "@" + pick("qq.com", "QQ.com", "163.com", "small-office.example", "outloo\u212A.com", letters("abc", 6)+".com")
	case "ID_NUMBER":
		return pick("440106", "990101") + pick(number(7)+pick("01"), number(8)+pick("001X", "001x", "0018", "0026"))
	case "KEEP":
		return pick("abc", "甲乙丙", "e\u0301éé", "👨‍👩‍👧x1") + letters("0123ab甲👩", r.IntN(40)) + pick("wxyz", "0001", "🇨🇳🇨🇳🇨🇳🇨🇳")
	case "MONTH", "YEAR":
		return pick("1990", "2024", "0000", "0001") + fmt.Sprintf("-%02d-%02d", r.IntN(14), r.IntN(33)) + pick("", "", "T"+fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))+pick("", ".5", ".123456", ".")+"Z", "T08:00:00+08:00")
	case "NAME":
		return pick("张", "欧阳", "欧", "歐陽", "司马", "阿不都热依木", "买买提", "O", "葛\U000E0100", "·") + pick("", "·") + letters("明小红伟艾力a b1", r.IntN(5)) + pick("", "", "", " ", "\u3000")
	case "PHONE":
		switch r.IntN(3) {
		case 0:
			return pick("", "+86", "+86 ", "0086-", "86", "(+86)") + "138" + pick("", "-", " ") + number(4) + pick("", "-", " ", "\u00a0", "－") + pick("5678", "0000")
		case 1:
			return pick("020", "(020)", "（020）", "0755", "+86 20", "+86 (0)20", "0086 755", "010", "+8610") + pick("", "-", " ") + number(3+r.IntN(2)) + pick("5678", "0000")
		}
		return pick("400", "95588", "+1 212", "020 12345678-", "110") + pick("", "-") + number(r.IntN(8))
	case "PLATE":
		return pick("粤A", "粤B", "京A", "粤Z") + letters("0123456789ABCDEFGH", 5+r.IntN(2)) + pick("", "", "", "警", "港")
	}
	return letters("0123abc 张三·*@.", r.IntN(20))
}
