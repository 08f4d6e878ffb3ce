package approval

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

const keyHeadline = "weir officer key 1"

// NewKey draws an officer's key.
func NewKey(random io.Reader) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("officer key: %w", err)
	}
	return key, nil
}

// KeyText is the private key as it is kept in a file.
func KeyText(key ed25519.PrivateKey) string {
	return keyHeadline + "\n" + encode(key.Seed()) + "\n"
}

// ParseKey reads what [KeyText] wrote. Its errors quote nothing.
func ParseKey(text string) (ed25519.PrivateKey, error) {
	head, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	seed, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(rest))
	if strings.TrimSpace(head) != keyHeadline || err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: this is no officer's key", ErrFormat)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// PublicText is the public key as it stands in weir.yaml.
func PublicText(key ed25519.PublicKey) string { return encode(key) }

// ParsePublic reads what [PublicText] wrote.
func ParsePublic(text string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: this is no public key, which is 32 bytes in base64", ErrFormat)
	}
	return b, nil
}
