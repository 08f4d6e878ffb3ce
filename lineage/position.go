package lineage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// String is the position's text, "node-a/7/184467": origin, epoch, sequence.
func (p Position) String() string {
	b := make([]byte, 0, len(p.Origin)+24)
	b = append(b, p.Origin...)
	b = append(b, '/')
	b = strconv.AppendUint(b, uint64(p.Epoch), 10)
	b = append(b, '/')
	return string(strconv.AppendUint(b, p.Sequence, 10))
}

// ParsePosition is the inverse of [Position.String]; every other spelling is an
// error.
func ParsePosition(s string) (Position, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || checkOrigin(parts[0]) != nil {
		return Position{}, errors.New(`a receipt has the form "origin/epoch/sequence"`)
	}
	epoch, err1 := strconv.ParseUint(parts[1], 10, 32)
	sequence, err2 := strconv.ParseUint(parts[2], 10, 64)
	p := Position{Origin: parts[0], Epoch: uint32(epoch), Sequence: sequence}
	// The comparison refuses signs, leading zeroes and the like.
	if err1 != nil || err2 != nil || epoch == 0 || sequence == 0 || p.String() != s {
		return Position{}, errors.New(`a receipt has the form "origin/epoch/sequence", both numbers from 1 up`)
	}
	return p, nil
}

// checkOrigin: an origin stands in receipts, file headers and later in the
// names of transparency logs, hence the narrow alphabet.
func checkOrigin(s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("%w: the origin has 1 to 64 characters", ErrConfig)
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '.' && c != '_') {
			return fmt.Errorf("%w: the origin %q may hold lower-case letters, digits and, after the first, - . _", ErrConfig, s)
		}
	}
	return nil
}
