package sqlite

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/weir-data/weir/adapters"
)

// mapError gives an error its kind, and keeps of the driver's words the result
// code alone: the rest may quote what it failed on.
func mapError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var known *adapters.Error
	if errors.As(err, &known) {
		return known
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return unavailable(errors.New("sqlite: the driver failed"))
	}
	cause := fmt.Errorf("sqlite: result code %d%s", e.Code(), meaning(e.Code()))
	return &adapters.Error{Kind: kindOf(e.Code()), Cause: cause}
}

// meaning says what the operator is to look at, for the codes that a file has.
func meaning(code int) string {
	switch code & 0xff {
	case lib.SQLITE_CANTOPEN:
		return ": the file cannot be opened"
	case lib.SQLITE_ERROR:
		return ": no such table or column"
	case lib.SQLITE_NOTADB, lib.SQLITE_CORRUPT:
		return ": the file is no database, or damaged"
	case lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return ": no permission"
	case lib.SQLITE_FULL:
		return ": the disk is full"
	}
	return ""
}

func kindOf(code int) adapters.Kind {
	switch code & 0xff { // the rest of the bits is detail
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return adapters.Timeout
	case lib.SQLITE_INTERRUPT:
		return adapters.Canceled
	case lib.SQLITE_CANTOPEN, lib.SQLITE_IOERR, lib.SQLITE_PERM, lib.SQLITE_NOMEM, lib.SQLITE_PROTOCOL, lib.SQLITE_FULL:
		return adapters.Unavailable
	default:
		return adapters.Invalid
	}
}

func openError(err error) error {
	if errors.Is(err, errEncoding) {
		return &adapters.Error{Kind: adapters.Invalid, Cause: errEncoding}
	}
	return mapError(context.Background(), err)
}

// contextError tells a caller who went away from one whose time was up.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	kind := adapters.Canceled
	if errors.Is(err, context.DeadlineExceeded) {
		kind = adapters.Timeout
	}
	return &adapters.Error{Kind: kind, Cause: err}
}
