package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-data/weir/examples/guangdong"
	"github.com/weir-data/weir/schema"
)

// Canaries that are not in rows: in tokens, passwords, drivers' errors, requests.
const (
	canaryToken    = "demo-Tq7wCanaryTokenXv93"
	canaryStranger = "Zk2sStrangersTokenPw81"
	canaryPassword = "Pw5hCanaryPasswordJd62"
	canaryDriver   = "Dr8nCanaryOfTheDriver47"
	canaryVariable = "Va3bCanaryInVariables19"
	canaryCase     = "Ca6mCanaryOfTheCase5520"
)

// canaryPolicy lets a reader see every row and everything masked, compare some,
// and no more.
const canaryPolicy = `
p, blind,  public_security,   *,               L4, *, all, mask,  allow
p, blind,  health,            *,               L4, *, all, mask,  allow
p, blind,  market_regulation, *,               L4, *, all, mask,  allow
p, blind,  social_security,   *,               L4, *, all, mask,  allow
p, blind,  public_security,   Person.idNumber, L4, *, all, match, allow
p, blind,  public_security,   Person.name,     L4, *, all, match, allow
`

// flock is what must be nowhere, by its first eight bytes.
type flock map[string][]bird

// bird is one disguise of a canary.
type bird struct {
	word, what string
	number     bool // stands for itself only between other characters than letters and digits
}

func (f flock) add(word, what string, number bool) {
	f[word[:8]] = append(f[word[:8]], bird{word, what, number})
}

// plant adds a canary in all its disguises.
func (f flock) plant(what, canary string) {
	reversed := []byte(canary)
	slices.Reverse(reversed)
	f.add(canary, what, false)
	f.add(string(reversed), what+", reversed", false)
	f.add(hex.EncodeToString([]byte(canary)), what+", in hex", false)
	f.add(strings.ToUpper(hex.EncodeToString([]byte(canary))), what+", in hex", false)
	f.add(url.QueryEscape(canary), what+", for a URL", false)
	f.add(strings.Trim(fmt.Sprintf("%+q", canary), `"`), what+", escaped", false)
	for shift := range 3 { // wherever it starts among three bytes
		raw := append(make([]byte, shift), canary...)
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := strings.TrimRight(e.EncodeToString(raw), "=")
			f.add(text[(shift*8+5)/6:len(text)-1], what+", in base64", false)
		}
	}
}

// made plants a canary that the test made up, and its ends: no mask shows eight
// bytes.
func (f flock) made(what, canary string) {
	f.plant(what, canary)
	reversed := []byte(canary)
	slices.Reverse(reversed)
	f.add(canary[:8], what+", its first eight bytes", false)
	f.add(canary[len(canary)-8:], what+", its last eight bytes", false)
	f.add(string(reversed[:8]), what+", reversed, eight bytes", false)
}

// seen gives what of the flock stands in a text, "" for nothing.
func (f flock) seen(text []byte) string {
	for i := 0; i+8 <= len(text); i++ {
		for _, b := range f[string(text[i:i+8])] {
			end := i + len(b.word)
			if !bytes.HasPrefix(text[i:], []byte(b.word)) {
				continue
			}
			if !b.number || (i == 0 || !alphanumeric(text[i-1])) && (end == len(text) || !alphanumeric(text[end])) {
				return b.what + ": " + b.word
			}
		}
	}
	return ""
}

func alphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// TestCanaries plants canaries wherever a value can stand, asks as readers who
// are cleared for none of them, breaks things, and looks for a canary in
// everything that the program lets out.
func TestCanaries(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		dir := prepareCanaries(t, "")
		c := catalogue(t, dir)
		if err := guangdong.WriteSQLite(t.Context(), filepath.Join(dir, "data"), guangdong.Options{People: 60}, nil); err != nil {
			t.Fatal(err)
		}
		f := newFlock()
		open := func(d string) *sql.DB {
			db, err := sql.Open("sqlite", filepath.Join(dir, "data", d+".db"))
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		values := map[schema.Coordinate][]any{}
		for _, d := range guangdong.Departments() {
			db := open(d)
			plantRows(t, f, c, d, values, func(text string) { mustExec(t, db, text) }, func(text string) []string { return column(t, db, text) })
			_ = db.Close()
		}
		watch(t, dir, c, f, values, func() {
			db := open("public_security")
			defer func() { _ = db.Close() }()
			mustExec(t, db, `ALTER TABLE household RENAME TO household_kept`)
			mustExec(t, db, `CREATE VIEW household AS SELECT k.*, k.`+canaryDriver+` AS broken FROM household_kept k`)
			health := open("health")
			defer func() { _ = health.Close() }()
			// Values of the wrong kind.
			mustExec(t, health, `UPDATE birth_certificate SET weight = '`+canaryDriver+`', born_at = '`+canaryDriver+`'`)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		server := postgresOrSkip(t)
		const prefix = "weir_canaries"
		if err := guangdong.WritePostgres(t.Context(), server, prefix, guangdong.Options{People: 61}, nil); err != nil {
			t.Fatal(err)
		}
		dir := prepareCanaries(t, postgresDepartments(t, server, prefix))
		c := catalogue(t, dir)
		f := newFlock()
		connect := func(d string) *pgx.Conn {
			conn, err := pgx.Connect(t.Context(), strings.Replace(server, "/postgres?", "/"+guangdong.DatabaseName(prefix, d)+"?", 1))
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		run := func(conn *pgx.Conn, text string) {
			if _, err := conn.Exec(t.Context(), text); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
		}
		values := map[schema.Coordinate][]any{}
		for _, d := range guangdong.Departments() {
			conn := connect(d)
			plantRows(t, f, c, d, values, func(text string) { run(conn, text) }, func(text string) []string {
				rows, err := conn.Query(t.Context(), text)
				if err != nil {
					t.Fatal(err)
				}
				all, err := pgx.CollectRows(rows, pgx.RowTo[*string])
				if err != nil {
					t.Fatal(err)
				}
				return notNull(all)
			})
			_ = conn.Close(t.Context())
		}
		watch(t, dir, c, f, values, func() {
			conn := connect("public_security")
			defer func() { _ = conn.Close(t.Context()) }()
			run(conn, `CREATE OR REPLACE FUNCTION boom() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '`+canaryDriver+`' USING DETAIL = '`+canaryDriver+`', HINT = '`+canaryDriver+`'; END $$`)
			run(conn, `ALTER TABLE household RENAME TO household_kept`)
			run(conn, `CREATE VIEW household AS SELECT k.* FROM household_kept k WHERE boom() IS NOT NULL`)
		})
		// The example's databases are made anew only when they are gone.
		conn := connect("public_security")
		defer func() { _ = conn.Close(t.Context()) }()
		run(conn, `DROP VIEW household`)
		run(conn, `ALTER TABLE household_kept RENAME TO household`)
	})
}

func newFlock() flock {
	f := flock{}
	for what, canary := range map[string]string{
		"a token": canaryToken, "a stranger's token": canaryStranger, "a password": canaryPassword, "a driver's error": canaryDriver,
		"a variable": canaryVariable, "a case number": canaryCase,
	} {
		f.made(what, canary)
	}
	return f
}

// prepareCanaries is the example with the canaries' readers and one department
// that cannot be reached.
func prepareCanaries(t *testing.T, departments string) string {
	t.Helper()
	dir := prepare(t, departments)
	raw, err := os.ReadFile(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_E2E_REFUSED", "postgres://somebody:"+canaryPassword+"@127.0.0.1:1/"+canaryPassword+"?connect_timeout=1")
	text := strings.Replace(string(raw), "tokens:\n  demo:\n", "tokens:\n  demo:\n"+
		"    "+canaryToken+": {subject: blind-1, department: testing, roles: [blind], purposes: [case-handling]}\n"+
		"    demo-nobody: {subject: nobody-1, department: testing, roles: [nobody], purposes: [case-handling]}\n", 1)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "  social_security:") {
			lines[i] = `  social_security: {driver: postgres, url: "${WEIR_E2E_REFUSED}", titles: {zh: 人社, en: social security}}`
		}
	}
	write(t, filepath.Join(dir, "weir.yaml"), strings.Join(lines, "\n"))
	write(t, filepath.Join(dir, "policy", "canaries.csv"), canaryPolicy)
	return dir
}

// plantRows puts a canary of its own into every cell of every text column that
// relates to nothing, and takes what stands in the other columns for one.
func plantRows(t *testing.T, f flock, c *schema.Catalogue, department string, values map[schema.Coordinate][]any, run func(string), read func(string) []string) {
	t.Helper()
	related := map[schema.Coordinate]bool{}
	for _, name := range c.TypeNames() {
		typ := c.Types[name]
		for _, field := range typ.Fields {
			if field.Relation == nil {
				continue
			}
			for i := range field.Relation.Fields {
				related[schema.Coordinate{Type: name, Field: field.Relation.Fields[i]}] = true
				related[schema.Coordinate{Type: field.Relation.Target, Field: field.Relation.References[i]}] = true
			}
		}
	}
	for _, name := range c.TypeNames() {
		typ := c.Types[name]
		if typ.Source.Department != department {
			continue
		}
		for _, field := range typ.Fields {
			if field.Relation != nil || field.List || field.Enum != nil || field.Kind == schema.Boolean {
				continue
			}
			key := slices.Contains(typ.Source.Key, field.Column)
			what := field.Coordinate.String()
			from := `SELECT CAST(` + field.Column + ` AS TEXT) FROM ` + typ.Source.Table
			switch {
			case field.Kind == schema.String && !key && !related[field.Coordinate]:
				run(`UPDATE ` + typ.Source.Table + ` SET ` + field.Column + ` = 'q' || substr('` + strings.ToLower(field.Name) + `wxyz', 1, 4) || (10000000 + row_no) || 'zK'`)
				for _, v := range read(from) {
					f.made(what, v)
					values[field.Coordinate] = append(values[field.Coordinate], v)
				}
			case field.Kind == schema.String:
				for _, v := range read(from) {
					if len(v) >= 10 {
						f.plant(what, v)
					}
					values[field.Coordinate] = append(values[field.Coordinate], v)
				}
			case field.Kind == schema.Int:
				run(`UPDATE ` + typ.Source.Table + ` SET ` + field.Column + ` = 1900000000 + row_no`)
				for _, v := range read(from) {
					f.add(v, what, true)
				}
			}
		}
	}
}

// watch runs the repertoire as readers who are cleared for nothing, and then a
// control as one who is cleared for everything.
func watch(t *testing.T, dir string, c *schema.Catalogue, f flock, values map[schema.Coordinate][]any, damage func()) {
	s := start(t, dir)
	r := rand.New(rand.NewPCG(11, 11))
	sent := 0
	send := func(request *http.Request, at string, quiet bool) []byte {
		t.Helper()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		sent++
		var whole bytes.Buffer
		fmt.Fprintln(&whole, response.Status)
		_ = response.Header.Write(&whole)
		whole.Write(body)
		if what := f.seen(whole.Bytes()); what != "" && !quiet {
			t.Errorf("%s: the answer holds %s\n%s", at, what, whole.Bytes())
		}
		return whole.Bytes()
	}
	post := func(token, body string) *http.Request {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/graphql", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("X-Weir-Purpose", "case-handling")
		request.Header.Set("X-Weir-Case", canaryCase)
		return request
	}
	nobody := map[string][]map[string]any{} // verifications state values drawn from the others
	for _, name := range c.TypeNames() {
		nobody[name] = []map[string]any{{}}
	}
	random := func(n int) {
		for i := range n {
			g := &generator{r: r, c: c, values: values, people: nobody, role: role{}}
			text, variables := g.query()
			token := []string{canaryToken, canaryToken, "demo-nobody", canaryStranger}[i%4]
			request := post(token, `{"query":`+printJSON(text)+`,"variables":`+variables+`}`)
			if i%3 == 0 {
				request, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/graphql?"+url.Values{"query": {text}, "variables": {variables}}.Encode(), nil)
				request.Header.Set("Authorization", "Bearer "+token)
				request.Header.Set("X-Weir-Purpose", "case-handling")
			}
			send(request, "a random query", false)
		}
	}
	random(60)
	everything := everyField(c)
	for _, query := range everything {
		send(post(canaryToken, `{"query":`+printJSON(query)+`}`), query, false)
	}
	for _, body := range invalid(values) {
		send(post(canaryToken, body), body, false)
	}
	for _, path := range []string{"/schema.graphql", "/metrics", "/healthz", "/readyz", "/", "/" + canaryVariable, "/graphql?query={__typename}&x=" + canaryVariable} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		request.Header.Set("Authorization", "Bearer "+canaryToken)
		send(request, path, false)
	}
	for _, token := range []string{canaryToken, "demo-auditor", "demo-security", "demo-operator"} {
		request := post(token, `{"query":"{ me { __typename } catalog { departments { name types { name fields { name level { name } mask { spec preserves } } } } } }"}`)
		request.URL.Path = "/control/graphql"
		request.Header.Del("X-Weir-Purpose")
		send(request, "the control graph", false)
	}
	// Reloads, good and bad.
	write(t, filepath.Join(dir, "policy", "broken.csv"), "p, blind, "+"nowhere, *, L9, *, all, clear, allow\n")
	time.Sleep(300 * time.Millisecond)
	random(12)
	if err := os.Remove(filepath.Join(dir, "policy", "broken.csv")); err != nil {
		t.Fatal(err)
	}
	damage()
	for _, query := range everything {
		send(post(canaryToken, `{"query":`+printJSON(query)+`}`), query, false)
	}
	random(30)
	metrics, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/metrics", nil)
	send(metrics, "/metrics", false)
	explained(t, dir, f, everything[0])
	t.Logf("%d answers, a flock of %d beginnings", sent, len(f))
	if what := f.seen(s.log.Bytes()); what != "" {
		t.Errorf("the log holds %s", what)
	}
	for _, department := range []string{"public_security", "social_security"} {
		if !strings.Contains(s.log.String(), `"a department's fetch failed"`) || !strings.Contains(s.log.String(), department) {
			t.Errorf("nothing failed in %s: no driver's error was provoked\n%s", department, s.tail())
		}
	}
	searchFiles(t, filepath.Join(dir, "state"), f)
	// The control: whoever is cleared finds them.
	found := 0
	for _, query := range everything {
		if f.seen(send(post("demo-e2e-reader", `{"query":`+printJSON(query)+`}`), "the control", true)) != "" {
			found++
		}
	}
	if found < len(everything)/2 {
		t.Errorf("with everything cleared only %d of %d answers held a canary: the search is blind", found, len(everything))
	}
}

