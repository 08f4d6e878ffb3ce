package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestMeanings: what an operator can mend is said in words, beside the number, and
// nothing of what the server says.
func TestMeanings(t *testing.T) {
	a := &Adapter{}
	for code, want := range map[string]string{
		"28P01": "postgres: fatal, the user or its password is refused, SQLSTATE 28P01",
		"3D000": "postgres: fatal, no such database, SQLSTATE 3D000",
		"42P01": "postgres: fatal, no such table, SQLSTATE 42P01",
		"22P02": "postgres: fatal, SQLSTATE 22P02",
	} {
		err := a.mapError(nil, &pgconn.PgError{Code: code, SeverityUnlocalized: "FATAL", Message: "canary", Detail: "canary", Hint: "canary"})
		if got := err.Error(); !strings.HasSuffix(got, want) || strings.Contains(got, "canary") {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}
