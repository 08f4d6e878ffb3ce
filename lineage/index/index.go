// Package index answers questions about the ledger: who read what, where a
// department's data went, who looked at one person.
//
// It promises that everything it says was derived from the log, up to a sequence
// that each answer names, and that it can be thrown away and made anew. It is
// not evidence: proofs come from the ledger. It does not decide who may ask.
package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weir-data/weir/lineage"
)

// Errors of the package.
var (
	// ErrForeign: the index was made from another log, or the log is not the
	// one it was.
	ErrForeign = errors.New("the index is not of this log")
	// ErrFormat: the index was made by another version.
	ErrFormat = errors.New("the index has another version's format")
	// ErrReadingKey: the log's records cannot be read without its reading key.
	ErrReadingKey = errors.New("the index needs the ledger's reading key")
	// ErrDamaged: what the database holds is not what was written there, or cannot
	// be read.
	ErrDamaged = errors.New("the index is damaged")
	// ErrStranger: the file is another database, or none; the schema of the database
	// has tables of somebody else.
	ErrStranger = errors.New("what is there is not the index")
	// ErrInUse: another process has the file open.
	ErrInUse = errors.New("another process has the index open")
	// ErrUnavailable: the database cannot be read or written.
	ErrUnavailable = errors.New("index unavailable")
)

// Config says where an index is.
type Config struct {
	Driver string // SQLite or Postgres
	Path   string // of the file, SQLite
	URL    string // of the database, Postgres; never in an error
	// Dir is the folder of this node's log, Reading what opens its records.
	Dir     string
	Reading lineage.Sealer
	// Archive is a folder with the segments that were archived out of Dir; "" for
	// none: the index then begins where the log does.
	Archive string
	// Poll is the pause between looks at the log; 100 ms.
	Poll time.Duration
	// Batch is the most records of one transaction; 4,096.
	Batch int
	// Share is how much of one processor's time [Index.Run] takes at most under
	// full Load, above 0 up to 1; 0.02. Under less it takes half. The index is
	// behind while more comes than that is enough for, and says how far.
	Share float64
	// Load tells how much others want the processors now; nil for Full.
	Load func() Load
}

func (x *Index) folder() lineage.Folder {
	return lineage.Folder{Dir: x.cfg.Dir, Reading: x.cfg.Reading, Archive: x.cfg.Archive}
}

// Index is an open index. Its queries are safe for concurrent use, also beside
// [Index.Run].
type Index struct {
	db       *sql.DB
	cfg      Config
	applied  notice
	origins  sync.Map // names by id
	reached  atomic.Uint64
	refused  atomic.Pointer[error] // why the index answers nothing; nil while it does
	prepared bool                  // the tables are there; for whoever reads the log
	// building is that records go in without their orders, see build.go.
	building bool
}

// Open opens the index and makes its tables in an empty database. The caller
// closes it.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	x, err := connect(cfg, false)
	if err != nil {
		return nil, err
	}
	if err := x.ready(ctx); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Attach opens the index for a node that serves with it or without. One that is
// damaged, or has no room, is no error: it answers nothing, [Index.Check] says why,
// and [Index.Run] tries it again.
func Attach(ctx context.Context, cfg Config) (*Index, error) {
	x, err := connect(cfg, false)
	if err != nil {
		return nil, err
	}
	if err := x.ready(ctx); err != nil && !Bearable(err) {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Bearable is whether a node can serve while its index has an error: nothing that
// was said wrongly at its start is.
func Bearable(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrForeign) || errors.Is(err, syscall.ENOSPC)
}

// anew opens the index with nothing in it: what was there is dropped. It is
// built, and answers, when [Index.CatchUp] has ended.
func anew(ctx context.Context, cfg Config) (*Index, error) {
	x, err := connect(cfg, true)
	if err != nil {
		return nil, err
	}
	if err := x.prepare(ctx, true); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	x.prepared = true
	return x, nil
}

func connect(cfg Config, building bool) (*Index, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = 100 * time.Millisecond
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 4096
	}
	if cfg.Share <= 0 || cfg.Share > 1 {
		cfg.Share = 0.02
	}
	db, err := open(cfg, building)
	if err != nil {
		return nil, cfg.unavailable(err)
	}
	return &Index{db: db, cfg: cfg}, nil
}

// ready sees to the tables, once. Until it has, the index answers nothing.
func (x *Index) ready(ctx context.Context) (err error) {
	if x.prepared {
		return nil
	}
	defer func() {
		if err != nil {
			x.refused.Store(&err)
		}
	}()
	if err := x.prepare(ctx, false); err != nil {
		return err
	}
	if x.building {
		// It was made anew and not brought to an end.
		if err := x.build(ctx); err != nil {
			return x.unavailable(err)
		}
	}
	x.prepared = true
	return nil
}

// prepare sees to the tables of a database that is ours, or has nothing in it. Into
// another, which the configuration names by mistake, it writes nothing.
func (x *Index) prepare(ctx context.Context, anew bool) error {
	if x.cfg.Driver == SQLite {
		// To connect as we do changes a file already. What else is wrong shows then.
		if err := onlyOurs(ctx, x.cfg.Path); errors.Is(err, ErrStranger) {
			return x.unavailable(err)
		}
	}
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return x.unavailable(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if x.cfg.Driver == Postgres {
		if err := onlyOursThere(ctx, tx); err != nil {
			return x.unavailable(err)
		}
	}
	if anew {
		if err := drop(ctx, tx, x.cfg.Driver); err != nil {
			return x.unavailable(err)
		}
	}
	there, err := exists(ctx, tx, x.cfg.Driver)
	if err != nil {
		return x.unavailable(err)
	}
	if !there {
		if err := create(ctx, tx, x.cfg.Driver, anew); err != nil {
			return x.unavailable(err)
		}
		x.building = anew
		return x.unavailable(tx.Commit())
	}
	var found string
	if err := tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'format'`).Scan(&found); err != nil {
		if err = x.unavailable(err); errors.Is(err, ErrDamaged) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if found != format {
		return fmt.Errorf("%w: %q, this is %q", ErrFormat, found, format)
	}
	var building int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM meta WHERE name = 'building'`).Scan(&building); err != nil {
		return x.unavailable(err)
	}
	x.building = building > 0
	return nil
}

// Close ends the index. Nothing may use it any more.
func (x *Index) Close() error { return x.db.Close() }

// Sequence is how far one node's log has been read.
type Sequence struct {
	Origin   string
	Epoch    uint32
	Sequence uint64
}

// Reached is the sequence up to which this process has read the log, or found it
// read; 0 before [Index.Run] has begun. It asks no database.
func (x *Index) Reached() uint64 { return x.reached.Load() }

// AsOf tells how far each node's log has been read, by origin.
func (x *Index) AsOf(ctx context.Context) ([]Sequence, error) {
	if err := x.ours(); err != nil {
		return nil, err
	}
	rows, err := x.db.QueryContext(ctx, `SELECT name, epoch, sequence FROM origin ORDER BY name`)
	if err != nil {
		return nil, x.unavailable(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end or given up
	out := []Sequence{}
	for rows.Next() {
		var s Sequence
		if err := rows.Scan(&s.Origin, &s.Epoch, &s.Sequence); err != nil {
			return nil, x.unavailable(err)
		}
		out = append(out, s)
	}
	return out, x.unavailable(rows.Err())
}
