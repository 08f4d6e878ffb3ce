package witness_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/weir-data/weir/lineage/witness"
)

const origin = "node-a"

// history is a tree of leaves, of a ledger with a key.
type history struct {
	t      *testing.T
	signer note.Signer
	public string
	hashes []tlog.Hash
	size   int64
}

func newHistory(t *testing.T) *history {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return &history{t: t, signer: signer, public: public}
}

// fork is the same ledger up to now.
func (h *history) fork() *history {
	other := *h
	other.hashes = append([]tlog.Hash(nil), h.hashes...)
	return &other
}

func (h *history) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = h.hashes[n]
		}
		return out, nil
	})
}

func (h *history) grow(leaves int, what string) {
	h.t.Helper()
	for range leaves {
		more, err := tlog.StoredHashes(h.size, fmt.Appendf(nil, "%s %d", what, h.size), h.reader())
		if err != nil {
			h.t.Fatal(err)
		}
		h.hashes = append(h.hashes, more...)
		h.size++
	}
}

func (h *history) text() string {
	h.t.Helper()
	root, err := tlog.TreeHash(h.size, h.reader())
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprintf("%s\n%d\n%s\n", origin, h.size, root)
}

// request asks to cosign the tree from an old size.
func (h *history) request(old int64) string {
	h.t.Helper()
	signed, err := note.Sign(&note.Note{Text: h.text()}, h.signer)
	if err != nil {
		h.t.Fatal(err)
	}
	var proof string
	if 0 < old && old < h.size {
		path, err := tlog.ProveTree(h.size, old, h.reader())
		if err != nil {
			h.t.Fatal(err)
		}
		for _, p := range path {
			proof += p.String() + "\n"
		}
	}
	return fmt.Sprintf("old %d\n%s\n%s", old, proof, signed)
}

// served is a witness in a folder behind a server.
type served struct {
	*witness.Witness
	key *witness.Key
	url string
	dir string
}

