package masks

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestExamples are the values that people ask about.
func TestExamples(t *testing.T) {
	const null = "\x00null"
	for _, c := range []struct{ spec, in, want string }{
		{"NAME", "张三", "张**"},
		{"NAME", "张三丰", "张**"},
		{"NAME", "欧阳小明", "欧阳**"},
		{"NAME", "欧阳明", "欧阳**"},
		{"NAME", "欧阳", "欧**"}, // surname 欧, given name 阳
		{"NAME", "司马相如", "司马**"},
		{"NAME", "歐陽修", "歐陽**"},
		{"NAME", "第五伦", "第五**"},
		{"NAME", "淳于意", "淳于**"},
		{"NAME", "买买提·艾力", "买**"}, // as 买 is a surname too, nothing tells the minority
		{"NAME", "阿卜杜热合曼·买买提", "阿**"},
		{"NAME", "·张", "***"},
		{"NAME", "张", "***"},
		{"NAME", "张 ", "***"}, // char(n) pads with blanks
		{"NAME", "张\u3000", "***"},
		{"NAME", "张\t\x00", "***"},
		{"NAME", "张\u200b", "***"},
		{"NAME", "张1", "***"},
		{"NAME", "张三 ", "张**"},
		{"NAME", "欧阳 ", "欧**"},
		{"NAME", "欧阳\u3000\u3000", "欧**"},
		{"NAME", "欧阳2", "欧**"},
		{"NAME", "欧阳 明", "欧阳**"},
		{"NAME", "欧\U000E0100阳明", "欧\U000E0100**"},
		{"NAME", "\U00020BB7田", "\U00020BB7**"}, // 𠮷田, beyond 16 bits
		{"NAME", "\U00030000", "***"},
		{"NAME", "Ａｌａｎ", "Ａ**"},
		{"NAME", "张" + strings.Repeat("\u0301", 20) + "三", "***"},
		{"NAME", " 张三", "***"},
		{"NAME", "👩‍👧三", "***"},
		{"NAME", "葛\U000E0100城", "葛\U000E0100**"}, // a variant of the character
		{"NAME", "é\u0301lan", "é\u0301**"},
		{"NAME", "O'Brien", "O**"},
		{"NAME", "张\xff", "***"},

		{"ID_NUMBER", "990101199003070078", "9****************8"},
		{"ID_NUMBER", "44010619900307001X", "4****************X"},
		{"ID_NUMBER", "44010619900307001x", "4****************X"},
		{"ID_NUMBER", "440106900307001", "4****************1"}, // of 15, to the same length
		{"ID_NUMBER", "4401069003070O1", "******************"},
		{"ID_NUMBER", "44010619900307X011", "******************"},
		{"ID_NUMBER", "９９０１０１１９９００３０７００７８", "******************"},
		{"ID_NUMBER", " 990101199003070078", "******************"},
		{"ID_NUMBER", "990101199003070078 ", "******************"},
		{"ID_NUMBER", "44010690030700X", "******************"},
		{"ID_NUMBER", "", "******************"},
		{"ID_NUMBER(6,4)", "44010619900307001x", "440106********001X"},
		{"ID_NUMBER(6,4)", "440106900307001", "440106********7001"},
		{"ID_NUMBER(6,4)", "44010619900307001X", "440106********001X"},

		{"PHONE", "13812345678", "138****5678"},
		{"PHONE", "138-1234-5678", "138****5678"},
		{"PHONE", "+86 138 1234 5678", "138****5678"},
		{"PHONE", "(+86)13812345678", "138****5678"},
		{"PHONE", "008613812345678", "138****5678"},
		{"PHONE", "8613812345678", "138****5678"},
		{"PHONE", "13812345678\u00a0", "138****5678"},
		{"PHONE", "020-81234567", "020****4567"},
		{"PHONE", "（0755）2612 3456", "075****3456"},
		{"PHONE", "0755-2612345", "075****2345"},
		{"PHONE", "+86 10 6512 3456", "010****3456"},
		{"PHONE", "+86 (0)20 8123 4567", "020****4567"},
		{"PHONE", "+1 212 555 0100", "***********"},
		{"PHONE", "+86", "***********"},
		{"PHONE", "81234567", "***********"},
		{"PHONE", " 138 1234 5678\u3000", "138****5678"},
		{"PHONE", "13812345678\n", "***********"},
		{"PHONE", "13812345678\xff", "***********"},
		{"PHONE", "", "***********"},
		{"PHONE", "12812345678", "***********"},
		{"PHONE", "＋8613812345678", "***********"},
		{"PHONE", "013812345678", "***********"},
		{"PHONE", "+852 9123 4567", "***********"},
		{"PHONE", "020-81234567-1", "***********"}, // an extension of one digit
		{"PHONE", "0755-2612345-1", "***********"},
		{"PHONE", "0755-2612345(1)", "***********"},
		{"PHONE", "010-65123456-12", "***********"},
		{"PHONE", "0755-261234", "***********"},
		{"PHONE", "400-123-4567", "***********"},
		{"PHONE", "110", "***********"},
		{"PHONE", "020-81234567转801", "***********"},
		{"PHONE", "１３８１２３４５６７８", "***********"},
		{"PHONE", "138123456789", "***********"},

		{"BANK_CARD", "6222 0212 3456 7890 123", "************0123"},
		{"BANK_CARD", "622202123456", "****************"},
		{"PLATE", "粤A12345", "粤A*****"},
		{"PLATE", "粤AD12345", "粤A*****"},
		{"PLATE", "粤A1234警", "*******"},
		{"PLATE", "粤Z1234港", "*******"},
		{"PLATE", "粤A·12345", "*******"},
		{"PLATE", "粤A12345 ", "*******"},
		{"PLATE", "粤a12345", "*******"},
		{"PLATE", "粤", "*******"},
		{"PLATE", "", "*******"},
		{"BANK_CARD", " 6222-0212-3456-7890 ", "************7890"},
		{"BANK_CARD", "62220212345678901234", "****************"},
		{"BANK_CARD", "６２２２０２１２３４５６７８９０", "****************"},
		{"CREDIT_CODE", "91440101MA5CABCD1X ", "******************"},
		{"PLATE", "WJ12345", "*******"},
		{"CREDIT_CODE", "91440101MA5CABCD1X", "91**************1X"},
		{"CREDIT_CODE", "91440101MA5CABCD1x", "******************"},

		{"ADDRESS", "广东省广州市天河区体育西路1号", "广东省广州市******"},
		{"ADDRESS", "北京市朝阳区建国路1号", "北京市******"},
		{"ADDRESS", "北京市朝阳市场1号", "北京市******"},
		{"ADDRESS", "北京市场路1号", "******"}, // a road, and in any city
		{"ADDRESS", "辽宁省朝阳市双塔区", "辽宁省朝阳市******"},
		{"ADDRESS", "辽宁省朝阳市场街", "辽宁省******"},
		{"ADDRESS", "朝阳市场街", "******"},
		{"ADDRESS", "广州市天河区", "广州市******"},
		{"ADDRESS", "广东广州天河", "******"},
		{"ADDRESS", "天河区体育西路1号", "******"},
		{"ADDRESS", "新疆维吾尔自治区克孜勒苏柯尔克孜自治州阿图什市", "新疆维吾尔自治区克孜勒苏柯尔克孜自治州******"},

		{"EMAIL", "zhang.san@qq.com", "z***@qq.com"},
		{"EMAIL", "zhang.san@QQ.COM", "z***@qq.com"},
		{"EMAIL", "zhang@li-family.example", "z***@***"},
		{"EMAIL", "z@qq.com", "****@***"},
		{"EMAIL", "a@b@qq.com", "****@***"},
		{"EMAIL", "张三@qq.com", "****@***"},
		{"EMAIL", "e\u0301lan@qq.com", "****@***"}, // the accent belongs to the character
		{"EMAIL", "ab\x00@qq.com", "****@***"},
		{"EMAIL", "a b@qq.com", "****@***"},
		{"EMAIL", "zhang@qq.com ", "z***@***"},
		{"EMAIL", "zhang@gmail.com\u200b", "z***@***"},
		{"EMAIL", "zhang@outloo\u212A.com", "z***@***"}, // the Kelvin sign is no k
		{"EMAIL", "zhang@\u017Fohu.com", "z***@***"},

		{"YEAR", "1990-05-17", "1990-01-01"},
		{"YEAR", "1990-05-17T08:30:00.25Z", "1990-01-01T00:00:00Z"},
		{"YEAR", "0000-01-01", null},
		{"YEAR", "19900517", null},
		{"MONTH", "1990-05-17", "1990-05-01"},
		{"MONTH", "1990-13-17", null},
		{"MONTH", "1990-05-17 ", null},
		{"MONTH", "1990-0a-17", null},
		{"MONTH", "1990-05-a7", null},
		{"YEAR", "199a-05-17", null},
		{"YEAR", "199a-05-17T08:30:00Z", null},
		{"YEAR", "1990-05-17T08:3a:00Z", null},
		{"MONTH", "1990-05-17T08:30:00+08:00", null},
		{"YEAR", "１９９０-05-17", null},
		{"YEAR", "", null},
		{"BUCKET(1000)", "4711", "4000"},
		{"BUCKET(1000)", "-1", "-1000"},
		{"BUCKET(1000)", "4711.99", "4000"},
		{"BUCKET(1000)", "-1000.01", "-2000"},
		{"BUCKET(1000)", "-2147483648", null}, // an Int has to stay one
		{"BUCKET(1000)", "1e+21", null},
		{"BUCKET(1000)", "-0", "0"},
		{"BUCKET(1000)", "-0.5", "-1000"},
		{"BUCKET(1000)", "NaN", null},
		{"BUCKET(1000)", "", null},
		{"BUCKET(1000)", " 1", null},
		{"BUCKET(1000)", "１２", null},

		{"KEEP(2,2)", "A1234567890", "A1****90"},
		{"KEEP(2,2)", "12345", "********"},
		{"KEEP(1,1)", "👩‍👧四口🇨🇳", "👩‍👧****🇨🇳"},
		{"KEEP(1,1)", "👨‍👩‍👧‍👦四口🇨🇳", "******"}, // so long a cluster could carry anything
		{"KEEP(1,0)", "e\u0301tude", "e\u0301****"},
		{"KEEP(1,0)", "\u0301tude", "*****"}, // a mark without its character
		{"KEEP(0,1)", "etude\n\u0301", "*****"},
		{"KEEP(1,1)", "\U00020BB7田城葛\U000E0100", "\U00020BB7****葛\U000E0100"},
		{"KEEP(1,1)", "\u202eabc", "******"},
		{"KEEP(1,1)", "abc\xff", "******"},
		{"KEEP(1,1)", "", "******"},
		{"KEEP(1,0)", "e" + strings.Repeat("\u0301", 20) + "tude", "*****"},
		{"REDACT", "anything", "***"},
		{"REDACT", "", "***"},
		{"NULL", "anything", null},
	} {
		_, f := parse(t, c.spec)
		out := apply(f, c.in)
		if !out.ok {
			out.text = null
		}
		if out.text != c.want {
			t.Errorf("%s of %q is %q, want %q", c.spec, c.in, out.text, c.want)
		}
	}
}

