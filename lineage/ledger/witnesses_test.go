package ledger

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/lineage/verify"
	"github.com/weir-data/weir/lineage/witness"
)

// watcher is a real witness behind a real server, which can be away.
type watcher struct {
	*witness.Witness
	key    *witness.Key
	server *httptest.Server
	away   atomic.Bool
	asked  atomic.Int64
}

func newWatcher(t *testing.T, name, log string) *watcher {
	t.Helper()
	dir := t.TempDir()
	key, err := witness.KeyFor(filepath.Join(dir, "key"), dir, name)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{key: key}
	if w.Witness, err = witness.Open(witness.Config{Dir: dir, Key: key, Logs: []string{log}}); err != nil {
		t.Fatal(err)
	}
	handler := w.Handler()
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		if w.away.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		w.server.Close()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *watcher) asWitness() Witness { return Witness{URL: w.server.URL, Key: w.key.Public()} }

// anchored verifies a folder with what a witness cosigned last.
func (w *watcher) anchored(t *testing.T, dir, key string) (*verify.Report, error) {
	t.Helper()
	return verify.Folder(t.Context(), dir, verify.Options{
		Key: key, Witnesses: []string{w.key.Public()},
		Anchors: []verify.Anchor{verify.ParseAnchor("the witness's", w.Last(origin))},
	})
}

// eventually waits for something that the background does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func ledgerKey(t *testing.T, dir string) *Key {
	t.Helper()
	k, err := KeyFor(dir+".key", dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestWitnessed: the checkpoint, and with it every proof, carries what the
// witnesses signed, and the folder verifies with either's.
func TestWitnessed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	key := ledgerKey(t, dir)
	regulator, auditor := newWatcher(t, "regulator.example/w1", key.Public()), newWatcher(t, "auditor", key.Public())
	n := open(t, dir, func(_ *lineage.Config, c *Config) {
		c.Key, c.Witnesses.List = key, []Witness{regulator.asWitness(), auditor.asWitness()}
	})
	last := n.append(30)
	n.proven(last)
	p, err := Prove(lineage.Folder{Dir: dir}, key.Public(), last)
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*watcher{regulator, auditor} {
		got, err := verify.CheckProof(text, key.Public(), []string{w.key.Public()})
		if err != nil || len(got.Witnessed) != 1 || got.Witnessed[0] != w.key.Name() {
			t.Errorf("the proof for %s: %+v, %v", w.key.Name(), got, err)
		}
	}
	for _, s := range n.led.Stats().Witnesses {
		if s.Size == 0 || s.Cosigned.IsZero() || s.Refused {
			t.Errorf("%+v", s)
		}
	}
	n.close()
	for _, w := range []*watcher{regulator, auditor} {
		if r, err := w.anchored(t, dir, key.Public()); err != nil || r.Anchors != 1 {
			t.Errorf("with the anchor of %s: %+v, %v", w.key.Name(), r, err)
		}
	}
}

// TestWitnessAway: a witness that is away stops nothing, and is asked again and
// takes up where it was when it is back.
func TestWitnessAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	key := ledgerKey(t, dir)
	regulator, auditor := newWatcher(t, "regulator", key.Public()), newWatcher(t, "auditor", key.Public())
	n := open(t, dir, func(_ *lineage.Config, c *Config) {
		c.Key, c.Witnesses.List = key, []Witness{regulator.asWitness(), auditor.asWitness()}
	})
	n.proven(n.append(5))
	regulator.away.Store(true)
	n.proven(n.append(5))
	last := n.append(5)
	n.proven(last)
	if s := n.led.Stats().Witnesses; s[0].Failures == 0 || s[0].Size >= s[1].Size {
		t.Errorf("the first is away: %+v", s)
	}
	p, err := Prove(lineage.Folder{Dir: dir}, key.Public(), last)
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Text()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.CheckProof(text, key.Public(), []string{auditor.key.Public()}); err != nil {
		t.Error(err)
	}
	if _, err := verify.CheckProof(text, key.Public(), []string{regulator.key.Public()}); err == nil {
		t.Error("the newest checkpoint has the cosignature of a witness that was away")
	}
	if asked := regulator.asked.Load(); asked > 40 {
		t.Errorf("asked %d times", asked)
	}
	regulator.away.Store(false)
	eventually(t, "the witness is back", func() bool {
		n.append(1)
		time.Sleep(50 * time.Millisecond)
		s := n.led.Stats().Witnesses
		return s[0].Size > 0 && s[0].Size == s[1].Size
	})
	n.close()
	if _, err := regulator.anchored(t, dir, key.Public()); err != nil {
		t.Error(err)
	}
}

