package masks

import "strconv"

// maskYear gives the first day of the year, in the form of what it masks: a
// date stays a date, a time stays a time.
func maskYear(dst, src []byte) ([]byte, bool) { return truncate(dst, src, len("2006"), "-01-01") }

// maskMonth gives the first day of the month.
func maskMonth(dst, src []byte) ([]byte, bool) { return truncate(dst, src, len("2006-01"), "-01") }

func truncate(dst, src []byte, kept int, rest string) ([]byte, bool) {
	if !startsWithDate(src) {
		return dst, false
	}
	switch {
	case len(src) == len("2006-01-02"):
		return append(append(dst, src[:kept]...), rest...), true
	case timeOfDay(src[len("2006-01-02"):]):
		dst = append(append(dst, src[:kept]...), rest...)
		return append(dst, "T00:00:00Z"...), true
	}
	return dst, false
}

// startsWithDate reports whether s starts with a date that may exist.
func startsWithDate(s []byte) bool {
	if len(s) < len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return false
	}
	if !digits(s[:4]) || !digits(s[5:7]) || !digits(s[8:10]) {
		return false
	}
	month, day := (s[5]-'0')*10+s[6]-'0', (s[8]-'0')*10+s[9]-'0'
	return string(s[:4]) != "0000" && month >= 1 && month <= 12 && day >= 1 && day <= 31
}

// timeOfDay reports whether s is a time as adapters give it: T15:04:05[.fraction]Z.
func timeOfDay(s []byte) bool {
	if len(s) < len("T15:04:05Z") || s[0] != 'T' || s[3] != ':' || s[6] != ':' || s[len(s)-1] != 'Z' {
		return false
	}
	if !digits(s[1:3]) || !digits(s[4:6]) || !digits(s[7:9]) {
		return false
	}
	fraction := s[9 : len(s)-1]
	return len(fraction) == 0 || fraction[0] == '.' && len(fraction) > 1 && digits(fraction[1:])
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
