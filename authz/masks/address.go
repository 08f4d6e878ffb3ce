package masks

import "strings"

// maskAddress keeps what it finds in the table of regions and nothing else, so
// that no word of an address can pass for a region.
func maskAddress(dst, src []byte) ([]byte, bool) {
	for i := range regions {
		if rest, ok := cut(src, regions[i].province); ok && !market(rest) {
			dst = append(dst, regions[i].province...)
			return append(append(dst, cityOf(rest, &regions[i])...), "******"...), true
		}
	}
	for i := range regions {
		if city := cityOf(src, &regions[i]); city != "" {
			dst = append(dst, city...)
			break
		}
	}
	return append(dst, "******"...), true
}

// cityOf gives the city of the region with which an address goes on, or "".
func cityOf(address []byte, r *region) string {
	for rest := r.cities; rest != ""; {
		var city string
		city, rest, _ = strings.Cut(rest, " ")
		if after, ok := cut(address, city); ok {
			if market(after) {
				return ""
			}
			return city
		}
	}
	return ""
}

// market reports what follows a name of which the last character belongs to the
// next word: 朝阳市场 is a market, and may be anywhere.
func market(after []byte) bool {
	_, ok := cut(after, "场")
	return ok
}

func cut(b []byte, prefix string) (after []byte, ok bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return b, false
	}
	return b[len(prefix):], true
}
