package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the type of keys that cosign (C2SP tlog-cosignature, v1).
const algCosignature = 4

// cosigner checks the cosignatures of one witness.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

var _ note.Verifier = (*cosigner)(nil)

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

// Verify checks a signature: a time, then Ed25519 over that time and the text.
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return ed25519.Verify(c.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, msg), sig[8:])
}

// parseWitnesses reads public keys: of type 4, which cosign, or plain Ed25519
// note keys. The ledger's own is none of somebody else; one that is given twice
// counts once.
func parseWitnesses(keys []string, own note.Verifier) ([]note.Verifier, error) {
	var out []note.Verifier
	for _, k := range keys {
		v, err := parseWitness(k)
		if err != nil {
			return nil, fmt.Errorf("%w: --witness %q is not a public key (name+hash+base64)", ErrInput, k)
		}
		same := func(o note.Verifier) bool { return o.Name() == v.Name() && o.KeyHash() == v.KeyHash() }
		if same(own) {
			return nil, fmt.Errorf("%w: --witness %q is the key of the ledger itself", ErrInput, k)
		}
		if !slices.ContainsFunc(out, same) {
			out = append(out, v)
		}
	}
	return out, nil
}

func parseWitness(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) == 3 {
		hash, err1 := strconv.ParseUint(parts[1], 16, 32)
		data, err2 := base64.StdEncoding.DecodeString(parts[2])
		if err1 == nil && err2 == nil && len(data) == 1+ed25519.PublicKeySize && data[0] == algCosignature {
			sum := sha256.Sum256(append([]byte(parts[0]+"\n"), data...))
			if parts[0] == "" || binary.BigEndian.Uint32(sum[:]) != uint32(hash) {
				return nil, ErrInput
			}
			return &cosigner{parts[0], uint32(hash), data[1:]}, nil
		}
	}
	return note.NewVerifier(text)
}
