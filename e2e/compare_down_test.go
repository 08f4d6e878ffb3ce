package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/schema"
)

// TestCompareWithGraphQLJSWhileDown is the comparison while one department after
// the other does not answer, since its tables are gone: null and an error in the
// fields that lead to it, everywhere in the query, and everything else as ever.
// When the tables are back, so are the answers, without a restart.
func TestCompareWithGraphQLJSWhileDown(t *testing.T) {
	count := 60
	if os.Getenv("WEIR_SOAK") != "" {
		count = 1_500
	}
	dir := prepare(t, "")
	data := filepath.Join(dir, "data")
	if err := guangdong.WriteSQLite(t.Context(), data, guangdong.Options{People: people}, nil); err != nil {
		t.Fatal(err)
	}
	c := catalogue(t, dir)
	rows := readRows(t, c, data)
	reference := startReference(t, c, rows)
	s := start(t, dir)
	for i, department := range guangdong.Departments() {
		types, tables := ofDepartment(c, department)
		rename(t, filepath.Join(data, department+".db"), tables, "", "gone_")
		got := compare(t, s, reference, c, rows, uint64(2_000+i), count, types)
		if got.partial == 0 {
			t.Errorf("%s: no answer had an error", department)
		}
		rename(t, filepath.Join(data, department+".db"), tables, "gone_", "")
	}
	if got := compare(t, s, reference, c, rows, 3_000, count/2, nil); got.partial > 0 {
		t.Errorf("%d errors when all departments are back", got.partial)
	}
}

// ofDepartment gives a department's types and tables.
func ofDepartment(c *schema.Catalogue, department string) (types, tables []string) {
	for name, typ := range c.Types {
		if typ.Source.Department == department {
			types = append(types, name)
			tables = append(tables, typ.Source.Table)
		}
	}
	slices.Sort(types)
	slices.Sort(tables)
	return types, slices.Compact(tables)
}

func rename(t *testing.T, path string, tables []string, from, to string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, table := range tables {
		if _, err := db.ExecContext(t.Context(), `ALTER TABLE "`+from+table+`" RENAME TO "`+to+table+`"`); err != nil {
			t.Fatal(err)
		}
	}
}
