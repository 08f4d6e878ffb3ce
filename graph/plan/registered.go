package plan

import (
	"crypto/sha256"
	"encoding/hex"
)

// Registered are the documents that a request may name by the SHA-256 of their
// text instead of sending it. They are part of a generation: a request finds
// those that came with the schema and policy that it runs under. Immutable; a
// nil *Registered holds none.
type Registered struct {
	texts map[string]string // by hash, in lower-case hexadecimal digits
	only  bool
}

// NewRegistered registers texts. With only, no other document is served.
func NewRegistered(texts []string, only bool) *Registered {
	r := &Registered{texts: make(map[string]string, len(texts)), only: only}
	for _, text := range texts {
		r.texts[hashOf(text)] = text
	}
	return r
}

// Len is the number of documents.
func (r *Registered) Len() int {
	if r == nil {
		return 0
	}
	return len(r.texts)
}

// Text gives the document of a hash, 64 lower-case hexadecimal digits.
func (r *Registered) Text(hash string) (text string, ok bool) {
	if r == nil {
		return "", false
	}
	text, ok = r.texts[hash]
	return text, ok
}

// Serves reports whether a text that came with a request may be answered.
func (r *Registered) Serves(text string) bool {
	if r == nil || !r.only {
		return true
	}
	_, ok := r.texts[hashOf(text)]
	return ok
}

// Same reports whether both hold the same documents and serve the same others.
func (r *Registered) Same(o *Registered) bool {
	if r == nil || o == nil {
		return r == o
	}
	if r.only != o.only || len(r.texts) != len(o.texts) {
		return false
	}
	for hash := range r.texts {
		if _, ok := o.texts[hash]; !ok {
			return false
		}
	}
	return true
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
