package lineage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Reconciliation is what came of holding kept answers against a ledger.
type Reconciliation struct {
	Answers  int // with data or a receipt
	Refusals int // without either: 401, 503, …, which are recorded in counts or not at all
	Again    int // lines that repeat an answer to the byte
	Records  int // in the ledger
	// Redacted are the answers whose record is there and says nothing any more:
	// its key was dropped.
	Redacted int
	// Surplus are records that no answer of the file names: what others asked,
	// what is no answer at all, and answers that never arrived.
	Surplus int
	// Unexplained are the answers without exactly one record of their own, at
	// most MaxUnexplained of them; Failures is their number.
	Unexplained []Unexplained
	Failures    int
}

// MaxUnexplained is how many answers a reconciliation names.
const MaxUnexplained = 100

// Unexplained is an answer that the ledger does not explain.
type Unexplained struct {
	Line    int    // of the file, from 1
	Receipt string // "" for none
	Reason  string // holds nothing of the answer
}

// ErrAnswers is a file that does not hold answers as they came.
var ErrAnswers = errors.New("not a file of answers, one JSON response a line")

// kept is an answer as its client kept it; data and errors are its bytes.
type kept struct {
	Data, Errors json.RawMessage
	Extensions   struct {
		Weir struct{ Receipt string }
	}
}

// bound is what the ledger says of the answer with a receipt.
type bound struct {
	salt, digest [16]byte
	records      int
	redacted     bool
	line         int // of the first answer with this receipt; 0 for none yet
}

// Reconcile holds answers that clients kept, one JSON response a line and
// unchanged, against the log in a folder: each answer must have exactly one
// record, and be to the byte the one that the record was made for. The folder
// needs its reading key; ErrReadingKey where it has none. It reads
// answers twice, keeps about 100 bytes of each, and may run beside the writer.
func Reconcile(f Folder, answers io.ReadSeeker) (*Reconciliation, error) {
	wanted := map[Position]*bound{}
	out := &Reconciliation{}
	first := uint64(0) // record of the folder
	err := eachAnswer(answers, func(_ int, k *kept, _ error) {
		if at, err := ParsePosition(k.Extensions.Weir.Receipt); err == nil {
			wanted[at] = &bound{}
		}
	})
	if err != nil {
		return nil, err
	}
	for e, err := range Read(f, 0) {
		if err != nil {
			return nil, err
		}
		if out.Records++; out.Records == 1 {
			first = e.Position.Sequence
		}
		b := wanted[e.Position]
		if b == nil {
			out.Surplus++
			continue
		}
		if e.Content == Sealed {
			return nil, fmt.Errorf("%w: the record %s is sealed", ErrReadingKey, e.Position)
		}
		b.records++
		b.redacted = e.Content == Redacted
		b.salt, b.digest = e.Record.Salt, e.Record.Answer
	}
	if _, err := answers.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return out, eachAnswer(answers, func(line int, k *kept, malformed error) {
		out.hold(line, k, malformed, wanted, first)
	})
}

// hold judges one answer.
func (r *Reconciliation) hold(line int, k *kept, malformed error, wanted map[Position]*bound, first uint64) {
	receipt := k.Extensions.Weir.Receipt
	fail := func(reason string) {
		r.Failures++
		if len(r.Unexplained) < MaxUnexplained {
			r.Unexplained = append(r.Unexplained, Unexplained{line, receipt, reason})
		}
	}
	if malformed != nil {
		r.Answers++
		fail("it is no whole JSON response")
		return
	}
	if receipt == "" && k.Data == nil {
		r.Refusals++
		return
	}
	r.Answers++
	at, err := ParsePosition(receipt)
	switch b := wanted[at]; {
	case receipt == "":
		fail("it has data and no receipt")
	case err != nil:
		fail("its receipt is none")
	case b.records == 0 && at.Sequence < first:
		fail("its record is not in this folder, which begins later: name the archive that it is in")
	case b.records == 0:
		fail("the ledger has no record of it")
	case b.records > 1:
		fail(fmt.Sprintf("the ledger has %d records at its place", b.records))
	case b.redacted:
		r.Redacted++
	case AnswerDigest(b.salt[:], k.Data, k.Errors) != b.digest && b.line > 0:
		fail(fmt.Sprintf("another answer, in line %d, has its receipt", b.line))
	case AnswerDigest(b.salt[:], k.Data, k.Errors) != b.digest:
		fail("the record is of other bytes than these")
	case b.line > 0:
		r.Answers--
		r.Again++
	default:
		b.line = line
	}
}

// maxAnswer bounds a line: a response is bounded by the limits on rows and bytes.
const maxAnswer = 1 << 30

// eachAnswer reads a file of responses line by line; a line that is no whole
// response comes with an error. Lines that are empty are left out.
func eachAnswer(file io.Reader, take func(line int, k *kept, malformed error)) error {
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 64<<10), maxAnswer)
	n := 0
	none := true
	for lines.Scan() {
		n++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		if n == 1 && text[0] != '{' {
			return fmt.Errorf("%w: line 1 does not begin with {", ErrAnswers)
		}
		none = false
		var k kept
		err := json.Unmarshal(slices.Clone(text), &k)
		if err != nil {
			k = kept{}
		}
		take(n, &k, err)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrAnswers, n+1, err)
	}
	if none {
		return fmt.Errorf("%w: it is empty", ErrAnswers)
	}
	return nil
}