// TestPseudonym: two keys share no token, and one value has one token per key.
func TestPseudonym(t *testing.T) {
	r, one := parse(t, "PSEUDONYM")
	two := r.Bind([]byte("a key of another purpose"))
	tokens := map[string]string{}
	for i := range 2_000 {
		v := "value " + strconv.Itoa(i)
		for _, f := range []Func{one, two} {
			out := apply(f, v)
			if len(out.text) != 22 || !out.ok || apply(f, v) != out {
				t.Fatalf("%q became %v", v, out)
			}
			if other, known := tokens[out.text]; known {
				t.Fatalf("%q and %q share a token", v, other)
			}
			tokens[out.text] = v
		}
	}
	if out := apply(r.Bind(nil), "v"); out.ok {
		t.Error("without a key there is a token")
	}
	room := make([]byte, 0, 1024)
	out, _ := one(room, []byte("a value that must not stay behind the token"))
	if behind := room[len(out):cap(room)]; strings.Trim(string(behind), "\x00") != "" {
		t.Errorf("key or value stay in the buffer: %q", behind)
	}
}

// TestLongestRegion: the table of regions bears the declared number of characters.
func TestLongestRegion(t *testing.T) {
	longest := 0
	for _, r := range regions {
		n := 0
		for _, c := range strings.Fields(r.cities) {
			n = max(n, len([]rune(c)))
		}
		longest = max(longest, n+len([]rune(r.province)))
	}
	if longest != longestRegion {
		t.Errorf("the longest has %d characters, declared are %d", longest, longestRegion)
	}
}