// everyField lists each type, with every leaf of it.
func everyField(c *schema.Catalogue) []string {
	var out []string
	for name, root := range c.Roots {
		if root.Kind != schema.RootList || root.Abstract {
			continue
		}
		var b strings.Builder
		for _, field := range c.Types[root.Type].Fields {
			if field.Relation == nil {
				b.WriteString(" " + field.Name)
			}
		}
		out = append(out, "{ "+name+"(limit: 200) { _ref"+b.String()+" } }")
	}
	slices.Sort(out)
	return out
}

// invalid are requests that cannot be answered, each with a canary among its
// values. Names that a query makes up are its own and stand in GraphQL's errors.
func invalid(values map[schema.Coordinate][]any) []string {
	id, _ := values[schema.Coordinate{Type: "Person", Field: "idNumber"}][0].(string)
	v := canaryVariable
	return []string{
		v, `{"query":"` + v, `{"` + v + `":1}`, `{"query":"{ persons(limit: \"` + v + `\") { name } }"}`,
		`{"query":"{ persons(where: {sex: {_eq: \"` + v + `\"}}) { name } }"}`, `{"query":"{ persons(where: \"` + v + `\") { name } }"}`,
		`{"query":"{ person(idNumber: ` + id + `) { name } }"}`, `{"query":"{ person(idNumber: [\"` + v + `\"]) { nothing } }"}`,
		`{"query":"{ persons(unknown: \"` + v + `\") { name } }"}`, `{"query":"{ persons @include(if: \"` + v + `\") { name } }"}`,
		`{"query":"query($x: Int = \"` + v + `\") { persons(limit: $x) { name } }"}`, `{"query":"{ persons(where: {bornOn: {_eq: \"` + v + `\"}}) { name } }"}`,
		`{"query":"query($x: Int) { persons(limit: $x) { name } }","variables":{"x":"` + v + `"}}`,
		`{"query":"query($x: Date) { persons(where: {bornOn: {_eq: $x}}) { name } }","variables":{"x":"` + v + `"}}`,
		`{"query":"query($x: Sex) { persons(where: {sex: {_eq: $x}}) { name } }","variables":{"x":"` + v + `"}}`,
		`{"query":"query($x: String!) { person(idNumber: $x) { name } }","variables":{"x":["` + v + `"]}}`,
		`{"query":"query($w: PersonWhere) { persons(where: $w) { name } }","variables":{"w":{"idNumber":{"_eq":"` + id + `"}}}}`,
		`{"query":"query($w: PersonWhere) { persons(where: $w) { name } }","variables":{"w":"` + v + `"}}`,
		`{"query":"query($o: [PersonOrder!]) { persons(orderBy: $o) { name } }","variables":{"o":[{"name":"` + v + `"}]}}`,
		`{"query":"query($a: String) { personsConnection(after: $a) { totalCount } }","variables":{"a":"` + v + `"}}`,
		`{"query":"{ personByRef(ref: \"` + v + `\") { name } }"}`, `{"query":"{ __type(name: \"` + v + `\") { name } }"}`,
		`{"query":"{ person(idNumber: \"` + id + `\") { name idNumber phone } personMatch(idNumber: \"` + id + `\", expect: {name: \"` + v + `\"}) }"}`,
		`{"query":"{ __typename }","operationName":"` + v + `"}`, `{"documentId":"sha256:` + v + `"}`, `{"query":"{ __typename }","extensions":{"` + v + `":"` + v + `"}}`,
		`{"query":"{ __typename }","variables":["` + v + `"]}`, `[{"query":"` + v + `"}]`, `{"query":"{ __typename }","query":"` + v + `"}`, "{\"query\":\"\xff" + v + "\"}",
		`{"query":"{ persons(where: {name: {_eq: \"` + v + `"}`, `{"query":"{ \"` + v + `\" }"}`, `{"query":"# ` + v + `\n{ persons(where: {name: {_eq: \"` + v + `\\x\"}}) { name } }"}`,
	}
}

// explained looks at what the command line says of a plan.
func explained(t *testing.T, dir string, f flock, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "plan", "--config", filepath.Join(dir, "weir.yaml"), "--as", canaryToken, "--purpose", "case-handling", query).CombinedOutput()
	if err != nil || len(out) < 100 {
		t.Errorf("weir plan: %v\n%s", err, out)
	}
	if what := f.seen(out); what != "" {
		t.Errorf("weir plan shows %s\n%s", what, out)
	}
}

// searchFiles looks into every file of the state folder: ledger, keys, budgets,
// index.
func searchFiles(t *testing.T, dir string, f flock) {
	t.Helper()
	files := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if what := f.seen(raw); what != "" {
			t.Errorf("%s holds %s", path, what)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if files < 2 {
		t.Errorf("only %d files in the state folder", files)
	}
}

func mustExec(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// column reads one column of text, without NULLs.
func column(t *testing.T, db *sql.DB, text string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []*string
	for rows.Next() {
		var v *string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return notNull(all)
}

func notNull(all []*string) []string {
	var out []string
	for _, v := range all {
		if v != nil {
			out = append(out, *v)
		}
	}
	return out
}
