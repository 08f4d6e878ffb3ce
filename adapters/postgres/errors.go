package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-data/weir/adapters"
)

// mapError gives an error its kind; over is why nobody waits any more, nil while
// somebody does. Of the server's words it keeps SQLSTATE and
// severity alone, of the network's nothing: the rest may quote a value or the
// address.
func (a *Adapter) mapError(over, err error) error {
	var known *adapters.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case a.isClosed():
		return &adapters.Error{Kind: adapters.Unavailable, Cause: errClosed}
	case over != nil:
		return overError(over)
	case errors.Is(err, errEncoding):
		return &adapters.Error{Kind: adapters.Invalid, Cause: errEncoding}
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return &adapters.Error{Kind: kindOf(e.Code), Cause: fmt.Errorf("postgres: %s, %sSQLSTATE %s", severity(e), meaning(e.Code), e.Code)}
	}
	return &adapters.Error{Kind: adapters.Unavailable, Cause: networkCause(err)}
}

func severity(e *pgconn.PgError) string {
	switch e.SeverityUnlocalized {
	case "FATAL", "PANIC":
		return "fatal"
	}
	return "error"
}

// meaning puts into words what an operator can do something about.
func meaning(code string) string {
	switch code {
	case "28000", "28P01":
		return "the user or its password is refused, "
	case "3D000":
		return "no such database, "
	case "42501":
		return "the user may not read that, "
	case "42P01":
		return "no such table, "
	case "42703":
		return "no such column, "
	case "53300":
		return "too many connections, "
	case "57014":
		return "the statement took too long or was canceled there, "
	case "57P01", "57P02", "57P03":
		return "the server is stopping or starting, "
	}
	return ""
}

// kindOf reads SQLSTATE, by class where the class says enough (PostgreSQL
// documentation, appendix A).
func kindOf(code string) adapters.Kind {
	switch code {
	case "57014", "55P03": // query_canceled (statement_timeout), lock_not_available
		return adapters.Timeout
	case "57P03", "40001", "40P01": // cannot_connect_now; a standby's conflict; deadlock
		return adapters.Unavailable
	case "3D000": // no such database
		return adapters.Unavailable
	}
	if len(code) < 2 {
		return adapters.Unavailable
	}
	switch code[:2] {
	case "08", "28", "53", "57", "58": // connection, authorization, resources, operator, system
		return adapters.Unavailable
	default:
		return adapters.Invalid
	}
}

var (
	errRefused   = errors.New("postgres: connection refused")
	errNoHost    = errors.New("postgres: host not found")
	errNetwork   = errors.New("postgres: connection failed or lost")
	errNoConnect = errors.New("postgres: no connection in time")
)

func networkCause(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return errRefused
	case errors.As(err, &dns):
		return errNoHost
	case errors.Is(err, context.DeadlineExceeded):
		return errNoConnect
	default:
		return errNetwork
	}
}

// overError tells a caller who went away from one whose time was up.
func overError(err error) error {
	kind := adapters.Canceled
	if errors.Is(err, context.DeadlineExceeded) {
		kind = adapters.Timeout
	}
	return &adapters.Error{Kind: kind, Cause: err}
}
