package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-data/weir/graph/plan"
)

// Trusted are the registered documents of the data graph: those that a request
// may name by the SHA-256 of their text instead of sending it. They come from a
// folder that the operator fills, and from nowhere else: no request registers
// anything. Immutable; a nil *Trusted holds none.
type Trusted struct {
	texts map[string]string // by hash, in lower-case hexadecimal digits
	files map[string]string // by hash
	only  bool
}

// hashScheme stands before the hash in a documentId.
const hashScheme = "sha256:"

// OpenTrusted reads the *.graphql files of a folder, a document each; its hash is
// that of the file's bytes. With only, the data graph serves no other document.
// A file beyond maxBytes, or one that is not UTF-8, is an error that names it.
func OpenTrusted(dir string, only bool, maxBytes int) (*Trusted, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("registered documents: %w", err)
	}
	t := &Trusted{texts: map[string]string{}, files: map[string]string{}, only: only}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".graphql") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("registered documents: %w", err)
		}
		if info.Size() > int64(maxBytes) {
			return nil, fmt.Errorf("registered documents: %s: %w", path, errTooLarge)
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of the folder that the operator named
		if err != nil {
			return nil, fmt.Errorf("registered documents: %w", err)
		}
		if !utf8.Valid(text) {
			return nil, fmt.Errorf("registered documents: %s is not UTF-8", path)
		}
		sum := sha256.Sum256(text)
		hash := hex.EncodeToString(sum[:])
		t.texts[hash], t.files[hash] = string(text), path
	}
	if only && len(t.texts) == 0 {
		return nil, fmt.Errorf("registered documents: %s holds no *.graphql file, and no other document would be served", dir)
	}
	return t, nil
}

// Invalid lists the files whose documents cannot be valid for anybody under the
// generation, with what is wrong with each, sorted.
func (t *Trusted) Invalid(g *plan.Generation) []string {
	if t == nil {
		return nil
	}
	var out []string
	for hash, text := range t.texts {
		if _, errs := g.Documents.Get(text); errs != nil {
			out = append(out, t.files[hash]+": "+errs[0].Message)
		}
	}
	slices.Sort(out)
	return out
}

// resolve puts a registered document's text into the parameters that name it,
// and turns down what is not registered where nothing else is served.
func (t *Trusted) resolve(p *params) *refusal {
	if p.query == "" {
		text, ok := "", false
		if t != nil {
			text, ok = t.texts[p.hash]
		}
		if !ok {
			return &refusal{code: plan.DocumentNotFound}
		}
		p.query = text
		return nil
	}
	if t == nil || !t.only {
		return nil
	}
	sum := sha256.Sum256([]byte(p.query))
	if _, ok := t.texts[hex.EncodeToString(sum[:])]; !ok {
		return &refusal{plan.DocumentNotFound, "only registered documents are served"}
	}
	return nil
}