// TestParseRefuses: what is not a rule is an error that says what would be.
func TestParseRefuses(t *testing.T) {
	for spec, say := range map[string]string{
		"": "there are ADDRESS", "NAEM": "there are ADDRESS", "name": "there are", "KEEP": "needs arguments: KEEP(first,last)", "KEEP(1": "closing bracket",
		"KEEP(1,2,3)": "KEEP(first,last)", "KEEP(a,1)": "whole number", "KEEP(-1,1)": "whole number", "KEEP(17,0)": "at most", "KEEP(0,0)": "REDACT",
		"KEEP(first: 1, first: 2)": "given twice", "KEEP(first: 1, 2)": "all named", "KEEP(x: 1, last: 2)": "no argument", "NAME(1)": "not of the form NAME",
		"BUCKET(1)": "from 2", "BUCKET(1000000001)": "from 2", "ID_NUMBER(7,0)": "at most 6", "PHONE(4,4)": "at most 3", "KEEP(1,99999999999)": "whole number",
	} {
		_, err := Parse(spec)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v, want %q in it", spec, err, say)
		}
	}
	if r, _ := parse(t, " KEEP(last: 2, first: 1) "); r.Spec() != "KEEP(1,2)" {
		t.Errorf("named arguments give %s", r.Spec())
	}
	if out := apply(Rule{}.Bind(nil), "v"); out.ok {
		t.Error("the zero rule lets something through")
	}
}

