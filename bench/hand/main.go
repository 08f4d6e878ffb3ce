// Command hand is the limit that Weir is measured against: what a good engineer
// writes for exactly these five queries with net/http and pgx, with the same
// fetches and the same two masks, and with no tokens, decisions or ledger. Each
// request has its own statements: to send those of several requests as one, as
// weir does with look-ups by key, is not what one writes by hand.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weir-data/weir/authz/masks"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	pool := flag.Int("pool", 16, "connections per database")
	extensions := flag.String("extensions", "", "file with the extensions of each workload, by its name")
	flag.Parse()
	debug.SetGCPercent(400) // weir, whose memory is held to a budget, has 300
	if err := run(*listen, *pool, *extensions); err != nil {
		fmt.Fprintln(os.Stderr, "hand:", err)
		os.Exit(1)
	}
}

type server struct {
	people, insurance *pgxpool.Pool
	extensions        map[string]json.RawMessage
	name, phone       masks.Func
	buffers           sync.Pool
}

func run(listen string, connections int, extensions string) error {
	ctx := context.Background()
	s := &server{extensions: map[string]json.RawMessage{}, buffers: sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}}
	if extensions != "" {
		raw, err := os.ReadFile(extensions)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &s.extensions); err != nil {
			return err
		}
	}
	for _, p := range []struct {
		to  **pgxpool.Pool
		env string
	}{{&s.people, "BENCH_PUBLIC_SECURITY"}, {&s.insurance, "BENCH_SOCIAL_SECURITY"}} {
		config, err := pgxpool.ParseConfig(os.Getenv(p.env))
		if err != nil {
			return err
		}
		config.MaxConns = int32(connections)
		if *p.to, err = pgxpool.NewWithConfig(ctx, config); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		to   *masks.Func
		spec string
	}{{&s.name, "NAME"}, {&s.phone, "PHONE"}} {
		rule, err := masks.Parse(m.spec)
		if err != nil {
			return err
		}
		*m.to = rule.Bind(nil)
	}
	mux := http.NewServeMux()
	for name, handler := range map[string]func(context.Context, []byte, variables) ([]byte, error){
		"point": s.point, "list": s.list, "wide": s.wide, "nested": s.nested, "across": s.across,
	} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, name, handler) })
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}

