package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/schema"
)

func TestSmoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?.db")
	db, err := sql.Open("sqlite", path[:len(path)-4]+".db")
	if err != nil {
		t.Fatal(err)
	}
	path = path[:len(path)-4] + ".db"
	for _, q := range []string{
		`create table p(id text collate nocase, n integer, f real, b boolean, d date, ts datetime, dec text)`, `create index pi on p(id)`,
		`insert into p values('alice',1,1.5,1,'2024-02-29','2024-01-01 10:00:00.50+08:00','1.10'),('Alice',2,-0.0,0,null,'2024-01-01T00:00:00Z','-12345678901234567890.123'),(null,3,1e300,1,'x',5,'9')`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	a, err := Open(DefaultConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	id := adapters.Column{Name: "id", Kind: schema.String}
	cols := []adapters.Column{id, {Name: "n", Kind: schema.Int}, {Name: "f", Kind: schema.Float}, {Name: "b", Kind: schema.Boolean}, {Name: "d", Kind: schema.Date}, {Name: "ts", Kind: schema.DateTime}, {Name: "dec", Kind: schema.Decimal}}
	for _, s := range []*adapters.Shape{
		{Table: "p", Columns: cols, Order: []adapters.Order{{Column: cols[6]}}},
		{Table: "p", Columns: cols[:2], Params: []adapters.Param{{}}, Where: adapters.Compare{Column: id, Op: schema.Eq}, Scopes: []adapters.Predicate{adapters.Compare{Column: id, Op: schema.Like}}},
		{Table: "p", Columns: cols[:2], Keys: []adapters.Column{id}, Order: []adapters.Order{{Column: cols[1], Desc: true}}},
		{Table: "p", Columns: cols[:2], Keys: []adapters.Column{id}, Order: []adapters.Order{{Column: cols[1], Desc: true}}, Limit: &adapters.Bound{Param: -1, Plus: 5}},
		{Table: "p", Keys: []adapters.Column{id}, Count: true},
	} {
		st, err := a.Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(st)
		var args []adapters.Arg
		if len(s.Params) > 0 {
			args = []adapters.Arg{{Text: "alice"}}
		}
		var keys *adapters.Keys
		if s.Keys != nil {
			keys = &adapters.Keys{}
			keys.Append([]byte("alice"))
			keys.Append([]byte("Alice"))
			keys.Append([]byte("x"))
		}
		r, err := st.Fetch(context.Background(), args, keys)
		if err != nil {
			t.Fatal(err)
		}
		var b adapters.Batch
		for r.Next(&b) == nil {
			for i := range b.Rows {
				for j := range b.Cols {
					x, null := b.Cell(i, j)
					fmt.Printf("%s %v %v|", x, null, b.IsBad(i, j))
				}
				fmt.Println(b.True[i], b.Unknown[i], b.Parent)
			}
		}
		r.Close()
	}
}
