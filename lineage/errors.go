package lineage

import (
	"errors"
	"fmt"
)

// Errors of the log.
var (
	// ErrLedgerUnavailable: the record cannot be put where it has to be. Nothing
	// may be served on it.
	ErrLedgerUnavailable = errors.New("ledger unavailable")
	// ErrClosed: the log has been closed.
	ErrClosed = errors.New("lineage log is closed")
	// ErrLocked: another process holds the folder.
	ErrLocked = errors.New("lineage log is in use by another process")
	// ErrForeign: the folder, or a file in it, is not this log's.
	ErrForeign = errors.New("not part of this lineage log")
	// ErrRecord: the record breaks its own rules; nothing was appended.
	ErrRecord = errors.New("lineage record is not valid")
	// ErrConfig: the configuration of the log is not usable.
	ErrConfig = errors.New("lineage log configuration is not valid")
	// ErrCorrupt is the kind of every [CorruptError].
	ErrCorrupt = errors.New("lineage log is corrupt")

	// errSync marks the error after which nothing is known of the disk.
	errSync = errors.New("sync failed")
)

// CorruptError names the place at which a log is not what was written.
type CorruptError struct {
	File   string
	Offset int64
	Reason string
}

// Error names file, offset and what is wrong there.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: %s at byte %d: %s", ErrCorrupt, e.File, e.Offset, e.Reason)
}

// Unwrap gives ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }
