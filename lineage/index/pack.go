package index

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/weir-data/weir/lineage"
)

// Counts are kept as runs, since most fields of a record have the same: the
// number of fields and which counts are not 0, then these.
const runBits = 3

func appendCounts(b []byte, counts []lineage.Counts) []byte {
	if b == nil {
		b = []byte{} // NOT NULL
	}
	for i := 0; i < len(counts); {
		n := 1
		for i+n < len(counts) && counts[i+n] == counts[i] {
			n++
		}
		values := [...]uint32{counts[i].Clear, counts[i].Masked, counts[i].Withheld}
		head := uint64(n) << runBits
		for bit, v := range values {
			if v != 0 {
				head |= 1 << bit
			}
		}
		b = binary.AppendUvarint(b, head)
		for _, v := range values {
			if v != 0 {
				b = binary.AppendUvarint(b, uint64(v))
			}
		}
		i += n
	}
	return b
}

var errCounts = fmt.Errorf("%w: the counts of a record do not parse", ErrDamaged)

// parseCounts reads the counts of so many uses; none at all are zeros.
func parseCounts(b []byte, uses int) ([]lineage.Counts, error) {
	out := make([]lineage.Counts, 0, uses)
	for len(b) > 0 {
		head, n := binary.Uvarint(b)
		if n <= 0 || head>>runBits == 0 || head>>runBits > uint64(uses-len(out)) {
			return nil, errCounts
		}
		b = b[n:]
		var c lineage.Counts
		for bit, v := range [...]*uint32{&c.Clear, &c.Masked, &c.Withheld} {
			if head&(1<<bit) == 0 {
				continue
			}
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, errCounts
			}
			*v, b = uint32(x), b[n:]
		}
		for range head >> runBits {
			out = append(out, c)
		}
	}
	if len(out) != 0 && len(out) != uses {
		return nil, errCounts
	}
	return out[:uses], nil
}

// Forms of a request id: our own are base64, others' often UUIDs. Their bytes
// take less room than their text.
const (
	plainRequest = iota
	uuidRequest
	base64Request
)

var dashes = [...]int{8, 13, 18, 23}

func packRequest(s string) []byte {
	if b, ok := packUUID(s); ok {
		return b
	}
	if b, err := base64.RawURLEncoding.Strict().AppendDecode([]byte{base64Request}, []byte(s)); err == nil && !strings.ContainsAny(s, "\r\n") {
		return b
	}
	return append([]byte{plainRequest}, s...)
}

func packUUID(s string) ([]byte, bool) {
	if len(s) != 36 {
		return nil, false
	}
	b := make([]byte, 1, 17)
	b[0] = uuidRequest
	digits := make([]byte, 0, 32)
	next := 0
	for i := range len(s) {
		if next < len(dashes) && i == dashes[next] {
			if s[i] != '-' {
				return nil, false
			}
			next++
			continue
		}
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil, false
		}
		digits = append(digits, s[i])
	}
	b, err := hex.AppendDecode(b, digits)
	return b, err == nil
}

var errRequest = fmt.Errorf("%w: the request id of a record does not parse", ErrDamaged)

func unpackRequest(b []byte) (string, error) {
	switch {
	case len(b) > 0 && b[0] == plainRequest:
		return string(b[1:]), nil
	case len(b) > 0 && b[0] == base64Request:
		return base64.RawURLEncoding.EncodeToString(b[1:]), nil
	case len(b) == 17 && b[0] == uuidRequest:
		text := make([]byte, 0, 36)
		for i, part := range [...][2]int{{1, 5}, {5, 7}, {7, 9}, {9, 11}, {11, 17}} {
			if i > 0 {
				text = append(text, '-')
			}
			text = hex.AppendEncode(text, b[part[0]:part[1]])
		}
		return string(text), nil
	default:
		return "", errRequest
	}
}
