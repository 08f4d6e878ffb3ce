package config

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// isName holds for what other files and tokens may refer to: a letter, then
// letters, digits, - and _, at most 64 of them.
func isName(s string) bool {
	for i, r := range []byte(s) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-' && r != '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// algorithms are those a token may be signed with: asymmetric ones, so that the
// key that checks cannot sign.
var algorithms = [...]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Validate refuses what is incomplete and what is unsafe, all of it at once.
// The error is of type Errors. Load has called it already; whoever changes a
// configuration afterwards calls it again.
func (c *Config) Validate() error {
	if p := c.problems(); len(p) > 0 {
		return p
	}
	return nil
}

type checker struct{ found Errors }

func (v *checker) add(key, message, remedy string) {
	v.found = append(v.found, Problem{Key: key, Message: message, Remedy: remedy})
}

func (v *checker) when(bad bool, key, message, remedy string) {
	if bad {
		v.add(key, message, remedy)
	}
}

func (c *Config) problems() Errors {
	v := &checker{}
	v.when(c.Mode != ModeServe && c.Mode != ModeDemo, "mode", fmt.Sprintf("unknown mode %q", c.Mode), "serve or demo")
	c.checkPlaces(v)
	c.checkLevels(v)
	c.checkRegistries(v)
	c.checkDepartments(v)
	c.checkTokens(v)
	c.checkOffices(v)
	c.checkOfficers(v)
	c.checkLedger(v)
	c.checkBounds(v)
	c.checkBudgets(v)
	c.checkAggregates(v)
	return v.found
}

func (c *Config) checkPlaces(v *checker) {
	v.when(!IsAddress(c.Listen), "listen", fmt.Sprintf("%q is not host:port", c.Listen), "such as 127.0.0.1:8080")
	v.when(c.Server.Metrics != "" && !IsAddress(c.Server.Metrics), "server.metrics", fmt.Sprintf("%q is not host:port", c.Server.Metrics), "such as 127.0.0.1:9090")
	v.when(c.Server.Metrics != "" && c.Server.Metrics == c.Listen && !strings.HasSuffix(c.Listen, ":0"), "server.metrics", "the address that listen has", "one of its own, or none: /metrics then answers loopback on the main one")
	v.when(c.State == "", "state", "no folder for ledger and keys", "name a folder that this node alone writes")
	v.when(c.Schema == "", "schema", "no folder of SDL files", "")
	v.when(c.Documents.Only && c.Documents.Folder == "", "documents.only", "no folder of documents, so that nothing would be served", "name it: documents.folder")
	v.when(c.Policy == "", "policy", "no folder of policy files", "")
	v.when(c.Schema != "" && c.Schema == c.State, "state", "state and schema are one folder", "the schema folder is read, the state folder written")
	v.when(c.Policy != "" && c.Policy == c.State, "state", "state and policy are one folder", "the policy folder is read, the state folder written")
}

// IsAddress reports whether a text is host:port, with a port that there can be.
func IsAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16) // or the name of a service
	return !errors.Is(err, strconv.ErrRange)
}

func (c *Config) levelNames() []string {
	names := make([]string, len(c.Levels))
	for i, l := range c.Levels {
		names[i] = l.Name
	}
	return names
}

func (c *Config) checkLevels(v *checker) {
	names := c.levelNames()
	v.when(len(names) < 2, "levels", "fewer than two classification levels", "")
	v.when(len(names) > 32, "levels", "more than 32 classification levels", "")
	for i, n := range names {
		v.when(!isName(n), "levels", fmt.Sprintf("level %q is not a name", n), "")
		v.when(slices.Contains(names[:i], n), "levels", fmt.Sprintf("level %q is listed twice", n), "")
	}
	known := strings.Join(names, ", ")
	v.when(!slices.Contains(names, c.HideFrom), "hideFrom", fmt.Sprintf("unknown level %q", c.HideFrom), known)
	v.when(!slices.Contains(names, c.PurposeRequiredFrom), "purposeRequiredFrom", fmt.Sprintf("unknown level %q", c.PurposeRequiredFrom), known)
}

