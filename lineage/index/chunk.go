package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
)

// posting says that a record of a node's log is about a person, and from which of
// its departments he came.
type posting struct {
	tag, time, sequence int64
	from                departmentSet
}

// compare orders postings: a person's are together, the oldest first.
func (p posting) compare(o posting) int {
	if p.tag != o.tag { // mostly
		return cmp.Compare(p.tag, o.tag)
	}
	return cmp.Or(cmp.Compare(p.time, o.time), cmp.Compare(p.sequence, o.sequence))
}

// A chunk holds postings in their order, as one value of a row:
//
//	4 bytes   checksum of the rest (CRC-32C)
//	4 bytes   how many bytes a step between tags, a time, a sequence and a set of
//	          departments have
//	uvarint   how many postings there are
//	24 bytes  the first tag, the least time, the least sequence
//	for each tag
//	  step    from the tag before, 0 for the first
//	  uvarint how many postings it has, then for each
//	    time, sequence   less the least
//	    departments      that he came from; mostly none of all have a byte
//	8 bytes   zero, so that every number is read with one load
//
// All numbers but uvarints have their least byte first. Tags are a MAC's bits, so
// the steps between them are about alike, and one width suits all.
const (
	chunkHead     = 4 + 4
	chunkBase     = 3 * 8
	chunkTail     = 8
	chunkPostings = 1024 // at most
)

var errChunk = fmt.Errorf("%w: a chunk of persons is not what was written", ErrDamaged)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// widths are of the numbers of a chunk, in bytes.
type widths struct{ step, time, sequence, from int }

func width(most uint64) int { return (bits.Len64(most) + 7) / 8 }

// mask keeps so many bytes of a load.
func mask(width int) uint64 {
	if width == 0 {
		return 0
	}
	return math.MaxUint64 >> (64 - 8*width)
}

// appendChunk appends a chunk of at least one posting and at most chunkPostings,
// which are in order, each once.
func appendChunk(b []byte, list []posting) []byte {
	var most struct{ step, time, sequence, from uint64 }
	leastTime, leastSequence := list[0].time, list[0].sequence
	mostTime, mostSequence := leastTime, leastSequence
	for i := range list {
		p := &list[i]
		if i > 0 {
			most.step = max(most.step, uint64(p.tag)-uint64(list[i-1].tag)) //nolint:gosec // what wraps around comes back
		}
		leastTime, mostTime = min(leastTime, p.time), max(mostTime, p.time)
		leastSequence, mostSequence = min(leastSequence, p.sequence), max(mostSequence, p.sequence)
		most.from = max(most.from, uint64(p.from))
	}
	most.time = uint64(mostTime) - uint64(leastTime)             //nolint:gosec // as above
	most.sequence = uint64(mostSequence) - uint64(leastSequence) //nolint:gosec // as above
	w := widths{width(most.step), width(most.time), width(most.sequence), width(most.from)}

	start := len(b)
	room := chunkHead + binary.MaxVarintLen64 + chunkBase + len(list)*(w.step+2+w.time+w.sequence+w.from) + chunkTail
	b = slices.Grow(b, room)
	b = append(b, 0, 0, 0, 0, byte(w.step), byte(w.time), byte(w.sequence), byte(w.from)) //nolint:gosec // at most 8
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range [...]int64{list[0].tag, leastTime, leastSequence} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v)) //nolint:gosec // the bits
	}
	to := b[len(b) : start+room]
	last := list[0].tag
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].tag == list[0].tag {
			n++
		}
		binary.LittleEndian.PutUint64(to, uint64(list[0].tag)-uint64(last)) //nolint:gosec // as above
		last = list[0].tag
		if n < 0x80 {
			to[w.step] = byte(n)
			to = to[w.step+1:]
		} else {
			to = to[w.step+binary.PutUvarint(to[w.step:], uint64(n)):]
		}
		for i := range list[:n] {
			p := &list[i]
			binary.LittleEndian.PutUint64(to, uint64(p.time)-uint64(leastTime)) //nolint:gosec // as above
			to = to[w.time:]
			binary.LittleEndian.PutUint64(to, uint64(p.sequence)-uint64(leastSequence)) //nolint:gosec // as above
			to = to[w.sequence:]
			binary.LittleEndian.PutUint64(to, uint64(p.from))
			to = to[w.from:]
		}
		list = list[n:]
	}
	binary.LittleEndian.PutUint64(to, 0)
	b = b[:start+room-len(to)+chunkTail]
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