func serve(t *testing.T, dir string, logs ...string) *served {
	t.Helper()
	key, err := witness.KeyFor(filepath.Join(dir, "key"), dir, "regulator.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_790_000_000, 0)
	w, err := witness.Open(witness.Config{Dir: dir, Key: key, Logs: logs, Clock: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(func() {
		server.Close()
		_ = w.Close()
	})
	return &served{w, key, server.URL, dir}
}

type answer struct {
	status int
	kind   string // Content-Type
	body   string
}

func (s *served) post(t *testing.T, body string) answer {
	t.Helper()
	r, err := http.Post(s.url+"/add-checkpoint", "", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header.Get("Content-Type"), string(text)}
}

func (s *served) get(t *testing.T, path string) int {
	t.Helper()
	r, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

// cosigned asks and checks the cosignature.
func (s *served) cosigned(t *testing.T, h *history, old int64) {
	t.Helper()
	a := s.post(t, h.request(old))
	if a.status != http.StatusOK {
		t.Fatalf("from %d to %d: %+v", old, h.size, a)
	}
	n, err := note.Open([]byte(h.text()+"\n"+a.body), note.VerifierList(s.key))
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		t.Fatalf("%q: %v", a.body, err)
	}
	ledger, err := note.NewVerifier(h.public)
	if err != nil {
		t.Fatal(err)
	}
	n, err = note.Open(s.Last(origin), note.VerifierList(s.key, ledger))
	if err != nil || n.Text != h.text() || len(n.Sigs) != 2 {
		t.Fatalf("what is kept: %q, %v", s.Last(origin), err)
	}
}

// TestProtocol walks through the answers of C2SP tlog-witness.
func TestProtocol(t *testing.T) {
	h := newHistory(t)
	s := serve(t, t.TempDir(), h.public)
	if status := s.get(t, "/checkpoint/"+origin); status != http.StatusNotFound {
		t.Errorf("before the first: %d", status)
	}
	s.cosigned(t, h, 0) // without leaves
	h.grow(5, "batch")
	s.cosigned(t, h, 0)
	s.cosigned(t, h, 5)
	early := h.fork()
	h.grow(300, "batch")
	s.cosigned(t, h, 5)
	kept := string(s.Last(origin))

	other, stranger := newHistory(t), h.fork()
	stranger.signer = other.signer // our origin, another key
	forked := early.fork()
	forked.grow(400, "another batch")
	same := early.fork()
	same.grow(300, "another batch")
	proof := strings.Repeat(tlog.Hash{}.String()+"\n", 64)
	for name, test := range map[string]struct {
		body, want string
		status     int
	}{
		"from an old size":      {h.request(5), "305\n", http.StatusConflict},
		"from nothing":          {h.request(0), "305\n", http.StatusConflict},
		"rolled back":           {early.request(5), "305\n", http.StatusConflict},
		"another history":       {forked.request(305), "", http.StatusUnprocessableEntity},
		"another of that size":  {same.request(305), "two roots of size 305", http.StatusConflict},
		"an old size above":     {strings.Replace(h.request(305), "old 305", "old 306", 1), "", http.StatusBadRequest},
		"a key that is not his": {stranger.request(305), "", http.StatusForbidden},
		"an origin unknown":     {strings.ReplaceAll(h.request(305), "\nnode-a\n", "\nnode-b\n"), "", http.StatusNotFound},
		"a changed size":        {strings.Replace(h.request(305), "\n305\n", "\n306\n", 1), "", http.StatusForbidden},
		"a size spelt at will":  {strings.Replace(h.request(305), "old 305", "old 0305", 1), "", http.StatusBadRequest},
		"no size":               {strings.Replace(h.request(305), "old ", "", 1), "", http.StatusBadRequest},
		"no empty line":         {strings.ReplaceAll(h.request(305), "\n\n", "\n"), "", http.StatusBadRequest},
		"a line that is none":   {strings.Replace(h.request(305), "old 305\n", "old 305\nx\n", 1), "", http.StatusBadRequest},
		"64 lines of proof":     {strings.Replace(h.request(305), "old 305\n", "old 305\n"+proof, 1), "", http.StatusBadRequest},
		"a needless proof":      {strings.Replace(h.request(305), "old 305\n", "old 305\n"+tlog.Hash{}.String()+"\n", 1), "", http.StatusBadRequest},
		"nothing":               {"", "", http.StatusBadRequest},
		"too much":              {h.request(305) + strings.Repeat("x", 70<<10), "", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.post(t, test.body)
			if a.status != test.status || !strings.Contains(a.body, test.want) {
				t.Errorf("%+v", a)
			}
			if size := a.kind == "text/x.tlog.size"; size != (test.want == "305\n") {
				t.Errorf("Content-Type %q", a.kind)
			}
			if got := string(s.Last(origin)); got != kept {
				t.Errorf("it changed what is kept: %q", got)
			}
		})
	}
	if status := s.get(t, "/add-checkpoint"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	evidence, err := os.ReadDir(filepath.Join(s.dir, "refused"))
	if err != nil || len(evidence) != 2 {
		t.Errorf("kept of what was refused: %v, %v", evidence, err)
	}
	s.cosigned(t, h, 305)
}

// TestRemembers: what was cosigned binds after a restart, and a folder that is
// not whole, another's, or in use is refused.
func TestRemembers(t *testing.T) {
	h := newHistory(t)
	h.grow(10, "batch")
	dir := t.TempDir()
	s := serve(t, dir, h.public)
	forked := h.fork()
	s.cosigned(t, h, 0)
	if _, err := witness.Open(witness.Config{Dir: dir, Key: s.key, Logs: []string{h.public}}); !errors.Is(err, witness.ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = serve(t, dir, h.public)
	forked.size, forked.hashes = 0, nil
	forked.grow(11, "another batch")
	if a := s.post(t, forked.request(0)); a.status != http.StatusConflict || a.body != "10\n" {
		t.Errorf("it forgot: %+v", a)
	}
	if a := s.post(t, forked.request(10)); a.status != http.StatusUnprocessableEntity {
		t.Errorf("another history after a restart: %+v", a)
	}
	h.grow(1, "batch")
	s.cosigned(t, h, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(dir, origin+".checkpoint")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty": "", "cut": string(good[:len(good)-20]), "changed": strings.Replace(string(good), "\n11\n", "\n10\n", 1),
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.Open(witness.Config{Dir: dir, Key: s.key, Logs: []string{h.public}}); !errors.Is(err, witness.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.KeyFor(filepath.Join(dir, "key"), dir, "regulator.example/w1"); !errors.Is(err, witness.ErrState) {
		t.Errorf("a key in the place of one that has cosigned: %v", err)
	}
}

// TestOneHistory: of requests that race, from the same size to different trees,
// one is cosigned.
func TestOneHistory(t *testing.T) {
	h := newHistory(t)
	h.grow(3, "batch")
	s := serve(t, t.TempDir(), h.public)
	s.cosigned(t, h, 0)
	bodies := make([]string, 8)
	for i := range bodies {
		f := h.fork()
		f.grow(1+i, fmt.Sprintf("batch of %d", i))
		bodies[i] = f.request(3)
	}
	status := make([]int, len(bodies))
	var all sync.WaitGroup
	for i, body := range bodies {
		all.Go(func() {
			r, err := http.Post(s.url+"/add-checkpoint", "", strings.NewReader(body))
			if err == nil {
				status[i] = r.StatusCode
				_ = r.Body.Close()
			}
		})
	}
	all.Wait()
	cosigned := 0
	for _, code := range status {
		switch code {
		case http.StatusOK:
			cosigned++
		case http.StatusConflict:
		default:
			t.Errorf("status %v", status)
		}
	}
	if cosigned != 1 {
		t.Errorf("%d histories were cosigned", cosigned)
	}
}

// TestKeys: a key is what was made, is for its owner's eyes, and shows nothing.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for _, name := range []string{"", "two words", "a+b", strings.Repeat("x", 81)} {
		if _, err := witness.KeyFor(path, dir, name); !errors.Is(err, witness.ErrName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	made, err := witness.KeyFor(path, dir, "auditor")
	if err != nil {
		t.Fatal(err)
	}
	again, err := witness.KeyFor(path, dir, "")
	if err != nil || again.Public() != made.Public() {
		t.Errorf("%v instead of %v: %v", again, made, err)
	}
	if _, err := witness.KeyFor(path, dir, "regulator"); !errors.Is(err, witness.ErrName) {
		t.Errorf("another name: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// PRIVATE+KEY+name+hash+secret, whose base64 may hold further signs of plus.
	parts := strings.SplitN(strings.TrimSpace(string(text)), "+", 5)
	if len(parts) != 5 || len(parts[4]) < 40 {
		t.Fatal("the file holds no key of the form that notes are signed with")
	}
	secret := parts[4]
	if shown := fmt.Sprintf("%v %+v %#v %s", made, made, made, made); strings.Contains(shown, secret) {
		t.Errorf("it prints its secret: %s", shown)
	}
	for name, bad := range map[string]string{"empty": "", "cut": string(text[:20]), "another name": strings.Replace(string(text), "auditor", "auditer", 1)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.KeyFor(path, dir, ""); !errors.Is(err, witness.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.KeyFor(path, dir, ""); !errors.Is(err, witness.ErrState) {
		t.Errorf("readable by all: %v", err)
	}
}