func (c *Config) checkRegistries(v *checker) {
	purposes := map[string]bool{}
	for _, p := range c.Purposes {
		v.when(!isName(p.ID), "purposes", fmt.Sprintf("purpose %q is not a name", p.ID), "letters, digits, - and _")
		v.when(purposes[p.ID], "purposes", fmt.Sprintf("purpose %q is registered twice", p.ID), "")
		v.when(p.Sealed%time.Second != 0, "purposes", fmt.Sprintf("purpose %q is sealed for no number of seconds", p.ID), "such as 2160h")
		v.when(p.Sealed < 0, "purposes", fmt.Sprintf("purpose %q is sealed for a negative time", p.ID), "such as 2160h")
		v.when(p.Basis == "", "purposes", fmt.Sprintf("purpose %q has no legal basis", p.ID), "add basis")
		purposes[p.ID] = true
	}
	applications := map[string]bool{}
	for _, a := range c.Applications {
		v.when(!isName(a.ID), "applications", fmt.Sprintf("application %q is not a name", a.ID), "letters, digits, - and _")
		v.when(applications[a.ID], "applications", fmt.Sprintf("application %q is registered twice", a.ID), "")
		applications[a.ID] = true
		for _, p := range a.Purposes {
			v.when(!purposes[p], "applications", fmt.Sprintf("application %q states %q, which is not registered", a.ID, p), "add it to purposes")
		}
	}
}

func (c *Config) checkDepartments(v *checker) {
	v.when(len(c.Departments) == 0, "departments", "no department", "add one with driver and path or url")
	for _, id := range c.DepartmentIDs() {
		d, key := c.Departments[id], "departments."+id
		v.when(!isName(id), key, fmt.Sprintf("department %q is not a name", id), "letters, digits, - and _")
		v.database(key, d.Driver, d.Path, &d.URL)
		v.when(d.Owner != "" && !isName(d.Owner), key+".owner", fmt.Sprintf("role %q is not a name", d.Owner), "")
		v.when(d.Pool < 0 || d.Pool > 1_000, key+".pool", "not between 1 and 1000", "")
		v.atLeast(d.ConnectTimeout, key+".connectTimeout")
		v.atLeast(d.Timeout, key+".timeout")
	}
}

// leastTime is the shortest time that anything may be given: below it nothing
// would ever be done, and zero or less would wait for ever.
const leastTime = time.Millisecond

func (v *checker) atLeast(d time.Duration, key string) {
	v.when(d < leastTime, key, fmt.Sprintf("%s is less than %s", d, leastTime), "")
}

// database checks where a database is: a file of SQLite or a PostgreSQL URL.
func (v *checker) database(key, driver, path string, at *Secret) {
	switch driver {
	case DriverSQLite:
		v.when(path == "", key+".path", "no database file", "add path")
		v.when(!at.IsZero(), key+".url", "sqlite takes path, not url", "")
	case DriverPostgres:
		v.when(path != "", key+".path", "postgres takes url, not path", "")
		v.when(at.IsZero(), key+".url", "no connection string", "add url: ${NAME_OF_AN_ENVIRONMENT_VARIABLE}")
		v.when(at.clear, key+".url", "a password stands in clear", "put it in the environment: ${NAME}, or in a file: {file: path}")
	default:
		v.add(key+".driver", fmt.Sprintf("unknown driver %q", driver), "sqlite or postgres")
	}
}

// holdsPassword errs towards yes: what it cannot read is taken for one. What comes
// from the environment is none.
func holdsPassword(dsn string) bool {
	clear := func(p string) bool { return p != "" && !strings.Contains(p, fromEnvironment) }
	for _, m := range passwordWord.FindAllStringSubmatch(dsn, -1) {
		if clear(m[1]) {
			return true
		}
	}
	_, rest, isURL := strings.Cut(dsn, "://")
	if !isURL {
		return false
	}
	if u, err := url.Parse(dsn); err == nil {
		p, _ := u.User.Password()
		return clear(p)
	}
	// It may have several hosts, or a port of the environment's.
	_, p, _ := strings.Cut(rest[:max(0, strings.LastIndex(rest, "@"))], ":")
	return clear(p) || !strings.Contains(dsn, fromEnvironment)
}

// passwordWord finds the passwords among words and in a URL's query.
var passwordWord = regexp.MustCompile(`(?i)password\s*=\s*([^\s&]*)`)

