package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// The test binary runs itself as the node that is killed.
const roleVariable = "WEIR_LEDGER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(roleVariable); dir != "" {
		os.Exit(serveUntilKilled(dir, os.Getenv("WEIR_LEDGER_TEST_STEP")))
	}
	goleak.VerifyTestMain(m)
}

const origin = "node-a"

// node is a log with its ledger, in a folder.
type node struct {
	t   *testing.T
	dir string
	key *Key
	log *lineage.Log
	led *Ledger
}

func open(t *testing.T, dir string, change func(*lineage.Config, *Config)) *node {
	t.Helper()
	n, err := tryOpen(dir, change)
	if err != nil {
		t.Fatal(err)
	}
	n.t = t
	return n
}

func tryOpen(dir string, change func(*lineage.Config, *Config)) (*node, error) {
	lc := lineage.Config{Dir: dir, Origin: origin, SegmentSize: 16 << 10}
	c := Config{Dir: dir, Every: 5 * time.Millisecond, CheckpointEvery: 100 * time.Millisecond}
	if change != nil {
		change(&lc, &c)
	}
	ring, err := readingRing(dir)
	if err != nil {
		return nil, err
	}
	lc.Reading, c.Reading = ring.Box(readingUse), ring.Box(readingUse)
	log, err := lineage.Open(lc)
	if err != nil {
		return nil, err
	}
	c.Source = log
	if c.Key == nil {
		if c.Key, err = KeyFor(dir+".key", dir, lc.Origin); err != nil {
			_ = log.Close()
			return nil, err
		}
	}
	l, err := Open(c)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	return &node{dir: dir, key: c.Key, log: log, led: l}, nil
}

// readingUse is as internal/cli has it.
const readingUse = "ledger encryption"

// readingRing is the reading key beside a folder, made where there is none.
func readingRing(dir string) (*keyring.Ring, error) {
	ring, err := keyring.Load(dir + ".reading")
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if ring, err = keyring.Generate(); err != nil {
		return nil, err
	}
	return ring, errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), ring.Save(dir+".reading"))
}

// readingText is the file of the reading key.
func readingText(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(dir + ".reading")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (n *node) close() {
	n.t.Helper()
	if err := n.led.Close(); err != nil {
		n.t.Error(err)
	}
	if err := n.log.Close(); err != nil {
		n.t.Error(err)
	}
}

// append writes records that wait for the disk, and gives the last position.
func (n *node) append(count int) (last lineage.Position) {
	n.t.Helper()
	for i := range count {
		p, ticket, err := n.log.Append(context.Background(), record(i))
		if err == nil && (i == count-1 || i%7 == 0) {
			err = ticket.Wait(context.Background(), lineage.Synced)
		}
		if err != nil {
			n.t.Fatal(err)
		}
		last = p
	}
	return last
}

// proven waits until a checkpoint covers a record.
func (n *node) proven(p lineage.Position) {
	n.t.Helper()
	for end := time.Now().Add(20 * time.Second); n.led.Stats().Proven < p.Sequence; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatalf("no checkpoint covers %s: %+v", p, n.led.Stats())
		}
	}
}

func record(i int) *lineage.Record {
	r := &lineage.Record{
		RequestID: fmt.Sprintf("req-%08d", i), Kind: "query", Subject: "q83vEjRWeJCrze8SNFZ4kA",
		Application: "window", Department: "health", Roles: []string{"clerk"}, Purpose: "newborn-registration",
		Schema: "s1", Policy: fmt.Sprintf("p%d", i/50), Document: fmt.Sprintf("doc-%d", i%5),
		Uses: []lineage.Use{{
			Department: "health", Table: "person", Column: "name",
			Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: 2, Use: lineage.Select,
		}, {
			Department: "health", Table: "person", Column: "id_number",
			Coordinate: schema.Coordinate{Type: "Person", Field: "idNumber"}, Level: 3, Use: lineage.Filter,
		}},
		Counts: []lineage.Counts{{Masked: uint32(i%3 + 1)}, {}}, Rows: uint64(i%3 + 1),
		Sources: []lineage.SourceAge{{Department: "health"}, {Department: fmt.Sprintf("d%d", i%2)}},
		Status:  "ok", Level: 3,
	}
	r.Salt[0], r.Salt[1], r.Salt[2] = byte(i), byte(i>>8), 1
	r.Answer = lineage.AnswerDigest(r.Salt[:], []byte("data"), nil)
	tags := []lineage.SubjectTag{{1, 2, 3, byte(i)}}
	for t := range i % 20 / 19 * 80 { // now and then, a frame of their own
		tags = append(tags, lineage.SubjectTag{2, byte(i), byte(t)})
	}
	switch i % 3 {
	case 0: // whose they are is not told
		r.SetTags(tags)
	case 1:
		r.SetGroupedTags(lineage.GroupTags([][]lineage.SubjectTag{tags, nil}))
	default:
		r.SetGroupedTags(lineage.GroupTags([][]lineage.SubjectTag{slices.Clone(tags), tags[len(tags)/2:]}))
	}
	return r
}
