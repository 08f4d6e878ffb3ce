//go:build unix

package postgres

import (
	"syscall"
	"testing"
	"time"

	"github.com/weir-data/weir/adapters"
)

// TestLively: a connection whose server went away without a word while it was
// idle is found out before a fetch spends its time on it.
func TestLively(t *testing.T) {
	s := newServer(t)
	a := oneTable(t, s, 1)
	a.config.ConnectTimeout = 200 * time.Millisecond
	statement := compile(t, a, &adapters.Shape{Table: "t", Columns: []adapters.Column{text("a")}})
	fetched, err := statement.Fetch(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := fetched.(*rows)
	if !ok {
		t.Fatalf("rows are a %T", fetched)
	}
	// Its process is stopped, which looks like a network that swallows everything.
	conn := r.conn.Conn()
	pid := int(conn.PgConn().PID())
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Skip("SKIPPED: the server's processes are another's: ", err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	stateOf(conn).released = time.Now().Add(-time.Minute)
	start := time.Now()
	if _, err := fetchOne(t.Context(), statement); err != nil {
		t.Errorf("after a silent connection: %v", err)
	}
	if waited := time.Since(start); waited > 3*time.Second {
		t.Errorf("%s were spent on a silent connection", waited)
	}
	if !conn.IsClosed() {
		t.Error("the silent connection is still open")
	}
}