// chunk is one whose head has been read.
type chunk struct {
	w              widths
	postings       int
	tag            int64 // the first
	time, sequence int64 // the least
	body           []byte
}

func openChunk(b []byte) (c chunk, err error) {
	if len(b) < chunkHead || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return c, errChunk
	}
	c.w = widths{int(b[4]), int(b[5]), int(b[6]), int(b[7])}
	if max(c.w.step, c.w.time, c.w.sequence, c.w.from) > 8 {
		return c, errChunk
	}
	b = b[chunkHead:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n == 0 || n > chunkPostings || len(b) < size+chunkBase+chunkTail {
		return c, errChunk
	}
	b = b[size:]
	c.postings = int(n)
	c.tag = int64(binary.LittleEndian.Uint64(b))           //nolint:gosec // the bits
	c.time = int64(binary.LittleEndian.Uint64(b[8:]))      //nolint:gosec // the bits
	c.sequence = int64(binary.LittleEndian.Uint64(b[16:])) //nolint:gosec // the bits
	c.body = b[chunkBase:]
	return c, nil
}

// readChunk appends all postings of a chunk.
func readChunk(to []posting, b []byte) ([]posting, error) {
	c, err := openChunk(b)
	if err != nil {
		return nil, err
	}
	return c.read(slices.Grow(to, c.postings), math.MinInt64, math.MaxInt64)
}

// readTag appends the postings of one tag, and passes by the others. first is the
// tag that the chunk begins with.
func readTag(to []posting, b []byte, first, tag int64) ([]posting, error) {
	c, err := openChunk(b)
	if err != nil {
		return nil, err
	}
	if c.tag != first {
		return nil, errChunk
	}
	return c.read(to, tag, tag)
}

// read appends the postings of the tags from low to high. What it does for each
// posting is all there is to merging, so it is in one piece.
func (c *chunk) read(to []posting, low, high int64) ([]posting, error) {
	stepMask, timeMask, sequenceMask, fromMask := mask(c.w.step), mask(c.w.time), mask(c.w.sequence), mask(c.w.from)
	stepWidth, timeWidth, sequenceWidth, fromWidth := c.w.step, c.w.time, c.w.sequence, c.w.from
	b, tag, left, first := c.body, c.tag, c.postings, true
	for left > 0 {
		if len(b) < stepWidth+1+chunkTail {
			return nil, errChunk
		}
		step := binary.LittleEndian.Uint64(b) & stepMask
		next := int64(uint64(tag) + step) //nolint:gosec // what wraps around is found
		if first != (step == 0) || next < tag {
			return nil, errChunk
		}
		tag, first = next, false
		n, size := int(b[stepWidth]), 1
		if n >= 0x80 {
			long, more := binary.Uvarint(b[stepWidth:])
			if more <= 0 || long > uint64(left) { //nolint:gosec // above 0
				return nil, errChunk
			}
			n, size = int(long), more //nolint:gosec // not above left
		}
		b = b[stepWidth+size:]
		if n == 0 || n > left || len(b) < n*(timeWidth+sequenceWidth+fromWidth)+chunkTail {
			return nil, errChunk
		}
		left -= n
		if tag > high {
			return to, nil
		}
		if tag < low {
			b = b[n*(timeWidth+sequenceWidth+fromWidth):]
			continue
		}
		last := posting{tag: tag, time: math.MinInt64, sequence: math.MinInt64}
		for i := range n {
			time := int64(uint64(c.time) + binary.LittleEndian.Uint64(b)&timeMask) //nolint:gosec // as above
			b = b[timeWidth:]
			sequence := int64(uint64(c.sequence) + binary.LittleEndian.Uint64(b)&sequenceMask) //nolint:gosec // as above
			b = b[sequenceWidth:]
			last.from = departmentSet(binary.LittleEndian.Uint64(b) & fromMask)
			b = b[fromWidth:]
			if time < c.time || sequence < c.sequence ||
				i > 0 && (time < last.time || time == last.time && sequence <= last.sequence) {
				return nil, errChunk
			}
			last.time, last.sequence = time, sequence
			to = append(to, last)
		}
	}
	if len(b) != chunkTail {
		return nil, errChunk
	}
	return to, nil
}