func (c *Config) checkTokens(v *checker) {
	t := c.Tokens
	v.when(len(t.Demo) > 0 && c.Mode != ModeDemo, "tokens.demo", "fixed tokens outside demo mode", "use tokens.jwt, or mode: demo with synthetic data only")
	v.when(len(t.Demo) > 0 && t.JWT != nil, "tokens", "both jwt and demo tokens", "choose one")
	v.when(len(t.Demo) == 0 && t.JWT == nil, "tokens", "nobody could prove who he is", "add tokens.jwt")
	for _, token := range sortedKeys(t.Demo) {
		d, key := t.Demo[token], "tokens.demo."+token
		v.when(!strings.HasPrefix(token, "demo-") || !isName(token), key, "a fixed token's name must begin with demo-", "")
		v.when(d.Subject == "", key+".subject", "no subject", "")
		v.when(len(d.Roles) == 0, key+".roles", "no role", "")
		c.checkPurposes(v, key+".purposes", d.Purposes)
		v.when(d.Application != "" && !c.hasApplication(d.Application), key+".application", fmt.Sprintf("application %q is not registered", d.Application), "add it to applications")
	}
	if t.JWT != nil {
		c.checkJWT(v, t.JWT)
	}
}

func (c *Config) checkJWT(v *checker, j *JWT) {
	v.when((j.JWKS.File == "") == (j.JWKS.URL == ""), "tokens.jwt.jwks", "exactly one of file and url is needed", "")
	if j.JWKS.URL != "" {
		u, err := url.Parse(j.JWKS.URL)
		plain := err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil
		if plain && err == nil && u.Scheme == "http" && u.User == nil && Loopback(net.JoinHostPort(u.Hostname(), "0")) {
			plain = false
		}
		v.when(plain, "tokens.jwt.jwks.url", "keys over an unprotected connection", "an https URL without credentials")
	}
	v.when(j.JWKS.Refresh < time.Second, "tokens.jwt.jwks.refresh", "less than 1s", "the issuer is asked that often")
	v.when(j.Issuer == "", "tokens.jwt.issuer", "no issuer", "every token names one, and it must be this")
	v.when(j.Audience == "", "tokens.jwt.audience", "no audience", "a token for another service must not open this one")
	v.when(len(j.Algorithms) == 0, "tokens.jwt.algorithms", "no algorithm", "such as [ES256]")
	for _, a := range j.Algorithms {
		v.when(!slices.Contains(algorithms[:], a), "tokens.jwt.algorithms", fmt.Sprintf("algorithm %q is not accepted", a), strings.Join(algorithms[:], ", "))
	}
	v.when(j.Leeway < 0 || j.Leeway.Minutes() > 5, "tokens.jwt.leeway", "not between 0 and 5m", "")
	v.when(j.MaxLifetime < time.Second, "tokens.jwt.maxLifetime", "less than 1s", "no token would be valid")
	for _, name := range sortedKeys(j.Claims.Attributes) {
		v.when(!isName(name), "tokens.jwt.claims.attributes", fmt.Sprintf("attribute %q is not a name", name), "")
		v.when(j.Claims.Attributes[name] == "", "tokens.jwt.claims.attributes", fmt.Sprintf("attribute %q names no claim", name), "")
	}
}

func (c *Config) checkPurposes(v *checker, key string, purposes []string) {
	registered := c.PurposeIDs()
	for _, p := range purposes {
		v.when(!slices.Contains(registered, p), key, fmt.Sprintf("purpose %q is not registered", p), "add it to purposes")
	}
}

func (c *Config) hasApplication(id string) bool {
	return slices.ContainsFunc(c.Applications, func(a Application) bool { return a.ID == id })
}

func (c *Config) checkOffices(v *checker) {
	o := c.Offices
	for _, office := range [...]struct{ key, role string }{{"operator", o.Operator}, {"security", o.Security}, {"auditor", o.Auditor}} {
		v.when(!isName(office.role), "offices."+office.key, fmt.Sprintf("role %q is not a name", office.role), "")
	}
	v.when(o.Operator == o.Security || o.Operator == o.Auditor || o.Security == o.Auditor, "offices", "one role holds two offices", "manage, audit and operate are apart")
}

