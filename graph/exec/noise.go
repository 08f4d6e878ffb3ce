package exec

import (
	"encoding/binary"
	"math/big"

	"github.com/weir-data/weir/internal/keyring"
)

// noiseUse is the key ring's use for what is added to protected numbers.
const noiseUse = "cell noise"

// What noise is made of, in units of the contribution bound (see bound).
const (
	// outliers is how many of the largest contributions do not decide the
	// bound, and are cut to it.
	outliers = 2
	// setSpread is the width of the noise of a set: the sum of three uniform
	// numbers, centred and stretched to ±6, with a standard deviation of 2.
	setSpread = 4
	// personSpread is that of a person's own: ±1.5, with one of 0.5.
	personSpread = 1
)

// noise adds keyed noise to protected numbers, by the cell-key method: it is a
// function of the contributing persons and of what each contributes, whatever
// query named them. To ask again, or for the same set in other words, gives the
// same number; to subtract two numbers gives the difference of two noises.
type noise struct {
	ring   *keyring.Ring
	domain string // department and type
}

// contributors are the persons behind one number, by unit.
type contributors []map[uint32]*contribution

// amount picks what a person contributes to a number.
type amount func(*contribution) *number

func countOf(c *contribution) *number {
	x := &number{}
	x.n.SetInt64(c.rows)
	return x
}

func sumOf(c *contribution) *number { return &c.sum }

// protected is a number with noise: the contributions, each cut to the bound,
// plus the bound times what the set and, for sums, each person adds. what names
// the measured thing.
func (z noise) protected(what string, names []string, units contributors, of amount, personal bool) number {
	var best number
	var bound big.Int
	var lanes [2]uint64
	var own big.Int // the persons' own noise, in 2^-32 of the bound
	scale := 0
	for _, persons := range units {
		for _, c := range persons {
			scale = max(scale, of(c).scale)
		}
	}
	best.scale = scale
	for u, persons := range units {
		var largest [outliers + 1]big.Int // descending
		for _, c := range persons {
			x := of(c)
			x.align(scale)
			var size big.Int
			size.Abs(&x.n)
			for i := range largest {
				if size.Cmp(&largest[i]) > 0 {
					for j := len(largest) - 1; j > i; j-- {
						largest[j].Set(&largest[j-1])
					}
					largest[i].Set(&size)
					break
				}
			}
		}
		limit := &largest[outliers]
		var total, ownHere big.Int
		for id, c := range persons {
			x := of(c)
			digest := z.digest(what, u, names[id], x)
			lanes[0] += binary.BigEndian.Uint64(digest[:8])
			lanes[1] += binary.BigEndian.Uint64(digest[8:])
			if personal {
				ownHere.Add(&ownHere, centred(digest[:], personSpread))
			}
			switch {
			case x.n.CmpAbs(limit) <= 0:
				total.Add(&total, &x.n)
			case x.n.Sign() < 0:
				total.Sub(&total, limit)
			default:
				total.Add(&total, limit)
			}
		}
		// Of several units the one whose bound is larger is the one whose
		// persons need more noise.
		if u == 0 || limit.Cmp(&bound) > 0 {
			bound.Set(limit)
			best.n.Set(&total)
			own.Set(&ownHere)
		}
	}
	set := z.set(what, lanes)
	factor := centred(set[:], setSpread)
	factor.Add(factor, &own)
	var added big.Int
	divide(&added, factor.Mul(factor, &bound), big.NewInt(1<<32))
	best.n.Add(&best.n, &added)
	return best
}

// digest is the keyed hash of one person with what he contributes. Sums of such
// hashes tell sets apart, in whatever order the sets are read.
func (z noise) digest(what string, unit int, name string, x *number) [16]byte {
	msg := z.message('p', what)
	msg = binary.AppendUvarint(msg, uint64(unit)) //nolint:gosec // an index
	msg = binary.AppendUvarint(msg, uint64(len(name)))
	msg = append(msg, name...)
	return z.ring.Digest(noiseUse, x.text(msg))
}

// set is the keyed hash of a set, which its noise is made of.
func (z noise) set(what string, lanes [2]uint64) [16]byte {
	msg := z.message('s', what)
	msg = binary.BigEndian.AppendUint64(msg, lanes[0])
	return z.ring.Digest(noiseUse, binary.BigEndian.AppendUint64(msg, lanes[1]))
}

func (z noise) message(kind byte, what string) []byte {
	msg := append(make([]byte, 0, 128), kind)
	for _, s := range [...]string{z.domain, what} {
		msg = binary.AppendUvarint(msg, uint64(len(s)))
		msg = append(msg, s...)
	}
	return msg
}

// centred makes of 96 random bits a number around 0, in 2^-32: three uniform
// ones, whose sum is near a bell and has no tails, times spread.
func centred(random []byte, spread int64) *big.Int {
	t := int64(-3 << 31)
	for i := range 3 {
		t += int64(binary.BigEndian.Uint32(random[4*i:]))
	}
	return big.NewInt(t * spread)
}
