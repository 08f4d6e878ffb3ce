package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

const good = `
listen: 127.0.0.1:9000
departments:
  health:
    driver: sqlite
    path: data/health.db
    titles: {zh: 卫健, en: Health}
  police:
    driver: postgres
    url: postgres://weir:${POLICE_PASSWORD}@db/police
    timeout: 2s
purposes:
  - {id: case-handling, zh: 办案, en: case handling, basis: art. 1}
applications:
  - {id: desk, purposes: [case-handling]}
tokens:
  jwt:
    jwks: {file: jwks.json}
    issuer: https://issuer.example
    audience: weir
    algorithms: [ES256]
    claims: {attributes: {region: region, id: id_number}}
`

func environment(name string) (string, bool) {
	if name == "POLICE_PASSWORD" {
		return "hunter2-canary", true
	}
	return "", false
}

func TestLoadCompletes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(path, environment)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Departments["police"].URL.Reveal(); got != "postgres://weir:hunter2-canary@db/police" {
		t.Errorf("url = %q", got)
	}
	if d := c.Departments["police"]; d.Timeout != 2*time.Second || d.Pool != defaultPool {
		t.Errorf("police = %v %v", d.Timeout, d.Pool)
	}
	want := map[string]string{"L1": "written", "L2": "synced", "L3": "synced", "L4": "synced"}
	if diff := cmp.Diff(want, c.Ledger.Durability); diff != "" {
		t.Error(diff)
	}
	for _, p := range []struct{ got, want string }{
		{c.Departments["health"].Path, filepath.Join(dir, "data/health.db")},
		{c.Schema, filepath.Join(dir, "schema")},
		{c.Keys, filepath.Join(dir, "state/keyring")},
		{c.Ledger.Folder, filepath.Join(dir, "state/ledger")},
		{c.Tokens.JWT.JWKS.File, filepath.Join(dir, "jwks.json")},
		{c.HideFrom, "L4"},
	} {
		if p.got != p.want {
			t.Errorf("got %q, want %q", p.got, p.want)
		}
	}
	if c.Limits != Default().Limits {
		t.Error("limits that the file does not name are not the default ones")
	}
	if diff := cmp.Diff([]string{"case-handling"}, c.OpenPurposes("desk", []string{"unregistered"})); diff != "" {
		t.Error(diff)
	}
}