func (c *Config) checkOfficers(v *checker) {
	// Nobody stands in both lists: who may widen rights is not who looks at it.
	ids, keys := map[string]string{}, map[string]bool{}
	for _, list := range [...]struct {
		key      string
		officers []Officer
	}{{"officers", c.Officers}, {"auditors", c.Auditors}} {
		for _, o := range list.officers {
			key, err := base64.StdEncoding.Strict().DecodeString(o.Key)
			v.when(!isName(o.ID), list.key, fmt.Sprintf("officer id %q is not a name", o.ID), "letters, digits, - and _")
			v.when(err != nil || len(key) != ed25519.PublicKeySize, list.key, fmt.Sprintf("the key of officer %q is no Ed25519 public key in base64", o.ID), "weir policy keygen prints one")
			v.when(ids[o.ID] == list.key, list.key, fmt.Sprintf("officer %q stands there twice", o.ID), "")
			v.when(ids[o.ID] != "" && ids[o.ID] != list.key, list.key, fmt.Sprintf("officer %q is one of the security officers too", o.ID), "one person holds one office")
			v.when(keys[o.Key], list.key, fmt.Sprintf("officer %q has another officer's key", o.ID), "two signatures must be of two people")
			ids[o.ID], keys[o.Key] = list.key, true
		}
	}
}

func (c *Config) checkLedger(v *checker) {
	v.when(!isName(c.Ledger.Origin) || strings.ToLower(c.Ledger.Origin) != c.Ledger.Origin, "ledger.origin",
		fmt.Sprintf("origin %q is not a node's name", c.Ledger.Origin), "lower-case letters, digits, - and _")
	v.when(c.Ledger.RetentionMonths < LeastRetention || c.Ledger.RetentionMonths > mostRetention, "ledger.retentionMonths",
		fmt.Sprintf("%d is not between %d and %d", c.Ledger.RetentionMonths, LeastRetention, mostRetention), "records are kept for three years at least")
	c.checkWitnesses(v)
	v.database("ledger.index", c.Ledger.Index.Driver, c.Ledger.Index.Path, &c.Ledger.Index.URL)
	names := c.levelNames()
	for _, level := range sortedKeys(c.Ledger.Durability) {
		key := "ledger.durability." + level
		switch d := c.Ledger.Durability[level]; {
		case !slices.Contains(names, level):
			v.add(key, fmt.Sprintf("unknown level %q", level), strings.Join(names, ", "))
		case !slices.Contains(durabilities[:], d):
			v.add(key, fmt.Sprintf("unknown durability %q", d), strings.Join(durabilities[:], ", "))
		case d == DurabilityWritten && level != names[0]:
			v.add(key, "an answer above the lowest level must wait for synced", "only "+names[0]+" may be written")
		case d == DurabilityReplicated && c.Ledger.Replica.Address == "":
			v.add(key, "an answer would wait for a second machine, and there is none", "name it: ledger.replica")
		}
	}
	for i, level := range names[min(1, len(names)):] {
		lower := names[i]
		if slices.Index(durabilities[:], c.Ledger.Durability[level]) < slices.Index(durabilities[:], c.Ledger.Durability[lower]) {
			v.add("ledger.durability."+level, "an answer of the level would wait for less than one of "+lower, "at least "+c.Ledger.Durability[lower])
		}
	}
	c.checkReplica(v)
}

// mostRetention is a hundred years, in months.
const mostRetention = 1200

// durabilities, weakest first.
var durabilities = [...]string{DurabilityWritten, DurabilitySynced, DurabilityReplicated}

// A group takes a way over the network and a sync there; no answer waits longer
// for the ledger than maxGrace.
const (
	minGrace = 50 * time.Millisecond
	maxGrace = 10 * time.Second
)

func (c *Config) checkReplica(v *checker) {
	r := c.Ledger.Replica
	if r.Address == "" {
		v.when(r.Key != "", "ledger.replica.address", "a key and no address", "host:port of the second machine")
		return
	}
	v.when(!IsAddress(r.Address), "ledger.replica.address", fmt.Sprintf("%q is not host:port", r.Address), "such as 10.0.0.2:7443")
	key, err := base64.StdEncoding.Strict().DecodeString(r.Key)
	v.when(err != nil || len(key) != ed25519.PublicKeySize, "ledger.replica.key", "not an Ed25519 public key in base64", "the second machine prints it with: weir lineage replica-key FILE")
	names := c.levelNames()
	for _, level := range sortedKeys(r.Grace) {
		v.when(!slices.Contains(names, level), "ledger.replica.grace."+level, fmt.Sprintf("unknown level %q", level), strings.Join(names, ", "))
		v.when(r.Grace[level] < minGrace || r.Grace[level] > maxGrace, "ledger.replica.grace."+level, fmt.Sprintf("not between %s and %s", minGrace, maxGrace), "")
	}
}

