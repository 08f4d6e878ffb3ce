package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Witness is somebody else's server that cosigns checkpoints (C2SP
// tlog-witness): what it has cosigned cannot be taken back unseen.
type Witness struct {
	URL string // add-checkpoint is appended
	Key string // of type 4, as `weir lineage witness` prints it
}

// Witnesses are who is asked for each checkpoint.
type Witnesses struct {
	List []Witness
	// Quorum is how many must have cosigned before a checkpoint stands; with
	// fewer, proofs wait, and answers do not. 0: a checkpoint stands with the
	// cosignatures that came in time.
	Quorum int
	// Timeout bounds the exchange about one checkpoint. Default 5 s.
	Timeout time.Duration
}

// WitnessStats are one witness's figures.
type WitnessStats struct {
	Name     string
	Size     int64     // batches that it has cosigned, as far as this process has seen
	Cosigned time.Time // of the newest cosignature
	Failures uint64    // exchanges that gave none
	// Refused says that it has refused this ledger as another than the one that
	// it knows: forked, or rolled back.
	Refused bool
}

// cosigns reports whether a verifier key is of type 4. The storage takes others
// for it, and verifiers do not.
func cosigns(key string) bool {
	parts := strings.SplitN(key, "+", 3)
	data, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	return err == nil && len(data) > 0 && data[0] == 4
}

// guard stands between the storage, which asks witnesses while it publishes, and
// the net: it bounds what they may answer, leaves one that is down alone for a
// while, and notes how each one stands. It is a http.RoundTripper.
type guard struct {
	next    http.RoundTripper
	timeout time.Duration
	log     *slog.Logger
	now     func() time.Time
	list    []*witnessState
	running sync.WaitGroup
	quit    context.Context // ends exchanges that outlive their request
	stop    context.CancelFunc
}

type witnessState struct {
	url      string
	verifier note.Verifier

	mu     sync.Mutex
	stats  WitnessStats
	failed int       // in a row
	again  time.Time // not to be asked before
}

// errPaused: the witness did not answer a moment ago.
var errPaused = errors.New("the witness failed a moment ago and is left alone for a while")

func newGuard(c *Config) *guard {
	g := &guard{timeout: c.Witnesses.Timeout, log: c.Log, now: time.Now, next: &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second,
		ResponseHeaderTimeout: c.Witnesses.Timeout, MaxResponseHeaderBytes: 16 << 10,
	}}
	g.quit, g.stop = context.WithCancel(context.Background())
	return g
}

func (g *guard) add(u string, v note.Verifier) {
	g.list = append(g.list, &witnessState{url: u, verifier: v, stats: WitnessStats{Name: v.Name()}})
}