type variables struct {
	ID       string `json:"id"`
	District string `json:"district"`
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, name string, handler func(context.Context, []byte, variables) ([]byte, error)) {
	var request struct {
		Query     string    `json:"query"`
		Variables variables `json:"variables"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	buffer := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buffer)
	b := append((*buffer)[:0], `{"data":`...)
	b, err = handler(r.Context(), b, request.Variables)
	*buffer = b
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		http.Error(w, "internal", http.StatusInternalServerError)
		return
	}
	b = append(b, `,"extensions":`...)
	b = append(b, s.extensions[name]...)
	b = append(b, '}')
	*buffer = b
	w.Header().Set("Content-Type", "application/graphql-response+json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

const personColumns = "id_number, name, sex, birth_date, phone, district, household_number, updated_at"

// formats of personColumns: text is the same in both, dates and moments are
// shorter in binary.
var formats = pgx.QueryResultFormats{1, 1, 1, 1, 1, 1, 1, 1}

func (s *server) point(ctx context.Context, b []byte, v variables) ([]byte, error) {
	rows, err := s.people.Query(ctx, "SELECT "+personColumns+" FROM person WHERE id_number = $1", formats, v.ID)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	b = append(b, `{"person":`...)
	if rows.Next() {
		b = s.person(b, rows.RawValues())
		b = append(b, '}')
	} else {
		b = append(b, "null"...)
	}
	return append(b, '}'), rows.Err()
}

func (s *server) list(ctx context.Context, b []byte, v variables) ([]byte, error) {
	return s.persons(ctx, b, "SELECT "+personColumns+" FROM person WHERE district = $1 ORDER BY id_number LIMIT 101", 100, v.District)
}

func (s *server) wide(ctx context.Context, b []byte, _ variables) ([]byte, error) {
	return s.persons(ctx, b, "SELECT "+personColumns+" FROM person ORDER BY id_number LIMIT 1001", 1000)
}

func (s *server) persons(ctx context.Context, b []byte, sql string, limit int, args ...any) ([]byte, error) {
	rows, err := s.people.Query(ctx, sql, append([]any{formats}, args...)...)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	b = append(b, `{"persons":[`...)
	for n := 0; n < limit && rows.Next(); n++ {
		if n > 0 {
			b = append(b, ',')
		}
		b = s.person(b, rows.RawValues())
		b = append(b, '}')
	}
	return append(b, "]}"...), rows.Err()
}

// parents reads the 50 persons of a district: the keys, and where each one's
// object ends in the buffer, for the children to be put there.
func (s *server) parents(ctx context.Context, district string) (ids []string, objects [][]byte, err error) {
	rows, err := s.people.Query(ctx, "SELECT "+personColumns+" FROM person WHERE district = $1 ORDER BY id_number LIMIT 51", formats, district)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	arena := make([]byte, 0, 16<<10)
	for len(ids) < 50 && rows.Next() {
		values := rows.RawValues()
		ids = append(ids, string(values[0]))
		start := len(arena)
		arena = s.person(arena, values)
		objects = append(objects, arena[start:len(arena):len(arena)])
	}
	return ids, objects, rows.Err()
}

func (s *server) nested(ctx context.Context, b []byte, v variables) ([]byte, error) {
	ids, objects, err := s.parents(ctx, v.District)
	if err != nil {
		return b, err
	}
	rows, err := s.people.Query(ctx, `SELECT k.ord, c.number, c.issued_on, c.district FROM unnest($1::text[]) WITH ORDINALITY AS k(id, ord)
		CROSS JOIN LATERAL (SELECT number, issued_on, district FROM residence_permit WHERE holder_id_number = k.id ORDER BY number LIMIT 4) AS c
		ORDER BY k.ord`, pgx.QueryResultFormats{1, 1, 1, 1}, ids)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	b = append(b, `{"persons":[`...)
	at, children := -1, 0
	closeUpTo := func(next int) {
		for ; at < next; at++ {
			if at >= 0 {
				b = append(b, "]}"...)
			}
			if at+1 < len(objects) {
				if at >= 0 {
					b = append(b, ',')
				}
				b = append(b, objects[at+1]...)
				b = append(b, `,"permits":[`...)
			}
			children = 0
		}
	}
	for rows.Next() {
		v := rows.RawValues()
		closeUpTo(int(binary.BigEndian.Uint64(v[0])) - 1)
		if children++; children > 3 {
			continue
		}
		if children > 1 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"number":`...), v[1])
		b = appendDate(append(b, `,"issuedOn":`...), v[2])
		b = appendText(append(b, `,"district":`...), v[3])
		b = append(b, '}')
	}
	closeUpTo(len(objects))
	return append(b, "]}"...), rows.Err()
}

func (s *server) across(ctx context.Context, b []byte, v variables) ([]byte, error) {
	ids, objects, err := s.parents(ctx, v.District)
	if err != nil {
		return b, err
	}
	rows, err := s.insurance.Query(ctx, `SELECT k.ord, c.card_number, c.months_paid, c.active FROM unnest($1::text[]) WITH ORDINALITY AS k(id, ord)
		JOIN insurance_account AS c ON c.holder_id_number = k.id ORDER BY k.ord`, pgx.QueryResultFormats{1, 1, 1, 1}, ids)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	b = append(b, `{"persons":[`...)
	next := 0
	until := func(n int) {
		for ; next < n; next++ {
			if next > 0 {
				b = append(b, ',')
			}
			b = append(b, objects[next]...)
			b = append(b, `,"insurance":null}`...)
		}
	}
	for rows.Next() {
		v := rows.RawValues()
		ord := int(binary.BigEndian.Uint64(v[0])) - 1
		until(ord)
		if next > 0 {
			b = append(b, ',')
		}
		b = append(b, objects[ord]...)
		b = appendText(append(b, `,"insurance":{"cardNumber":`...), v[1])
		b = append(b, `,"monthsPaid":`...)
		b = strconv.AppendInt(b, int64(binary.BigEndian.Uint64(v[2])), 10)
		b = append(b, `,"active":`...)
		b = strconv.AppendBool(b, v[3][0] != 0)
		b = append(b, "}}"...)
		next = ord + 1
	}
	until(len(objects))
	return append(b, "]}"...), rows.Err()
}

// person writes a person's object without its closing brace.
func (s *server) person(b []byte, v [][]byte) []byte {
	b = appendText(append(b, `{"idNumber":`...), v[0])
	b = appendMasked(append(b, `,"name":`...), v[1], s.name)
	b = appendText(append(b, `,"sex":`...), v[2])
	b = appendDate(append(b, `,"birthDate":`...), v[3])
	b = appendMasked(append(b, `,"phone":`...), v[4], s.phone)
	b = appendText(append(b, `,"district":`...), v[5])
	b = appendText(append(b, `,"householdNumber":`...), v[6])
	return appendMoment(append(b, `,"updatedAt":`...), v[7])
}

func appendText(b, v []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	start := 0
	for i, c := range v {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, v[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(append(b, v[start:]...), '"')
}

func appendMasked(b, v []byte, mask masks.Func) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	mark := len(b)
	b = append(b, '"')
	b, ok := mask(b, v)
	if !ok {
		return append(b[:mark], "null"...)
	}
	return append(b, '"')
}

func epoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

func appendDate(b, v []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = epoch().AddDate(0, 0, int(int32(binary.BigEndian.Uint32(v)))).AppendFormat(b, "2006-01-02")
	return append(b, '"')
}

func appendMoment(b, v []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = epoch().Add(time.Duration(binary.BigEndian.Uint64(v))*time.Microsecond).AppendFormat(b, "2006-01-02T15:04:05.999999Z")
	return append(b, '"')
}