// TestDocs: the table in docs/masks.md is the code's own.
func TestDocs(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "masks.md")
	const from, to = "<!-- rules -->\n", "<!-- end of rules -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s lacks its marks", path)
	}
	want := before + from + docs(t) + to + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		raw = []byte(want)
	}
	if string(raw) != want {
		t.Errorf("%s is not what the code says: run this test with -update", path)
	}
}

// docs writes one row per preset.
func docs(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| rule | version | on | what stays visible | masked twice = once | example |\n|---|---|---|---|---|---|\n")
	example := map[string]string{"KEEP": "KEEP(2,2)", "BUCKET": "BUCKET(1000)"}
	for _, name := range Names() {
		spec := name
		if with, ok := example[name]; ok {
			spec = with
		}
		r, _ := parse(t, spec)
		d := r.Describe()
		shown := "`" + d.In + "` → `" + d.Out + "`"
		switch {
		case d.Keyed:
			shown = "`" + d.In + "` → a token of 22 characters"
		case d.Out == "":
			shown = "`" + d.In + "` → null"
		}
		if spec != name {
			shown = "`" + spec + "`: " + shown
		}
		kinds, twice := strings.Join(d.Kinds, ", "), "no"
		if d.Kinds == nil {
			kinds = "every type, lists too"
		}
		if d.Idempotent {
			twice = "yes"
		}
		visible := strings.Join(d.Preserves.Words(), "; ")
		if visible == "" {
			visible = "nothing"
		}
		b.WriteString("| `" + d.Usage + "` | " + strconv.Itoa(d.Version) + " | " + kinds + " | " + visible + " | " + twice + " | " + shown + " |\n")
	}
	return b.String()
}
