// Package config is the one documented configuration of a Weir node.
//
// It promises that an unknown key, an unsafe mix and a secret written in clear
// are refused with their places, all of them at once, and that a secret never
// prints. It opens nothing but the configuration's own files: whether a
// database answers or a folder holds a good schema is for others to find out.
package config

import (
	"maps"
	"net"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// Modes of a node.
const (
	ModeServe = "serve" // tokens are signed by somebody else
	ModeDemo  = "demo"  // fixed tokens stand for the example's readers
)

// Drivers of departments.
const (
	DriverSQLite   = "sqlite"
	DriverPostgres = "postgres"
)

// Durabilities of the ledger, weakest first.
const (
	DurabilityWritten = "written" // survives a kill of the process
	DurabilitySynced  = "synced"  // survives a power cut
	// DurabilityReplicated survives the loss of this machine.
	DurabilityReplicated = "replicated"
)

// LeastRetention is for how many months records are kept, whatever the
// configuration says: three years.
const LeastRetention = 36

// Config is the content of weir.yaml. Relative paths are relative to the folder
// of the file; Load makes them absolute. The zero value of a limit or time is
// not "none": Default says what stands when a key is absent.
type Config struct {
	// Mode is "serve" or "demo". Fixed tokens exist in demo mode only.
	Mode string `yaml:"mode"`
	// Listen is the address of the HTTP front, "host:port".
	Listen string `yaml:"listen"`
	// State is the folder of everything the node writes: ledger, key ring and
	// control store.
	State string `yaml:"state"`
	// Schema is the folder of the departments' SDL (*.graphqls). Watched.
	Schema string `yaml:"schema"`
	// Policy is the folder of the Casbin policy (*.csv). Watched.
	Policy string `yaml:"policy"`
	// Documents are those that requests may name instead of sending them.
	Documents Documents `yaml:"documents"`
	// Console serves GraphiQL at "/".
	Console bool `yaml:"console"`

	// Levels are the classification levels, lowest first.
	Levels []Level `yaml:"levels"`
	// HideFrom is the level from which a coordinate that a reader can never see
	// is absent from his schema; "" for the highest.
	HideFrom string `yaml:"hideFrom"`
	// PurposeRequiredFrom is the level from which nothing is granted without a
	// stated purpose.
	PurposeRequiredFrom string `yaml:"purposeRequiredFrom"`
	// Purposes is the registry of purposes that a request may state.
	Purposes []Purpose `yaml:"purposes"`
	// Applications may state the purposes that are listed with them.
	Applications []Application `yaml:"applications"`
	// Departments are the sources, by the id that @source names.
	Departments map[string]Department `yaml:"departments"`

	Tokens Tokens `yaml:"tokens"`
	// Roles are those that tokens may carry: a rule about any other is refused.
	// Those of fixed tokens are known without it; empty beside JWT, roles are
	// not checked.
	Roles   []string `yaml:"roles"`
	Offices Offices  `yaml:"offices"`
	// Officers hold the security office and sign revisions that widen rights:
	// one proposes, another approves.
	Officers []Officer `yaml:"officers"`
	// Auditors hold the auditor's office and sign, one of them together with a
	// security officer, acts that drop keys of the ledger.
	Auditors []Officer `yaml:"auditors"`
	// SingleOfficer lets one security officer widen rights alone. The server
	// says so loudly at every start.
	SingleOfficer bool `yaml:"singleOfficer"`

	Ledger Ledger `yaml:"ledger"`
	// Keys is the key ring's file; "" for state/keyring.
	Keys string `yaml:"keys"`

	Limits  Limits  `yaml:"limits"`
	Budgets Budgets `yaml:"budgets"`
	// Aggregates bound what is computed over rows that nobody sees.
	Aggregates Aggregates `yaml:"aggregates"`
	Server     Server     `yaml:"server"`
}

// KnownRoles are the roles that a token can carry, sorted; nil where nobody says.
func (c *Config) KnownRoles() []string {
	known := map[string]bool{}
	for _, role := range c.Roles {
		known[role] = true
	}
	if c.Mode == ModeDemo {
		for _, token := range c.Tokens.Demo {
			for _, role := range token.Roles {
				known[role] = true
			}
		}
	}
	if len(known) == 0 {
		return nil
	}
	for _, office := range []string{c.Offices.Operator, c.Offices.Security, c.Offices.Auditor} {
		if office != "" {
			known[office] = true
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// Documents are the registered documents of the data graph.
type Documents struct {
	// Folder holds them, one *.graphql file each; "" for none. Watched, as schema and policy are.
	Folder string `yaml:"folder"`
	// Only refuses every document that is not registered.
	Only bool `yaml:"only"`
}

// Names are a thing's names for people.
type Names struct {
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
}

// Level is one classification level.
type Level struct {
	Name string `yaml:"name"`
	ZH   string `yaml:"zh"`
	EN   string `yaml:"en"`
}

// Purpose is a registered purpose with its legal basis.
type Purpose struct {
	ID    string `yaml:"id"`
	ZH    string `yaml:"zh"`
	EN    string `yaml:"en"`
	Basis string `yaml:"basis"`
	// Sealed keeps reads for this purpose from owners and from the persons whom
	// they are about until they are that old, such as 2160h for an
	// investigation; 0 for not at all. Auditors see them. Each record says for how
	// long it is sealed, so that a change here is for reads to come.
	Sealed time.Duration `yaml:"sealed"`
}

// Application is a registered consumer and the purposes it may state.
type Application struct {
	ID       string   `yaml:"id"`
	ZH       string   `yaml:"zh"`
	EN       string   `yaml:"en"`
	Purposes []string `yaml:"purposes"`
}

// Department is one source.
type Department struct {
	// Driver is "sqlite" or "postgres".
	Driver string `yaml:"driver"`
	// Path is the database file (sqlite).
	Path string `yaml:"path"`
	// URL is the connection string (postgres): ${ENV}, a text with ${ENV} in
	// it, or {file: path}. One that holds a password in clear is refused.
	URL Secret `yaml:"url"`
	// Titles are the department's names.
	Titles Names `yaml:"titles"`
	// Owner is the role whose holders, being of this department, may ask the
	// ledger where its data went; "" for nobody.
	Owner string `yaml:"owner"`
	// Pool bounds its connections.
	Pool int `yaml:"pool"`
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration `yaml:"connectTimeout"`
	// Timeout bounds one fetch.
	Timeout time.Duration `yaml:"timeout"`
}

// Tokens say how readers prove who they are. Exactly one of the two is set.
type Tokens struct {
	JWT *JWT `yaml:"jwt"`
	// Demo are the fixed tokens of demo mode, by token.
	Demo map[string]DemoToken `yaml:"demo"`
	// Revoked is a file of revoked token ids (jti), one a line, or sub:SUBJECT for
	// all of a reader's, # for comments; read again when it changes. "" for none.
	Revoked string `yaml:"revoked"`
}

// JWT is the check of signed tokens.
type JWT struct {
	JWKS JWKS `yaml:"jwks"`
	// Issuer and Audience must be equal to, and among, the token's.
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
	// Algorithms are the only ones accepted: asymmetric signatures.
	Algorithms []string `yaml:"algorithms"`
	Claims     Claims   `yaml:"claims"`
	// Leeway is how far the issuer's clock may be ahead: for nbf and iat. A token is
	// refused from its exp on.
	Leeway time.Duration `yaml:"leeway"`
	// MaxLifetime refuses tokens that expire later than this from now.
	MaxLifetime time.Duration `yaml:"maxLifetime"`
}

// JWKS is where the issuer's public keys are: a file, which is watched, or an
// https URL, which is fetched again on a schedule. Exactly one.
type JWKS struct {
	File    string        `yaml:"file"`
	URL     string        `yaml:"url"`
	Refresh time.Duration `yaml:"refresh"`
}

// Claims map a token's claims to the reader.
type Claims struct {
	Subject     string `yaml:"subject"`
	Application string `yaml:"application"`
	Department  string `yaml:"department"`
	Roles       string `yaml:"roles"`
	// Purposes is a claim that lists open purposes; "" when only applications
	// open them.
	Purposes string `yaml:"purposes"`
	// Attributes are what $subject.NAME may name: name to claim. "id" is what
	// the scope "self" compares @subject fields with.
	Attributes map[string]string `yaml:"attributes"`
}

// DemoToken is a reader of the example.
type DemoToken struct {
	Subject     string            `yaml:"subject"`
	ZH          string            `yaml:"zh"`
	EN          string            `yaml:"en"`
	Application string            `yaml:"application"`
	Department  string            `yaml:"department"`
	Roles       []string          `yaml:"roles"`
	Attributes  map[string]string `yaml:"attributes"`
	Purposes    []string          `yaml:"purposes"`
}

// Offices are the roles whose rights are disjoint: a token that reaches two of
// them is refused.
type Offices struct {
	Operator string `yaml:"operator"`
	Security string `yaml:"security"`
	Auditor  string `yaml:"auditor"`
}

// Officer is a security officer, or an auditor.
type Officer struct {
	// ID is the subject id of the officer's token.
	ID string `yaml:"id"`
	// Key is the officer's public key, Ed25519, in base64: weir policy keygen.
	Key string `yaml:"key"`
}

// Limits bound what one request may ask for. None may be switched off.
type Limits struct {
	Body               int `yaml:"body"` // bytes
	Tokens             int `yaml:"tokens"`
	Depth              int `yaml:"depth"`
	IntrospectionDepth int `yaml:"introspectionDepth"`
	Aliases            int `yaml:"aliases"`
	Directives         int `yaml:"directives"`
	DirectivesPerNode  int `yaml:"directivesPerNode"`
	Fragments          int `yaml:"fragments"`
	Selections         int `yaml:"selections"`
	Roots              int `yaml:"roots"`
	FieldsPerKey       int `yaml:"fieldsPerKey"`
	ListItems          int `yaml:"listItems"`
	VariableDepth      int `yaml:"variableDepth"`
	Errors             int `yaml:"errors"`
	Rows               int `yaml:"rows"`     // static cost
	MaxLimit           int `yaml:"maxLimit"` // largest limit argument
	// Concurrent is the most requests executed at once; more wait for at most
	// Server.QueueTimeout and are then OVERLOADED.
	Concurrent int `yaml:"concurrent"`
}

// Server are the HTTP server's times and sizes.
type Server struct {
	ReadTimeout     time.Duration `yaml:"readTimeout"`
	WriteTimeout    time.Duration `yaml:"writeTimeout"`
	IdleTimeout     time.Duration `yaml:"idleTimeout"`
	RequestTimeout  time.Duration `yaml:"requestTimeout"`
	QueueTimeout    time.Duration `yaml:"queueTimeout"`
	ShutdownTimeout time.Duration `yaml:"shutdownTimeout"`
	HeaderBytes     int           `yaml:"headerBytes"`
	// Metrics is an address of its own for /metrics; "" serves it with the
	// rest, and only to loopback addresses.
	Metrics string `yaml:"metrics"`
}

// Default is the configuration that stands where the file is silent.
func Default() *Config {
	return &Config{
		Mode:    ModeServe,
		Listen:  "127.0.0.1:8080",
		State:   "state",
		Schema:  "schema",
		Policy:  "policy",
		Console: true,
		Levels: []Level{
			{Name: "L1", ZH: "一级", EN: "public"},
			{Name: "L2", ZH: "二级", EN: "internal"},
			{Name: "L3", ZH: "三级", EN: "sensitive"},
			{Name: "L4", ZH: "四级", EN: "highly sensitive"},
		},
		PurposeRequiredFrom: "L3",
		Offices:             Offices{Operator: "operator", Security: "security", Auditor: "auditor"},
		Ledger:              Ledger{Origin: "node-a", Index: LedgerIndex{Driver: DriverSQLite}, WitnessTimeout: 5 * time.Second, RetentionMonths: LeastRetention},
		Budgets:             defaultBudgets(),
		Aggregates:          defaultAggregates(),
		Limits: Limits{
			Body: 256 << 10, Tokens: 2_000, Depth: 12, IntrospectionDepth: 15, Aliases: 30,
			Directives: 50, DirectivesPerNode: 5, Fragments: 50, Selections: 5_000, Roots: 20,
			FieldsPerKey: 32, ListItems: 1_000, VariableDepth: 16, Errors: 10,
			Rows: 100_000, MaxLimit: 1_000, Concurrent: 512,
		},
		Server: Server{
			ReadTimeout: 10 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 120 * time.Second,
			RequestTimeout: 30 * time.Second, QueueTimeout: time.Second, ShutdownTimeout: 15 * time.Second,
			HeaderBytes: 32 << 10,
		},
	}
}

// Defaults of parts that may occur any number of times.
const (
	defaultPool           = 16
	defaultConnectTimeout = 3 * time.Second
	defaultTimeout        = 5 * time.Second
	defaultRefresh        = 5 * time.Minute
	defaultGrace          = 5 * time.Second
	defaultLeeway         = 30 * time.Second
	defaultMaxLifetime    = 24 * time.Hour
)

// complete fills what depends on other keys, and makes paths absolute.
func (c *Config) complete(base string) {
	at := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	at(&c.State)
	at(&c.Schema)
	at(&c.Policy)
	at(&c.Documents.Folder)
	if c.Keys == "" {
		c.Keys = filepath.Join(c.State, "keyring")
	}
	at(&c.Keys)
	c.Ledger.complete(c.State, at)
	if c.HideFrom == "" && len(c.Levels) > 0 {
		c.HideFrom = c.Levels[len(c.Levels)-1].Name
	}
	for id, d := range c.Departments {
		at(&d.Path)
		d.Pool = orDefault(d.Pool, defaultPool)
		d.ConnectTimeout = orDefault(d.ConnectTimeout, defaultConnectTimeout)
		d.Timeout = orDefault(d.Timeout, defaultTimeout)
		c.Departments[id] = d
	}
	at(&c.Tokens.Revoked)
	if j := c.Tokens.JWT; j != nil {
		at(&j.JWKS.File)
		j.JWKS.Refresh = orDefault(j.JWKS.Refresh, defaultRefresh)
		j.Leeway = orDefault(j.Leeway, defaultLeeway)
		j.MaxLifetime = orDefault(j.MaxLifetime, defaultMaxLifetime)
		if j.Claims.Subject == "" {
			j.Claims.Subject = "sub"
		}
		if j.Claims.Roles == "" {
			j.Claims.Roles = "roles"
		}
	}
	levels := make(map[string]string, len(c.Levels))
	for i, l := range c.Levels {
		levels[l.Name] = DurabilitySynced
		if i == 0 {
			levels[l.Name] = DurabilityWritten
		}
	}
	for l, d := range c.Ledger.Durability {
		levels[l] = d
	}
	c.Ledger.Durability = levels
	grace := make(map[string]time.Duration, len(c.Levels))
	for _, l := range c.Levels {
		grace[l.Name] = defaultGrace
	}
	for l, d := range c.Ledger.Replica.Grace {
		grace[l] = d
	}
	c.Ledger.Replica.Grace = grace
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// DepartmentIDs are the departments' ids, sorted.
func (c *Config) DepartmentIDs() []string {
	ids := make([]string, 0, len(c.Departments))
	for id := range c.Departments {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// PurposeIDs are the registered purposes, sorted.
func (c *Config) PurposeIDs() []string {
	ids := make([]string, 0, len(c.Purposes))
	for _, p := range c.Purposes {
		ids = append(ids, p.ID)
	}
	sort.Strings(ids)
	return ids
}

// OpenPurposes are the registered purposes among those listed with the
// application and those given, sorted and unique.
func (c *Config) OpenPurposes(application string, more []string) []string {
	var open []string
	for _, a := range c.Applications {
		if a.ID == application {
			open = append(open, a.Purposes...)
		}
	}
	open = append(open, more...)
	registered := c.PurposeIDs()
	open = slices.DeleteFunc(open, func(p string) bool { return !slices.Contains(registered, p) })
	slices.Sort(open)
	return slices.Compact(open)
}

// Loopback reports whether the address can be reached from this machine only.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
