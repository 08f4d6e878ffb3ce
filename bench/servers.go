package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/weir-data/weir/examples/guangdong"
)

// process is a server under measurement, in a process of its own.
type process struct {
	address string
	command *exec.Cmd
	log     *bytes.Buffer
}

func (p *process) stop() {
	_ = p.command.Process.Signal(os.Interrupt)
	_ = p.command.Wait()
}

// residentMiB is the process's resident memory.
func (p *process) residentMiB() float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

// processor is the processor time that the process has taken, of all its
// threads, as the scheduler counts it; 0 where the system does not say.
func (p *process) processor() time.Duration {
	var sum time.Duration
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	for _, file := range files {
		raw, err := os.ReadFile(file) //nolint:gosec // a file of /proc
		var running int64
		if err == nil {
			if _, err := fmt.Sscan(string(raw), &running); err == nil {
				sum += time.Duration(running)
			}
		}
	}
	return sum
}

// rest waits until the index of weir's records has caught up, so that what it put
// off does not burden whoever is measured next, and gives the processor time that
// this took.
func (p *process) rest() (time.Duration, error) {
	const look, most = 50 * time.Millisecond, 5 * time.Minute
	first := p.processor()
	for range int(most / look) {
		behind, err := p.behind()
		if err != nil {
			return 0, err
		}
		if behind == 0 {
			return p.processor() - first, nil
		}
		time.Sleep(look)
	}
	return 0, fmt.Errorf("the index of the records has not caught up after %v", most)
}

// behind is how many records the index has not read.
func (p *process) behind() (float64, error) {
	response, err := http.Get("http://" + p.address + "/metrics") //nolint:noctx // of a process that this one runs
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	in := bufio.NewScanner(response.Body)
	for in.Scan() {
		var n float64
		if _, err := fmt.Sscanf(in.Text(), "weir_ledger_index_behind %g", &n); err == nil {
			return n, nil
		}
	}
	return 0, errors.Join(errors.New("weir does not say how far its index is"), in.Err())
}

func build(ctx context.Context, dir, pkg, name string, flags ...string) (string, error) {
	path := filepath.Join(dir, name)
	command := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// startPrinting starts a server that prints its address first.
func startPrinting(ctx context.Context, env []string, program string, args ...string) (*process, error) {
	p := &process{command: exec.CommandContext(ctx, program, args...), log: &bytes.Buffer{}}
	p.command.Env, p.command.Stderr = append(os.Environ(), env...), p.log
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s ended: %w\n%s", program, err, p.log)
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// policy lets the reader see everything but two fields, which are masked.
const policy = `
p, bench, public_security, *,            L4, case-handling, all, clear, allow
p, bench, social_security, *,            L4, case-handling, all, clear, allow
p, bench, *,               Person.name,  L1, *,             all, clear, deny
p, bench, *,               Person.phone, L1, *,             all, clear, deny
`

const configuration = `
mode: serve
state: state
schema: schema
policy: policy
singleOfficer: true
purposeRequiredFrom: L3
purposes: [{id: case-handling, zh: 办案, en: handling of a case, basis: "Criminal Procedure Law, art. 54"}]
applications: [{id: bench, zh: 测试, en: benchmark, purposes: [case-handling]}]
departments:
  public_security: {driver: postgres, url: "${BENCH_PUBLIC_SECURITY}", pool: 16, titles: {zh: 公安, en: public security}}
  social_security: {driver: postgres, url: "${BENCH_SOCIAL_SECURITY}", pool: 16, titles: {zh: 人社, en: social security}}
tokens:
  jwt:
    jwks: {file: jwks.json}
    issuer: bench
    audience: weir
    algorithms: [EdDSA]
    claims: {subject: sub, application: app, roles: roles}
`

// schemas are the example's, without the fields that lead to departments that
// the benchmark has none of.
func writeSchemas(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"public_security", "social_security"} {
		raw, err := fs.ReadFile(guangdong.Files(), "schema/"+name+".graphqls")
		if err != nil {
			return err
		}
		var kept, description []string
		for line := range strings.Lines(string(raw)) {
			if strings.HasPrefix(strings.TrimSpace(line), `"`) {
				description = append(description, line)
				continue
			}
			elsewhere := false
			for _, t := range []string{"[BirthCertificate!]", "[Vaccination!]", "[Company!]", ": Company ", "[Certificate!]"} {
				elsewhere = elsewhere || strings.Contains(line, t)
			}
			if !elsewhere {
				kept = append(append(kept, description...), line)
			}
			description = nil
		}
		if err := os.WriteFile(filepath.Join(dir, name+".graphqls"), []byte(strings.Join(kept, "")), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startWeir starts the real program with everything on, and gives a signed
// token for it.
func startWeir(ctx context.Context, env []string, program, dir string) (*process, string, error) {
	token, jwks, err := signedToken()
	if err != nil {
		return nil, "", err
	}
	if err := writeSchemas(filepath.Join(dir, "schema")); err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "policy"), 0o700); err != nil {
		return nil, "", err
	}
	for name, text := range map[string]string{"weir.yaml": configuration, "policy/bench.csv": policy, "jwks.json": jwks} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, "", err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	p := &process{address: listener.Addr().String(), log: &bytes.Buffer{}}
	_ = listener.Close()
	p.command = exec.CommandContext(ctx, program, "serve", "--log", "warn", "--config", filepath.Join(dir, "weir.yaml"), "--listen", p.address)
	p.command.Env, p.command.Stdout, p.command.Stderr = append(os.Environ(), env...), p.log, p.log
	if err := p.command.Start(); err != nil {
		return nil, "", err
	}
	for range 500 {
		if response, err := http.Get("http://" + p.address + "/readyz"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return p, token, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.stop()
	return nil, "", fmt.Errorf("weir is not ready after 10 s\n%s", p.log)
}

func signedToken() (token, jwks string, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	keys := make([]jwk.Key, 2)
	for i, raw := range []any{private, public} {
		if keys[i], err = jwk.Import(raw); err != nil {
			return "", "", err
		}
		for name, value := range map[string]any{jwk.KeyIDKey: "bench", jwk.AlgorithmKey: jwa.EdDSA()} {
			if err := keys[i].Set(name, value); err != nil {
				return "", "", err
			}
		}
	}
	set := jwk.NewSet()
	if err := set.AddKey(keys[1]); err != nil {
		return "", "", err
	}
	now := time.Now()
	claims, err := jwt.NewBuilder().Issuer("bench").Audience([]string{"weir"}).Subject("bench-1").IssuedAt(now).
		Expiration(now.Add(2*time.Hour)).JwtID("bench").Claim("roles", []string{"bench"}).Claim("app", "bench").Build()
	if err != nil {
		return "", "", err
	}
	signed, err := jwt.Sign(claims, jwt.WithKey(jwa.EdDSA(), keys[0]))
	if err != nil {
		return "", "", err
	}
	raw, err := json.Marshal(set)
	return string(signed), string(raw), err
}
