package cli

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// auditors adds the public keys that keygen printed, as officers does:
// auditors weir.yaml zhao.out.
func auditors(ts *testscript.TestScript, neg bool, args []string) {
	before := ts.ReadFile(args[0])
	officers(ts, neg, args)
	added, _ := strings.CutPrefix(ts.ReadFile(args[0]), before)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(before+strings.Replace(added, "officers:", "auditors:", 1)), 0o600))
}

// publicOf puts the public key that keygen printed into a variable: officerkey
// zhao.out NAME.
func publicOf(ts *testscript.TestScript, _ bool, args []string) {
	key := regexp.MustCompile(`key: "(.*)"`).FindStringSubmatch(ts.ReadFile(args[0]))
	if key == nil {
		ts.Fatalf("no key in %s", args[0])
	}
	ts.Setenv(args[1], key[1])
}

// oldLog opens the stopped ledger of a configuration at a time of long ago, and
// gives the reading key and the folder.
func oldLog(ts *testscript.TestScript, path string, at time.Time) (*lineage.Log, *config.Config) {
	cfg, err := config.Load(ts.MkAbs(path))
	ts.Check(err)
	reading, err := loadReading(cfg.Ledger.ReadingKey)
	ts.Check(err)
	log, err := lineage.Open(lineage.Config{
		Dir: cfg.Ledger.Folder, Origin: cfg.Ledger.Origin, Reading: reading, Clock: func() time.Time { return at },
	})
	ts.Check(err)
	return log, cfg
}

// oldRecords appends records of long ago to a stopped ledger, their request ids
// old-MONTH-RANK-N: oldrecords weir.yaml 2020-01 RANK N.
func oldRecords(ts *testscript.TestScript, _ bool, args []string) {
	month, err := lineage.ParseMonth(args[1])
	ts.Check(err)
	rank, err := strconv.Atoi(args[2])
	ts.Check(err)
	n, err := strconv.Atoi(args[3])
	ts.Check(err)
	log, _ := oldLog(ts, args[0], month.Start().Add(36*time.Hour))
	for i := range n {
		_, ticket, err := log.Append(context.Background(), &lineage.Record{
			RequestID: "old-" + args[1] + "-" + args[2] + "-" + strconv.Itoa(i) + "!", Kind: "query", Operation: "Old" + args[2], Subject: "s-1",
			Department: "police", Status: "ok", Level: schema.Rank(rank), //nolint:gosec // a level's
			Uses:   []lineage.Use{{Department: "police", Table: "person", Column: "name", Coordinate: schema.Coordinate{Type: "Person", Field: "name"}, Level: schema.Rank(rank)}}, //nolint:gosec // a level's
			Counts: []lineage.Counts{{Clear: 1}},
		})
		ts.Check(err)
		ts.Check(ticket.Wait(context.Background(), lineage.Written))
	}
	ts.Check(log.Close())
}

// beginDrop leaves a stopped ledger as a crash within a drop does: the act is in
// the key's place and, with "recorded", in the log, and the key still there:
// begindrop weir.yaml ACT [recorded].
func beginDrop(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[1])
	var name, month, level string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "month "); ok {
			month = v
		}
		if v, ok := strings.CutPrefix(line, "level "); ok {
			level = v
		}
	}
	name = month + "." + level
	cfg, err := config.Load(ts.MkAbs(args[0]))
	ts.Check(err)
	path := filepath.Join(cfg.Ledger.Folder, lineage.KeysFolder, name)
	key, err := os.ReadFile(path + ".key")
	ts.Check(err)
	if len(args) < 3 {
		ts.Check(os.WriteFile(path+".dropped", []byte(text), 0o600))
		return
	}
	keys, err := lineage.Keys(lineage.Folder{Dir: cfg.Ledger.Folder})
	ts.Check(err)
	log, _ := oldLog(ts, args[0], time.Now())
	for _, k := range keys {
		if k.Name.String() == name {
			act := lineage.Act{Name: k.Name, Key: k.Key, Text: text}
			ts.Check(log.Drop(context.Background(), act, act.Record()))
		}
	}
	ts.Check(log.Close())
	ts.Check(os.WriteFile(path+".key", key, 0o600))
}

// holds waits until a text is, or is no more, among the bytes of a database's
// files: [!] holds FILE TEXT.
func holds(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all := ts.ReadFile(args[0])
		if log, err := os.ReadFile(ts.MkAbs(args[0]) + "-wal"); err == nil {
			all += string(log)
		}
		if strings.Contains(all, args[1]) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s: %q, and the other is expected", args[0], args[1])
		}
	}
}