// TestQuorum: where cosignatures are required, checkpoints wait for them, and
// nothing else does.
func TestQuorum(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	key := ledgerKey(t, dir)
	regulator := newWatcher(t, "regulator", key.Public())
	config := func(_ *lineage.Config, c *Config) {
		c.Key, c.Witnesses = key, Witnesses{List: []Witness{regulator.asWitness()}, Quorum: 1, Timeout: time.Second}
	}
	regulator.away.Store(true)
	if _, err := tryOpen(dir, config); !errors.Is(err, ErrWitness) {
		t.Errorf("the first checkpoint without a quorum: %v", err)
	}
	regulator.away.Store(false)
	n := open(t, dir, config)
	before := n.append(3)
	n.proven(before)
	regulator.away.Store(true)
	last := n.append(20)
	time.Sleep(500 * time.Millisecond)
	if s := n.led.Stats(); s.Proven >= last.Sequence || !s.Working {
		t.Errorf("without a quorum: %+v", s)
	}
	if _, err := Prove(lineage.Folder{Dir: dir}, key.Public(), last); !errors.Is(err, ErrPending) {
		t.Errorf("a proof without a quorum: %v", err)
	}
	regulator.away.Store(false)
	n.proven(last)
	n.close()
}

// TestSilentWitness: one that takes the connection and says nothing delays a
// checkpoint once, by the time it is given, and not each one.
func TestSilentWitness(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing was sent
	dir := filepath.Join(t.TempDir(), "ledger")
	key := ledgerKey(t, dir)
	silent := newWatcher(t, "regulator", key.Public()).asWitness()
	silent.URL = "http://" + listener.Addr().String()
	begin := time.Now()
	n := open(t, dir, func(_ *lineage.Config, c *Config) {
		c.Key, c.Witnesses = key, Witnesses{List: []Witness{silent}, Timeout: 300 * time.Millisecond}
	})
	for range 3 {
		n.proven(n.append(2))
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("three checkpoints took %v", took)
	}
	n.close()
}

// TestWitnessFindsRollback: a ledger that is set back to an earlier copy, and
// one that goes on from there in another way, is refused by the witness, which
// the node tells; and whoever has the witness's checkpoint finds it in the
// files.
func TestWitnessFindsRollback(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "ledger")
	key := ledgerKey(t, dir)
	regulator := newWatcher(t, "regulator", key.Public())
	var log told
	config := func(_ *lineage.Config, c *Config) {
		c.Key, c.Witnesses.List, c.Log = key, []Witness{regulator.asWitness()}, log.logger()
	}
	n := open(t, dir, config)
	n.proven(n.append(10))
	n.close()
	early := filepath.Join(base, "early")
	if err := os.CopyFS(early, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	n = open(t, dir, config)
	for range 5 {
		n.proven(n.append(10))
	}
	n.close()
	if _, err := regulator.anchored(t, dir, key.Public()); err != nil {
		t.Fatal(err)
	}
	seen := regulator.Last(origin)

	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(early))); err != nil {
		t.Fatal(err)
	}
	n = open(t, dir, config)
	n.proven(n.append(1))
	eventually(t, "the witness refuses what was rolled back", func() bool {
		n.append(1)
		return n.led.Stats().Witnesses[0].Refused
	})
	for range 12 { // beyond what the witness knows
		n.proven(n.append(1))
	}
	n.close()
	if !strings.Contains(log.String(), "A WITNESS REFUSES THIS LEDGER") {
		t.Errorf("the node says nothing of it: %s", log.String())
	}
	if !bytes.Equal(seen, regulator.Last(origin)) {
		t.Fatal("the witness cosigned another history")
	}
	var tampered *verify.TamperError
	if _, err := regulator.anchored(t, early, key.Public()); !errors.As(err, &tampered) {
		t.Errorf("the earlier copy: %v", err)
	}
	if _, err := regulator.anchored(t, dir, key.Public()); !errors.As(err, &tampered) || !strings.Contains(err.Error(), "fork") {
		t.Errorf("another history: %v", err)
	}
}

// TestWitnessesRefused: what cannot be asked is said at the start.
func TestWitnessesRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	key := ledgerKey(t, dir)
	good := Witness{URL: "http://127.0.0.1:1", Key: newWatcher(t, "regulator", key.Public()).key.Public()}
	for name, w := range map[string]Witnesses{
		"a quorum above all": {List: []Witness{good}, Quorum: 2},
		"one named twice":    {List: []Witness{good, good}},
		"no URL":             {List: []Witness{{URL: "regulator", Key: good.Key}}},
		"a ledger's key":     {List: []Witness{{URL: good.URL, Key: key.Public()}}},
	} {
		if _, err := tryOpen(dir, func(_ *lineage.Config, c *Config) { c.Key, c.Witnesses = key, w }); !errors.Is(err, ErrWitness) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
