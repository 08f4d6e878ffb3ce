package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/schema"
)

// maxJWKS bounds a key set's size in bytes.
const maxJWKS = 1 << 20

// missedPause is the shortest time between two fetches that tokens with unknown
// key ids can cause, so that strangers cannot make us call the issuer at will.
const missedPause = 10 * time.Second

// pollFile is how often files that grant or withdraw are looked at: a
// withdrawal is to be live within a second.
const pollFile = 400 * time.Millisecond

// JWKS holds an issuer's public keys, from a file or an https URL. Keys that
// cannot be refreshed stay in force; a set that is not acceptable is refused as
// a whole. Run keeps it fresh.
type JWKS struct {
	cfg     config.JWKS
	client  *http.Client
	log     *slog.Logger
	current atomic.Pointer[keySet]
	missed  chan struct{}
}

type keySet struct {
	keys  jwk.Set
	epoch uint64
	text  string
}

var _ KeySource = (*JWKS)(nil)

// OpenJWKS loads the keys for the first time; without keys nobody could come
// in, so that this failing is an error.
func OpenJWKS(ctx context.Context, cfg config.JWKS, log *slog.Logger) (*JWKS, error) {
	j := &JWKS{
		cfg: cfg, log: log, missed: make(chan struct{}, 1),
		client: &http.Client{
			Timeout: 10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // keys come from where the operator said
			},
		},
	}
	if err := j.refresh(ctx); err != nil {
		return nil, fmt.Errorf("tokens.jwt.jwks: %w", err)
	}
	return j, nil
}

// Keys gives the current set.
func (j *JWKS) Keys() (jwk.Set, uint64) {
	k := j.current.Load()
	return k.keys, k.epoch
}

// Missed asks for a refresh, without waiting for it.
func (j *JWKS) Missed() {
	select {
	case j.missed <- struct{}{}:
	default:
	}
}

// Run refreshes the keys until the context ends.
func (j *JWKS) Run(ctx context.Context) error {
	every := j.cfg.Refresh
	if j.cfg.File != "" {
		every = pollFile
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last time.Time
	failing := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-j.missed:
			if j.cfg.File != "" || time.Since(last) < missedPause {
				continue
			}
		}
		last = time.Now()
		failing = j.look(ctx, failing)
	}
}

// look refreshes the keys, and gives what was told last: that it fails is told once
// for as long as it fails alike, since a file is looked at several times a second.
func (j *JWKS) look(ctx context.Context, before string) string {
	err := j.refresh(ctx)
	switch {
	case ctx.Err() != nil:
		return before
	case err == nil && before != "":
		j.log.Info("the token issuer's keys can be refreshed again")
	case err != nil && err.Error() != before:
		j.log.Warn("the token issuer's keys could not be refreshed; those at hand stay in force", "error", err.Error())
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func (j *JWKS) refresh(ctx context.Context) error {
	text, err := j.read(ctx)
	if err != nil {
		return err
	}
	old := j.current.Load()
	if old != nil && old.text == string(text) {
		return nil
	}
	keys, err := publicKeys(bytes.TrimPrefix(text, []byte("\ufeff")))
	if err != nil && j.cfg.File != "" {
		err = fmt.Errorf("%s: %w", j.cfg.File, err)
	}
	if err != nil {
		return err
	}
	next := &keySet{keys: keys, epoch: 1, text: string(text)}
	if old != nil {
		next.epoch = old.epoch + 1
		j.log.Info("the token issuer's keys changed", "keys", keys.Len())
	}
	j.current.Store(next)
	return nil
}

func (j *JWKS) read(ctx context.Context) ([]byte, error) {
	if j.cfg.File != "" {
		return schema.ReadRegular(j.cfg.File, maxJWKS)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.cfg.URL, nil)
	if err != nil {
		return nil, errors.New("the URL is malformed")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answered %d", resp.StatusCode)
	}
	return bounded(resp.Body)
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxJWKS {
		return nil, errors.New("the key set is larger than 1 MiB")
	}
	return text, nil
}

var errJWKS = errors.New("not a set of public keys")

// publicKeys refuses private and symmetric keys: a key that checks must not be
// able to sign, and one that can sign must not lie about.
func publicKeys(text []byte) (jwk.Set, error) {
	set, err := jwk.Parse(text)
	if err != nil || set.Len() == 0 {
		return nil, errJWKS // the library's text may quote the file
	}
	ids := map[string]bool{}
	for i := range set.Len() {
		key, _ := set.Key(i)
		private, err := jwk.IsPrivateKey(key)
		if err != nil || private {
			return nil, fmt.Errorf("%w: key %d is not a public key", errJWKS, i+1)
		}
		id, _ := key.KeyID()
		if ids[id] {
			return nil, fmt.Errorf("%w: two keys have one id, or none", errJWKS)
		}
		ids[id] = true
	}
	return set, nil
}
