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
	if name == "SLASHED" {
		return "1/canary", true
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
	for name, text := range map[string]string{"blank": " \n", "two-lines": "postgres://weir@db/police\nx\n", "utf-16": "\xff\xfep\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const policeURL = "postgres://weir:${POLICE_PASSWORD}@db/police"
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
		{"all of its form at once", "listen: 127.0.0.1:9000", "lisen: a:1\nmod: serve\nlimits: {depth: deep, bodi: 1}\nlevels: L1", []string{
			`weir.yaml:2:1: unknown key "lisen"`, `weir.yaml:3:1: unknown key "mod"`, `weir.yaml:4:23: unknown key "bodi"`,
			"weir.yaml:4:17: limits.depth: a text stands where a whole number is expected", "weir.yaml:5:9: levels: a text stands where a list is expected",
		}},
		{"a key that is no text", "purposes:", "1: x\npurposes:", []string{"weir.yaml:12:1: a key that is no plain text"}},
		{"a null key", "purposes:", "~: x\npurposes:", []string{"weir.yaml:12:1: a key that is no plain text"}},
		{"a nested key that is no text", "listen: 127.0.0.1:9000", "ledger: {origin: node-b, true: x}", []string{"weir.yaml:2:26: ledger: a key that is no plain text"}},
		{"a key that is no text in a merged mapping", "listen: 127.0.0.1:9000", "ledger: {<<: {5: x}}", []string{"weir.yaml:2:15: ledger: a key that is no plain text"}},
		{"a time without a unit", "timeout: 2s", "timeout: 2", []string{"weir.yaml:11:14: departments.police.timeout: not a length of time (a number with its unit"}},
		{"a time of days", "timeout: 2s", "timeout: 1d", []string{"weir.yaml:11:14: departments.police.timeout: not a length of time"}},
		{"a number with a fraction", "timeout: 2s", "pool: 1.5", []string{"weir.yaml:11:11: departments.police.pool: a number with a fraction, or out of range,"}},
		{"a number out of range", "timeout: 2s", "pool: 99999999999999999999", []string{"weir.yaml:11:11: departments.police.pool: a text stands where a whole number is expected"}},
		{"an alias before its anchor", "listen: 127.0.0.1:9000", "roles: &r [*r]", []string{`weir.yaml:2:12: roles: no anchor "r" stands before this alias`}},
		{"an aliased list for a text", "listen: 127.0.0.1:9000", "roles: &r [a]\nlisten: *r", []string{"listen: a list stands where a text is expected"}},
		{"nested too deep", "listen: 127.0.0.1:9000", "roles: " + strings.Repeat("[", 10_000), []string{"weir.yaml:2:40: nested more than 32 deep"}},
		{"nested too deep in a block", "listen: 127.0.0.1:9000", "roles:\n  " + strings.Repeat("- ", 10_000) + "x", []string{"weir.yaml:3:67: nested more than 32 deep"}},
		{"metrics on the front's port", "listen: 127.0.0.1:9000", "listen: 127.0.0.1:9000\nserver: {metrics: 127.0.0.1:9000}", []string{"server.metrics: the address that listen has"}},
		{"a port that cannot be", "127.0.0.1:9000", "127.0.0.1:99999", []string{`listen: "127.0.0.1:99999" is not host:port`}},
		{"times too short", "listen: 127.0.0.1:9000", "server: {requestTimeout: 5ns, queueTimeout: -1s}", []string{"server.requestTimeout: 5ns is less than 1ms", "server.queueTimeout: -1s is less than 1ms"}},
		{"an issuer asked without pause", "{file: jwks.json}", "{url: \"https://issuer.example/keys\", refresh: 1ns}", []string{"tokens.jwt.jwks.refresh: less than 1s"}},
		{"a blank secret file", policeURL, "{file: blank}", []string{"departments.police.url: the secret is empty"}},
		{"a secret file of two lines", policeURL, "{file: two-lines}", []string{"the secret is not one line of text in UTF-8"}},
		{"a secret file in UTF-16", policeURL, "{file: utf-16}", []string{"the secret is not one line of text in UTF-8"}},
		{"a secret under another name", policeURL, "{path: canary}", []string{"weir.yaml:10:10: departments.police.url: a secret is ${ENV}"}},
		{"a password in clear beside a variable", policeURL, "postgres://weir:canary@${POLICE_PASSWORD}/police", []string{"a password stands in clear"}},
		{"a password in clear among words", policeURL, "host=${POLICE_PASSWORD} PASSWORD = canary", []string{"a password stands in clear"}},
		{"a password in clear in a query", policeURL, "postgres://${POLICE_PASSWORD}/police?sslPassword=canary", []string{"a password stands in clear"}},
		{"a password that ends the URL", "POLICE_PASSWORD", "SLASHED", []string{"departments.police.url: environment variable SLASHED has characters that cannot stand for themselves before the @ of a URL"}},
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
		"keys without a value":     "limits:\nserver: {readTimeout: null}\nofficers: ~\n" + good,
		"anchors":                  "roles: &r [a, b]\n" + strings.ReplaceAll(good, "timeout: 2s", "timeout: &t 2s\n    connectTimeout: *t"),
		"merged mappings":          strings.Replace(good, "  police:", "  other: &other {driver: sqlite, path: x.db}\n  more: {<<: *other, pool: 3}\n  police:", 1),
		"a quoted number":          strings.Replace(good, "timeout: 2s", `pool: "4"`, 1),
		"several hosts":            strings.Replace(good, "@db/", "@db:1,db:${POLICE_PASSWORD}/", 1),
		"words":                    strings.Replace(good, "postgres://weir:${POLICE_PASSWORD}@db/police", "host=db user=weir password=${POLICE_PASSWORD} sslmode=verify-full", 1),
	} {
		if _, err := parse("weir.yaml", []byte(text), t.TempDir(), environment); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEmptyFileHasProblems: what has a default is none of them.
func TestEmptyFileHasProblems(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "---\n", "null\n"} {
		_, err := parse("weir.yaml", []byte(text), t.TempDir(), environment)
		var problems Errors
		if !errors.As(err, &problems) || len(problems) != 2 || problems[0].Key != "departments" || problems[1].Key != "tokens" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestManyAliases: what an alias stands for is looked at once.
func TestManyAliases(t *testing.T) {
	text := "roles: &a0 [x]\n"
	for i := range 40 {
		text += fmt.Sprintf("x%d: &a%d [%s]\n", i, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for i := range 7 { // each would be made ten times as long as the one before
		key := [...]string{"listen", "state", "schema", "policy", "hideFrom", "keys", "mode"}[i]
		text += fmt.Sprintf("%s: &b%d [%s]\n", key, i+1, strings.Repeat(fmt.Sprintf("*b%d, ", i), 10))
	}
	text = strings.ReplaceAll(text, "*b0", "*a0")
	_, err := parse("weir.yaml", []byte(text), t.TempDir(), environment)
	if err == nil || !strings.Contains(err.Error(), "mode: a list stands where a text is expected") {
		t.Errorf("err = %.300v", err)
	}
}
