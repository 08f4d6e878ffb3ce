package masks

import (
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// witness is what a rule declares to keep of one value, found by other means
// than the rule's own code. Two values with equal witnesses must have equal
// masks.
type witness struct {
	first, last string // the characters at the ends
	part        string // what the Note declares
}

var (
	patternID      = regexp.MustCompile(`^([0-9]{15}|[0-9]{17}[0-9Xx])$`)
	patternDigits  = regexp.MustCompile(`[0-9]+`)
	patternMobile  = regexp.MustCompile(`^(?:\+86|0086|86)?(1[3-9][0-9]{9})$`)
	patternFixed   = regexp.MustCompile(`^(?:(?:\+86|0086)0?|0)((?:(?:10|2[0-9])[0-9]{7,8}|[3-9][0-9]{9,10}))$`)
	patternCard    = regexp.MustCompile(`^[0-9]{13,19}$`)
	patternPlate   = regexp.MustCompile(`^[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9]{5,6}$`)
	patternCredit  = regexp.MustCompile(`^[0-9A-Z]{18}$`)
	patternMail    = regexp.MustCompile(`(?s)^([0-9A-Za-z])[!-?A-~]{1,63}@([^@]*)$`)
	patternDate    = regexp.MustCompile(`^([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z)?$`)
	patternDecimal = regexp.MustCompile(`^-?[0-9]{1,19}(\.[0-9]+)?$`)
)

func witnessOf(r Rule, v string) witness {
	switch r.Name {
	case "REDACT", "NULL":
		return witness{}
	case "PSEUDONYM":
		return witness{part: v}
	case "KEEP":
		return witnessOfKeep(r, v)
	case "NAME":
		return witnessOfName(v)
	case "ADDRESS":
		return witnessOfAddress(v)
	case "EMAIL":
		m := patternMail.FindStringSubmatch(v)
		if m == nil {
			return witness{}
		}
		domain := strings.Map(func(c rune) rune {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			return c
		}, m[2])
		if !slices.Contains(mailProviders[:], domain) {
			domain = "***"
		}
		return witness{first: m[1], part: domain}
	case "YEAR", "MONTH":
		m := patternDate.FindStringSubmatch(v)
		if m == nil || m[1] == "0000" {
			return witness{}
		}
		part := m[1] + "-01-01"
		if r.Name == "MONTH" {
			part = m[1] + "-" + m[2] + "-01"
		}
		if m[4] != "" {
			part += "T00:00:00Z"
		}
		return witness{part: part}
	case "BUCKET":
		return witnessOfBucket(r, v)
	}
	shown := ""
	switch r.Name {
	case "ID_NUMBER":
		shown = strings.ToUpper(patternID.FindString(v))
	case "BANK_CARD":
		shown = patternCard.FindString(strings.NewReplacer(" ", "", "-", "").Replace(v))
	case "PLATE":
		shown = patternPlate.FindString(v)
	case "CREDIT_CODE":
		shown = patternCredit.FindString(v)
	case "PHONE":
		if groups := patternDigits.FindAllString(v, -1); len(groups) == 0 || len(groups[len(groups)-1]) < 3 {
			break
		}
		plain := strings.Map(func(c rune) rune {
			if separates(c) {
				return -1
			}
			return c
		}, v)
		if m := patternMobile.FindStringSubmatch(plain); m != nil {
			shown = m[1]
		} else if m := patternFixed.FindStringSubmatch(plain); m != nil {
			shown = "0" + m[1]
		}
	default:
		panic("no witness for " + r.Name)
	}
	if shown == "" {
		return witness{}
	}
	runes := []rune(shown)
	return witness{first: string(runes[:r.Preserves.First]), last: string(runes[len(runes)-r.Preserves.Last:])}
}

func witnessOfKeep(r Rule, v string) witness {
	if !utf8.ValidString(v) {
		return witness{}
	}
	var all []string
	for g := uniseg.NewGraphemes(v); g.Next(); {
		all = append(all, g.Str())
	}
	first, last := r.Args[0], r.Args[1]
	if len(all) < first+last+2 {
		return witness{}
	}
	kept := slices.Concat(all[:first], all[len(all)-last:])
	for _, g := range kept {
		if r, _ := utf8.DecodeRuneInString(g); len(g) > 16 || !unicode.IsPrint(r) || unicode.IsMark(r) {
			return witness{}
		}
	}
	return witness{first: strings.Join(kept[:first], ""), last: strings.Join(kept[first:], "")}
}

func witnessOfName(v string) witness {
	if !utf8.ValidString(v) {
		return witness{}
	}
	var all []string
	for g := uniseg.NewGraphemes(v); g.Next() && len(all) < 3; {
		all = append(all, g.Str())
	}
	if len(all) < 2 || len(all[0]) > 16 {
		return witness{}
	}
	if r, _ := utf8.DecodeRuneInString(all[0]); !unicode.IsLetter(r) {
		return witness{}
	}
	given := func(s string) bool { return strings.ContainsFunc(strings.ReplaceAll(s, "*", "a"), unicode.IsLetter) }
	if !given(v[len(all[0]):]) {
		return witness{}
	}
	if len(all) == 3 && given(v[len(all[0]+all[1]):]) {
		for _, c := range compoundSurnames {
			if all[0]+all[1] == string(c[:]) {
				return witness{first: all[0] + all[1]}
			}
		}
	}
	return witness{first: all[0]}
}

func witnessOfAddress(v string) witness {
	find := func(v string, r region) string {
		for _, c := range strings.Fields(r.cities) {
			if strings.HasPrefix(v, c) {
				if strings.HasPrefix(v, c+"场") {
					return ""
				}
				return c
			}
		}
		return ""
	}
	for _, r := range regions {
		if strings.HasPrefix(v, r.province) && !strings.HasPrefix(v, r.province+"场") {
			return witness{first: r.province + find(v[len(r.province):], r)}
		}
	}
	for _, r := range regions {
		if c := find(v, r); c != "" {
			return witness{first: c}
		}
	}
	return witness{}
}

func witnessOfBucket(r Rule, v string) witness {
	if !patternDecimal.MatchString(v) {
		return witness{}
	}
	rat, _ := new(big.Rat).SetString(v)
	whole := new(big.Int).Div(rat.Num(), rat.Denom()) // Euclidean, the divisor positive: floor
	digits, _, _ := strings.Cut(strings.TrimPrefix(v, "-"), ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > 1<<60+9 && n/10 > (1<<60)/10 {
		return witness{}
	}
	w := big.NewInt(int64(r.Args[0]))
	low := new(big.Int).Div(whole, w)
	low.Mul(low, w)
	if lowest := big.NewInt(-1 << 31); whole.Cmp(lowest) >= 0 && low.Cmp(lowest) < 0 {
		return witness{}
	}
	return witness{part: low.String()}
}
