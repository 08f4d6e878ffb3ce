package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/weir-data/weir/lineage"
)

// batchMagic is the first line of every leaf of the tree; see
// docs/ledger-format.md.
const batchMagic = "weir batch v1"

// Batch is a leaf of the tree: the frames of a log behind the record before
// First, up to and with the record Last, which has the batch's epoch as have all
// its records. A batch without records, whose Last is before its First, is a
// heartbeat: up to its time there was nothing more.
type Batch struct {
	Origin      string
	Epoch       uint32
	First, Last uint64
	Frames      int
	Time        int64 // microseconds since 1970, when the batch was closed
	Root        tlog.Hash
}

// Records is how many there are.
func (b *Batch) Records() uint64 { return b.Last + 1 - b.First }

// text is the leaf.
func (b *Batch) text() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%d\n%d %d\n%d\n%d\n%s\n", batchMagic, b.Origin, b.Epoch,
		b.First, b.Last, b.Frames, b.Time, base64.StdEncoding.EncodeToString(b.Root[:]))
}

// parseBatch is the inverse of text; every other spelling is an error.
func parseBatch(text []byte) (b Batch, err error) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 8 || lines[0] != batchMagic {
		return b, fmt.Errorf("%w: a leaf is not a batch", ErrTree)
	}
	b.Origin = lines[1]
	first, last, _ := strings.Cut(lines[3], " ")
	epoch, err1 := strconv.ParseUint(lines[2], 10, 32)
	b.Epoch = uint32(epoch)
	var err2, err3, err4, err5 error
	b.First, err2 = strconv.ParseUint(first, 10, 64)
	b.Last, err3 = strconv.ParseUint(last, 10, 64)
	b.Frames, err4 = strconv.Atoi(lines[4])
	b.Time, err5 = strconv.ParseInt(lines[5], 10, 64)
	root, err6 := base64.StdEncoding.DecodeString(lines[6])
	copy(b.Root[:], root)
	for _, err := range [...]error{err1, err2, err3, err4, err5, err6} {
		if err != nil {
			return b, fmt.Errorf("%w: a batch does not parse", ErrTree)
		}
	}
	if string(b.text()) != string(text) {
		return b, fmt.Errorf("%w: a batch is spelt in another way", ErrTree)
	}
	return b, nil
}

// leafOf is what a batch's tree holds of a frame. What a record refers to is
// bound to it by its own commitment.
func leafOf(f *lineage.Frame) tlog.Hash { return tlog.RecordHash(f.Hash[:]) }

// rootOf is the Merkle root (RFC 9162, 2.1.1) over leaf hashes.
func rootOf(leaves []tlog.Hash) tlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := split(len(leaves))
	return tlog.NodeHash(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

// pathOf is the inclusion proof (RFC 9162, 2.1.3) of a leaf.
func pathOf(leaves []tlog.Hash, i int) []tlog.Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(pathOf(leaves[:k], i), rootOf(leaves[k:]))
	}
	return append(pathOf(leaves[k:], i-k), rootOf(leaves[:k]))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for k<<1 < n {
		k <<= 1
	}
	return k
}
