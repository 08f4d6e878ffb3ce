package cli

import (
	"fmt"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/adapters/postgres"
	"github.com/weir-data/weir/adapters/sqlite"
	"github.com/weir-data/weir/internal/config"
)

// openAdapter is the one place where engines are wired.
func openAdapter(d config.Department) (adapters.Adapter, error) {
	switch d.Driver {
	case config.DriverSQLite:
		c := sqlite.DefaultConfig(d.Path)
		c.MaxConns, c.ConnectTimeout, c.StatementTimeout = d.Pool, d.ConnectTimeout, d.Timeout
		return sqlite.Open(c)
	case config.DriverPostgres:
		c := postgres.DefaultConfig(d.URL.Reveal())
		c.MaxConns, c.ConnectTimeout, c.StatementTimeout = d.Pool, d.ConnectTimeout, d.Timeout
		return postgres.Open(c)
	default:
		return nil, fmt.Errorf("unknown driver %q", d.Driver)
	}
}