func TestPrintsNoSecret(t *testing.T) {
	c, err := parse("weir.yaml", []byte(good), t.TempDir(), environment)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "url", c.Departments["police"].URL)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	u := c.Departments["police"].URL
	for _, out := range []string{
		log.String(), string(asJSON), string(asYAML),
		fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprint(c.Departments), fmt.Sprintf("%v %+v %#v %s %q %x %d", u, u, u, u, u, u, u),
		fmt.Sprintf("%v %#v", &u, &u), u.String(), u.GoString(),
	} {
		if strings.Contains(out, "canary") || strings.Contains(out, fmt.Sprintf("%x", "canary")) {
			t.Errorf("a secret was printed: %.200s", out)
		}
		if strings.Contains(out, "POLICE_PASSWORD") {
			t.Errorf("the reference stayed in the secret: %.200s", out)
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, from, to string
		want           []string // each a part of the message
	}{
		{"unknown key", "listen: 127.0.0.1:9000", "lisen: 127.0.0.1:9000", []string{`weir.yaml:2:1: unknown key "lisen"`}},
		{"unknown nested key", "driver: sqlite", "driver: sqlite\n    pol: 3", []string{`weir.yaml:6:5: unknown key "pol"`}},
		{"duplicate key", "listen: 127.0.0.1:9000", "listen: a:1\nlisten: b:2", []string{"weir.yaml:3:1: ", "listen"}},
		{"wrong type", "listen: 127.0.0.1:9000", "limits: {body: lots}", []string{"weir.yaml:2:"}},
		{"not YAML", "listen: 127.0.0.1:9000", "listen: [", []string{"weir.yaml:"}},
		{"GBK", "listen: 127.0.0.1:9000", "# \xb9\xe3\xb6\xab\nlisten: 127.0.0.1:9000", []string{"weir.yaml:2:3: the file is not UTF-8"}},
		{"UTF-16", "listen: 127.0.0.1:9000", "\xff\xfem\x00o\x00", []string{"weir.yaml:2:1: the file is not UTF-8"}},
		{"two documents", "listen: 127.0.0.1:9000", "---\nlisten: a:1\n---\n", []string{"more than one document"}},
		{"listen", "127.0.0.1:9000", "somewhere", []string{`weir.yaml:2:1: listen: "somewhere" is not host:port`}},
		{"driver", "driver: sqlite", "driver: oracle", []string{`weir.yaml:5:5: departments.health.driver: unknown driver "oracle" (sqlite or postgres)`}},
		{"environment", "POLICE_PASSWORD", "NOT_SET", []string{"weir.yaml:10:5: departments.police.url: environment variable NOT_SET is not set"}},
		{"open brace", "${POLICE_PASSWORD}", "${POLICE", []string{"departments.police.url: a secret is ${ENV}"}},
		{"secret file", "postgres://weir:${POLICE_PASSWORD}@db/police", "{file: missing}", []string{"departments.police.url: secret file"}},
		{"empty secret file", "postgres://weir:${POLICE_PASSWORD}@db/police", "{file: empty}", []string{"the secret is empty"}},
		{"secret form", "postgres://weir:${POLICE_PASSWORD}@db/police", "[1]", []string{"a secret is ${ENV}"}},
		{"password in clear", "${POLICE_PASSWORD}", "canary", []string{"a password stands in clear"}},
		{"purpose of an application", "[case-handling]", "[spying]", []string{`application "desk" states "spying", which is not registered`}},
		{"symmetric", "[ES256]", "[HS256]", []string{`algorithm "HS256" is not accepted`}},
		{"none", "[ES256]", "[none]", []string{`algorithm "none" is not accepted`}},
		{"no audience", "audience: weir", "", []string{"tokens.jwt.audience: no audience"}},
		{"no tokens", "tokens:", "keys: k\nxtokens:", []string{`unknown key "xtokens"`}},
		{"plain JWKS URL", "{file: jwks.json}", "{url: http://issuer.example/keys}", []string{"keys over an unprotected connection"}},
		{"demo tokens in serve", "  jwt:", "  demo: {demo-a: {subject: a, roles: [r]}}\n  jwt:", []string{"fixed tokens outside demo mode", "both jwt and demo tokens"}},
		{"witness", "listen: 127.0.0.1:9000", "ledger: {witnesses: [{url: ftp://w, key: a+12345678+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW}], witnessQuorum: 2, witnessTimeout: 1m}", []string{
			`"ftp://w" is not where a witness can be`, "no public key that cosigns (weir lineage witness prints one)", "2 of 1 witnesses", "not between 100ms and 8s",
		}},
		{"offices", "listen: 127.0.0.1:9000", "offices: {operator: boss, auditor: boss}", []string{"one role holds two offices"}},
		{"a second machine that is not named", "listen: 127.0.0.1:9000", "ledger: {durability: {L4: replicated}}", []string{"weir.yaml:2:23: ledger.durability.L4: an answer would wait for a second machine, and there is none"}},
		{"a level that waits for less than a lower one", "listen: 127.0.0.1:9000", "ledger: {durability: {L3: replicated}, replica: {address: \"10.0.0.2:7443\", key: MFswCQYHKoZIzj0CAQYFKrkBBAEDAgQEAAAAAAAAAAA=}}", []string{"ledger.durability.L4: an answer of the level would wait for less than one of L3"}},
		{"a replica without a key", "listen: 127.0.0.1:9000", "ledger: {replica: {address: nowhere, grace: {L4: 1h}}}", []string{
			"ledger.replica.address: \"nowhere\" is not host:port", "ledger.replica.key: not an Ed25519 public key in base64", "ledger.replica.grace.L4: not between 50ms and 10s",
		}},
		{"a replica's key without a place", "listen: 127.0.0.1:9000", "ledger: {replica: {key: MFswCQYHKoZIzj0CAQYFKrkBBAEDAgQEAAAAAAAAAAA=}}", []string{"ledger.replica.address: a key and no address"}},
		{"weaker durability", "listen: 127.0.0.1:9000", "ledger: {durability: {L3: written}}", []string{"weir.yaml:2:23: ledger.durability.L3: an answer above the lowest level must wait for synced"}},
		{"limits off", "listen: 127.0.0.1:9000", "limits: {body: 0, depth: -1}", []string{"limits.body: 0 is not between", "limits.depth: -1 is not between"}},
		{"budgets off", "listen: 127.0.0.1:9000", "budgets: {matchPerReader: 0, matchPerKey: -1, timeZone: Mars/Olympus}", []string{
			"budgets.matchPerReader: 0 is not between", "budgets.matchPerKey: -1 is not between", `budgets.timeZone: unknown time zone "Mars/Olympus"`,
		}},
		{"no time limit", "listen: 127.0.0.1:9000", "server: {requestTimeout: 0s}", []string{"server.requestTimeout"}},
		{"unknown level", "listen: 127.0.0.1:9000", "purposeRequiredFrom: L9", []string{`purposeRequiredFrom: unknown level "L9" (L1, L2, L3, L4)`}},
		{"state is schema", "listen: 127.0.0.1:9000", "state: schema", []string{"state and schema are one folder"}},
		{"all at once", "listen: 127.0.0.1:9000", "listen: x\nmode: y\nhideFrom: z", []string{"listen:", "mode:", "hideFrom:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.from, tt.to, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := parse("weir.yaml", []byte(text), dir, environment)
			var problems Errors
			if !errors.As(err, &problems) {
				t.Fatalf("err = %v, want problems", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("missing %q in:\n%v", w, err)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret stands in the message:\n%v", err)
			}
		})
	}
}

// TestTolerates: an editor's habits change nothing.
func TestTolerates(t *testing.T) {
	for name, text := range map[string]string{
		"byte-order mark":          "\ufeff" + good,
		"mark before a comment":    "\ufeff# 广东\n" + good,
		"CRLF":                     strings.ReplaceAll(good, "\n", "\r\n"),
		"byte-order mark and CRLF": "\ufeff" + strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		if _, err := parse("weir.yaml", []byte(text), t.TempDir(), environment); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmptyFileHasProblems(t *testing.T) {
	_, err := parse("weir.yaml", nil, t.TempDir(), environment)
	var problems Errors
	if !errors.As(err, &problems) {
		t.Fatalf("err = %v", err)
	}
}
