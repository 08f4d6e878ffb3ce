package cell

import (
	"bytes"

	"github.com/weir-data/weir/schema"
)

// Dates are of the years 1 to 9999: what four digits can say and what every
// engine can hold.

const (
	secondsPerDay = 86400
	// daysToYear1 and daysToYear10000 are 0001-01-01 and 10000-01-01, in days
	// since 1970-01-01.
	daysToYear1     = -719162
	daysToYear10000 = 2932897
)

// AppendDate appends a date given in days since 1970-01-01.
func AppendDate(dst []byte, days int64) ([]byte, bool) {
	if days < daysToYear1 || days >= daysToYear10000 {
		return dst, false
	}
	year, month, day := civil(days)
	c, y, m, d := 2*(year/100), 2*(year%100), 2*month, 2*day
	return append(dst, pairs[c], pairs[c+1], pairs[y], pairs[y+1], '-', pairs[m], pairs[m+1], '-', pairs[d], pairs[d+1]), true
}

// pairs are the numbers below 100 in two digits each.
const pairs = "0001020304050607080910111213141516171819" +
	"2021222324252627282930313233343536373839" +
	"4041424344454647484950515253545556575859" +
	"6061626364656667686970717273747576777879" +
	"8081828384858687888990919293949596979899"

// AppendDateTime appends an instant given in microseconds since
// 1970-01-01T00:00:00Z.
func AppendDateTime(dst []byte, micros int64) ([]byte, bool) {
	const perDay = secondsPerDay * 1_000_000
	days, rest := micros/perDay, micros%perDay
	if rest < 0 {
		days, rest = days-1, rest+perDay
	}
	out, ok := AppendDate(dst, days)
	if !ok {
		return dst, false
	}
	out = append(out, 'T')
	out = appendClock(out, rest)
	return append(out, 'Z'), true
}

// AppendTime appends a time of day given in microseconds since midnight.
func AppendTime(dst []byte, micros int64) ([]byte, bool) {
	if micros < 0 || micros >= secondsPerDay*1_000_000 {
		return dst, false
	}
	return appendClock(dst, micros), true
}

func appendClock(dst []byte, micros int64) []byte {
	s, frac := micros/1_000_000, micros%1_000_000
	dst = appendSeconds(dst, s)
	if frac == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(100_000); frac > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit))
		frac %= unit
	}
	return dst
}

func appendSeconds(dst []byte, s int64) []byte {
	h, m, s := 2*(s/3600), 2*(s/60%60), 2*(s%60)
	return append(dst, pairs[h], pairs[h+1], ':', pairs[m], pairs[m+1], ':', pairs[s], pairs[s+1])
}

func appendDateText(dst, text []byte) ([]byte, bool) {
	if _, ok := parseDate(text); !ok {
		return dst, false
	}
	return append(dst, text...), true
}

func appendTimeText(dst, text []byte) ([]byte, bool) {
	c, rest, ok := parseClock(text)
	if !ok || len(rest) > 0 {
		return dst, false
	}
	return appendFraction(appendSeconds(dst, c.seconds), c.fraction), true
}

func appendDateTimeText(dst, text []byte) ([]byte, bool) {
	t, ok := parseInstant(text)
	if !ok {
		return dst, false
	}
	days := floorDiv(t.seconds, secondsPerDay)
	out, ok := AppendDate(dst, days)
	if !ok {
		return dst, false
	}
	out = append(out, 'T')
	out = appendSeconds(out, t.seconds-days*secondsPerDay)
	out = appendFraction(out, t.fraction)
	return append(out, 'Z'), true
}

func appendFraction(dst, fraction []byte) []byte {
	if len(fraction) == 0 {
		return dst
	}
	dst = append(dst, '.')
	return append(dst, fraction...)
}

// instant is a point in time: seconds since the epoch (or since midnight), and
// the digits of the fraction without trailing zeros, so that instants compare
// as (seconds, fraction as bytes).
type instant struct {
	seconds  int64
	fraction []byte
}

func (a instant) compare(b instant) int {
	switch {
	case a.seconds < b.seconds:
		return -1
	case a.seconds > b.seconds:
		return 1
	default:
		return bytes.Compare(a.fraction, b.fraction)
	}
}

// parseInstant takes a date and a time of day, separated by "T" or a blank,
// then nothing or "Z" for UTC, or an offset as in ISO 8601.
func parseInstant(text []byte) (instant, bool) {
	if len(text) < 19 || (text[10] != 'T' && text[10] != ' ') {
		return instant{}, false
	}
	days, ok := parseDate(text[:10])
	if !ok {
		return instant{}, false
	}
	t, rest, ok := parseClock(text[11:])
	if !ok {
		return instant{}, false
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return instant{}, false
	}
	t.seconds += days*secondsPerDay - offset
	return t, true
}

