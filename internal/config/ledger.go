package config

import (
	"path/filepath"
	"time"
)

// Ledger is where reads are recorded.
type Ledger struct {
	// Origin is the node's name in receipts.
	Origin string `yaml:"origin"`
	// Folder is the log's folder; "" for state/ledger.
	Folder string `yaml:"folder"`
	// Key is the file of the key that signs checkpoints and receipts, made at
	// the first start; "" for state/ledger.key.
	Key string `yaml:"key"`
	// ReadingKey is the file of the key ring that opens the records, made at the
	// first start; "" for state/ledger-reading.keys. It belongs to the office
	// that reads the ledger, not to whoever runs the node.
	ReadingKey string `yaml:"readingKey"`
	// Durability is what an answer waits for, by level: "written", "synced" or
	// "replicated". Levels not named wait for "synced", the lowest for "written".
	// Only the lowest may be "written", and none waits for less than a lower one.
	Durability map[string]string `yaml:"durability"`
	// RetentionMonths is for how many months after its own the records of a
	// month are kept at least: no act drops their key before. 36 or more.
	RetentionMonths int `yaml:"retentionMonths"`
	// Replica is the second machine that keeps the log, too; without an address
	// there is none.
	Replica Replica `yaml:"replica"`
	// Index is the database that questions about the ledger are answered from.
	// It is derived from the log; `weir lineage reindex` makes it anew.
	Index LedgerIndex `yaml:"index"`
	// Witnesses are servers of somebody else that cosign checkpoints (C2SP
	// tlog-witness); none by default.
	Witnesses []Witness `yaml:"witnesses"`
	// WitnessQuorum is how many must have cosigned before a checkpoint stands;
	// 0 for as many as answer in time. Answers never wait for it.
	WitnessQuorum int `yaml:"witnessQuorum"`
	// WitnessTimeout bounds the exchange about one checkpoint.
	WitnessTimeout time.Duration `yaml:"witnessTimeout"`
}

// Witness is one of them.
type Witness struct {
	// URL is where add-checkpoint is appended.
	URL string `yaml:"url"`
	// Key is its public key, as `weir lineage witness` prints it.
	Key string `yaml:"key"`
}

// Replica is a second machine on which `weir lineage replica` keeps the log.
type Replica struct {
	// Address is its host:port.
	Address string `yaml:"address"`
	// Key is its public key in base64: weir lineage replica-key FILE.
	Key string `yaml:"key"`
	// Identity is the file of this node's own key, made at the first start; ""
	// for state/replica.key.
	Identity string `yaml:"identity"`
	// Grace is, by level, how long an answer that waits for "replicated" does
	// before it is refused, counted from when the replica went away; 5s.
	Grace map[string]time.Duration `yaml:"grace"`
}

// LedgerIndex is where the ledger's index is kept.
type LedgerIndex struct {
	// Driver is "sqlite", or "postgres" where several nodes share an index.
	Driver string `yaml:"driver"`
	// Path is the file (sqlite); "" for state/index.db.
	Path string `yaml:"path"`
	// URL is the database (postgres), as a department's.
	URL Secret `yaml:"url"`
}

// complete names what the ledger keeps in the state folder where nothing else is
// said; at makes a path absolute.
func (l *Ledger) complete(state string, at func(*string)) {
	if l.Folder == "" {
		l.Folder = filepath.Join(state, "ledger")
	}
	at(&l.Folder)
	if l.Key == "" {
		l.Key = filepath.Join(state, "ledger.key")
	}
	at(&l.Key)
	if l.ReadingKey == "" {
		l.ReadingKey = filepath.Join(state, "ledger-reading.keys")
	}
	at(&l.ReadingKey)
	if l.Replica.Identity == "" {
		l.Replica.Identity = filepath.Join(state, "replica.key")
	}
	at(&l.Replica.Identity)
	if l.Index.Path == "" && l.Index.Driver == DriverSQLite {
		l.Index.Path = filepath.Join(state, "index.db")
	}
	at(&l.Index.Path)
}