func (c *Config) checkWitnesses(v *checker) {
	l := c.Ledger
	names, urls := map[string]bool{}, map[string]bool{}
	for _, w := range l.Witnesses {
		u, err := url.Parse(w.URL)
		// Both sides sign, and nothing secret is said: it need not be https.
		v.when(err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "",
			"ledger.witnesses", fmt.Sprintf("%q is not where a witness can be", w.URL), "an http or https URL without credentials")
		name, _, _ := strings.Cut(w.Key, "+")
		v.when(!cosigns(w.Key), "ledger.witnesses", fmt.Sprintf("the key of the witness at %q is no public key that cosigns", w.URL), "weir lineage witness prints one")
		v.when(names[name] || urls[w.URL], "ledger.witnesses", fmt.Sprintf("witness %q stands there twice", name), "")
		names[name], urls[w.URL] = true, true
	}
	v.when(l.WitnessQuorum < 0 || l.WitnessQuorum > len(l.Witnesses), "ledger.witnessQuorum",
		fmt.Sprintf("%d of %d witnesses", l.WitnessQuorum, len(l.Witnesses)), "no more than there are; 0 requires none")
	v.when(l.WitnessTimeout < 100*time.Millisecond || l.WitnessTimeout > 8*time.Second, "ledger.witnessTimeout", "not between 100ms and 8s", "")
}

// cosigns reports whether a text is a verifier key of type 4 (C2SP
// tlog-cosignature): name+hash+base64.
func cosigns(key string) bool {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 || parts[0] == "" || len(parts[1]) != 8 {
		return false
	}
	data, err := base64.StdEncoding.DecodeString(parts[2])
	return err == nil && len(data) == 1+ed25519.PublicKeySize && data[0] == 4
}

func (c *Config) checkBounds(v *checker) {
	l := c.Limits
	for _, b := range [...]struct {
		key        string
		value, max int
	}{
		{"body", l.Body, 16 << 20},
		{"tokens", l.Tokens, 100_000},
		{"depth", l.Depth, 100},
		{"introspectionDepth", l.IntrospectionDepth, 100},
		{"aliases", l.Aliases, 10_000},
		{"directives", l.Directives, 10_000},
		{"directivesPerNode", l.DirectivesPerNode, 1_000},
		{"fragments", l.Fragments, 10_000},
		{"selections", l.Selections, 100_000},
		{"roots", l.Roots, 1_000},
		{"fieldsPerKey", l.FieldsPerKey, 1_000},
		{"listItems", l.ListItems, 100_000},
		{"variableDepth", l.VariableDepth, 100},
		{"errors", l.Errors, 1_000},
		{"rows", l.Rows, 10_000_000},
		{"maxLimit", l.MaxLimit, 100_000},
		{"concurrent", l.Concurrent, 100_000},
	} {
		v.when(b.value < 1 || b.value > b.max, "limits."+b.key, fmt.Sprintf("%d is not between 1 and %d", b.value, b.max), "")
	}
	s := c.Server
	for _, d := range [...]struct {
		key  string
		time time.Duration
	}{
		{"readTimeout", s.ReadTimeout},
		{"writeTimeout", s.WriteTimeout},
		{"idleTimeout", s.IdleTimeout},
		{"requestTimeout", s.RequestTimeout},
		{"queueTimeout", s.QueueTimeout},
		{"shutdownTimeout", s.ShutdownTimeout},
	} {
		v.atLeast(d.time, "server."+d.key)
	}
	v.when(s.WriteTimeout > 0 && s.WriteTimeout <= s.RequestTimeout, "server.writeTimeout", "not longer than requestTimeout", "an answer must still be writable when a request timed out")
	v.when(s.HeaderBytes < 4<<10 || s.HeaderBytes > 1<<20, "server.headerBytes", "not between 4096 and 1048576", "")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