func parseDate(text []byte) (days int64, ok bool) {
	if len(text) != 10 || text[4] != '-' || text[7] != '-' || !digits(text[:4]) {
		return 0, false
	}
	y := int64(text[0]-'0')*1000 + int64(text[1]-'0')*100 + int64(text[2]-'0')*10 + int64(text[3]-'0')
	m, okM := twoDigits(text[5:7], 12)
	d, okD := twoDigits(text[8:10], 31)
	if !okM || !okD || y == 0 || m == 0 || d == 0 || d > daysIn(y, m) {
		return 0, false
	}
	return daysOf(y, m, d), true
}

// parseClock reads 15:04:05 with an optional fraction; rest is what follows.
func parseClock(text []byte) (t instant, rest []byte, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return instant{}, nil, false
	}
	h, okH := twoDigits(text[:2], 23)
	m, okM := twoDigits(text[3:5], 59)
	s, okS := twoDigits(text[6:8], 59)
	if !okH || !okM || !okS {
		return instant{}, nil, false
	}
	t.seconds, rest = h*3600+m*60+s, text[8:]
	if len(rest) > 0 && rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 1 {
			return instant{}, nil, false
		}
		t.fraction, rest = bytes.TrimRight(rest[1:n], "0"), rest[n:]
	}
	return t, rest, true
}

// parseOffset reads "", "Z", "+08", "+0800", "+08:00" or "+08:00:00", in seconds.
func parseOffset(text []byte) (int64, bool) {
	if len(text) == 0 || string(text) == "Z" {
		return 0, true
	}
	sign := int64(1)
	switch text[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false
	}
	var parts [3]int64
	limits := [3]int64{23, 59, 59}
	text = text[1:]
	for i := range parts {
		if i > 0 && len(text) > 0 && text[0] == ':' {
			text = text[1:]
		}
		if len(text) < 2 {
			return 0, false
		}
		v, ok := twoDigits(text[:2], limits[i])
		if !ok {
			return 0, false
		}
		parts[i], text = v, text[2:]
		if len(text) == 0 {
			return sign * (parts[0]*3600 + parts[1]*60 + parts[2]), true
		}
	}
	return 0, false
}

func twoDigits(text []byte, limit int64) (int64, bool) {
	if !digits(text[:2]) {
		return 0, false
	}
	v := int64(text[0]-'0')*10 + int64(text[1]-'0')
	return v, v <= limit
}

// daysOf gives a date of the proleptic Gregorian calendar in days since
// 1970-01-01. Years start in March here, so that a leap day is a year's last.
func daysOf(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yearOfEra := y - era*400
	dayOfYear := (153*((m+9)%12)+2)/5 + d - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468
}

// civil is the other way, for the years 1 to 9999. Quotients and remainders come
// of one multiplication each, as C. Neri and L. Schneider show in "Euclidean
// affine functions and their application to calendar algorithms" (2022).
func civil(days int64) (y, m, d uint32) {
	// A year further back, so that January and February of year 1 count up too.
	const toMarchYear0 = 719468
	n := 4*uint32(days+toMarchYear0) + 3 //nolint:gosec // the caller's days are of the year 1 at least
	century, ofCentury := n/146097, n%146097
	p := uint64(2939745) * uint64(ofCentury|3)
	ofCenturyYear, ofYear := uint32(p>>32), uint32(p)/2939745/4 //nolint:gosec // the halves of a product
	q := 2141*ofYear + 197913
	y, m, d = 100*century+ofCenturyYear, q>>16, (q&0xffff)/2141+1
	if ofYear >= 306 { // January and February
		return y + 1, m - 12, d
	}
	return y, m, d
}

func daysIn(y, m int64) int64 {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Micros rounds a canonical DateTime or Time to microseconds, down or up, for
// engines that hold no more; exact tells whether it was of microseconds
// already. ok is false when there is no such value.
func Micros(kind schema.Scalar, text string, up bool) (rounded string, exact, ok bool) {
	var t instant
	switch kind {
	case schema.DateTime:
		t, ok = parseInstant([]byte(text))
	case schema.Time:
		t, _, ok = parseClock([]byte(text))
	}
	if !ok || len(t.fraction) <= 6 {
		return text, ok, ok
	}
	micros := t.seconds * 1_000_000
	for unit, i := int64(100_000), 0; i < 6; unit, i = unit/10, i+1 {
		micros += int64(t.fraction[i]-'0') * unit
	}
	if up {
		micros++
	}
	var out []byte
	if kind == schema.DateTime {
		out, ok = AppendDateTime(nil, micros)
	} else {
		out, ok = AppendTime(nil, micros)
	}
	return string(out), false, ok
}