// client follows no redirect: a witness is where its key's holder said it is.
func (g *guard) client() *http.Client {
	return &http.Client{Transport: g, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (g *guard) close() {
	g.stop()
	g.running.Wait()
	if t, ok := g.next.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (g *guard) stats() []WitnessStats {
	out := make([]WitnessStats, len(g.list))
	for i, w := range g.list {
		w.mu.Lock()
		out[i] = w.stats
		w.mu.Unlock()
	}
	return out
}

// failing reports whether some witness gave no cosignature when last asked.
func (g *guard) failing() bool {
	for _, w := range g.list {
		w.mu.Lock()
		failed := w.failed > 0
		w.mu.Unlock()
		if failed {
			return true
		}
	}
	return false
}

// RoundTrip makes one exchange. Once begun it goes on when the storage stops
// waiting for it, because it has its quorum: the slower witness is to know the
// checkpoint too.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	w := g.of(r.URL)
	if w == nil {
		return nil, fmt.Errorf("%s is no witness of this ledger", r.URL.Host)
	}
	if w.paused(g.now()) {
		return nil, errPaused
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	type result struct {
		response *http.Response
		err      error
	}
	done := make(chan result, 1)
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		response, err := g.exchange(w, r, body) //nolint:bodyclose // in memory by then; who asked closes it
		done <- result{response, err}
	}()
	select {
	case out := <-done:
		return out.response, out.err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (g *guard) of(u *url.URL) *witnessState {
	for _, w := range g.list {
		if w.url == u.String() {
			return w
		}
	}
	return nil
}

// maxWitnessAnswer bounds an answer: a few lines of signatures.
const maxWitnessAnswer = 16 << 10

func (g *guard) exchange(w *witnessState, r *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(g.quit, g.timeout)
	defer cancel()
	q := r.Clone(ctx)
	q.Body = io.NopCloser(bytes.NewReader(body))
	response, err := g.next.RoundTrip(q)
	if err != nil {
		g.failed(w, err, false)
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxWitnessAnswer+1))
	err = errors.Join(err, response.Body.Close())
	if err == nil && len(answer) > maxWitnessAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", maxWitnessAnswer)
	}
	if err != nil {
		g.failed(w, err, false)
		return nil, err
	}
	g.judge(w, response, body, answer)
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, nil
}

// judge notes what an answer says of the ledger.
func (g *guard) judge(w *witnessState, response *http.Response, body, answer []byte) {
	_, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
	size := sizeOf(checkpoint)
	switch response.StatusCode {
	case http.StatusOK:
		if _, err := note.Open(append(bytes.Clone(checkpoint), answer...), note.VerifierList(w.verifier)); err != nil {
			g.failed(w, errors.New("its answer is not a cosignature made with its key"), false)
			return
		}
		g.cosigned(w, size)
	case http.StatusConflict:
		if response.Header.Get("Content-Type") != "text/x.tlog.size" {
			g.failed(w, fmt.Errorf("it has cosigned another tree of %d batches", size), true)
			return
		}
		if has, err := strconv.ParseInt(strings.TrimSpace(string(answer)), 10, 64); err != nil || has > size {
			g.failed(w, fmt.Errorf("it has cosigned %d batches of this ledger, which has %d", has, size), true)
		} // else it has seen less than was thought, and is asked again
	case http.StatusUnprocessableEntity:
		g.failed(w, fmt.Errorf("no proof leads from what it has cosigned to this tree of %d batches", size), true)
	default:
		g.failed(w, fmt.Errorf("it answers with status %d", response.StatusCode), false)
	}
}

// sizeOf is the second line of a checkpoint of our own.
func sizeOf(checkpoint []byte) int64 {
	lines := bytes.SplitN(checkpoint, []byte("\n"), 3)
	if len(lines) < 3 {
		return 0
	}
	n, err := strconv.ParseInt(string(lines[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Pauses after failures in a row.
const (
	firstPause = time.Second
	mostPause  = time.Minute
)

func (g *guard) failed(w *witnessState, err error, refused bool) {
	if g.quit.Err() != nil {
		return // we ended it
	}
	w.mu.Lock()
	first := w.failed == 0 || refused && !w.stats.Refused
	pause := mostPause
	if w.failed < 6 {
		pause = firstPause << w.failed
	}
	w.failed++
	w.stats.Failures++
	w.stats.Refused = refused || w.stats.Refused
	w.again = g.now().Add(pause)
	w.mu.Unlock()
	switch {
	case refused && first:
		g.log.Error("A WITNESS REFUSES THIS LEDGER as another than it knows: it was rolled back, or its tree was changed; keep a copy and look for the cause before anything else",
			"witness", w.verifier.Name(), "reason", err.Error())
	case first:
		g.log.Warn("a witness does not cosign; answers go on", "witness", w.verifier.Name(), "error", err.Error())
	}
}

func (g *guard) cosigned(w *witnessState, size int64) {
	w.mu.Lock()
	again := w.failed > 0
	w.failed, w.again = 0, time.Time{}
	w.stats.Refused = false
	w.stats.Size, w.stats.Cosigned = size, g.now()
	w.mu.Unlock()
	if again {
		g.log.Info("a witness cosigns again", "witness", w.verifier.Name())
	}
}

func (w *witnessState) paused(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A clock that went back must not leave a witness alone for as long.
	return now.Before(w.again) && w.again.Sub(now) <= mostPause
}
