// Package replica keeps a node's log on a second machine, and lets the gate wait
// for it.
//
// It promises: a record that [Sender.Wait] vouches for stands, with everything
// before it, synced in the other machine's folder; what is sent there is exactly
// the bytes of the log's synced frames; each side talks to the holder of the one
// key that it was told, and to nobody else. The second machine is trusted to
// keep what it acknowledges. It gets the data keys as they lie in the log's own
// folder, wrapped, each before the first frame that names it: without the reading
// key it sees order and hashes and no content. It can neither change the log nor
// make an answer leave that this machine has not synced itself. It does not hold
// the ledger's signing key, and replicates no tree. A recorded act that drops a
// data key drops it there, too.
package replica

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"runtime"
	"time"

	"github.com/weir-data/weir/lineage"
)

// Errors of replication.
var (
	// ErrPeer: the other side does not hold the key that was named, or does not
	// speak this protocol.
	ErrPeer = errors.New("replication peer refused")
	// ErrApart: the copy is not a beginning of this node's log: one of the two
	// was restored from another state, or belongs to another node.
	ErrApart = errors.New("the replica does not hold a beginning of this log")
	// ErrKey: an identity file or public key cannot be used.
	ErrKey = errors.New("replication key is not valid")
)

// The protocol, over TLS 1.3 with a certificate on both sides of which only the
// Ed25519 key counts; numbers are little-endian:
//
//	node → replica  magic, byte length of origin, origin
//	replica → node  status (0 go on, 1 another origin's copy), uint64 sequence of its
//	                last record, 32 bytes SHA-256 of its last frame (zero when empty)
//	node → replica  uint32 length, byte kind, that many bytes, as often as there is
//	                something: whole frames, the last of them a record; or before
//	                them, for a key or drop frame among them, 16 bytes id of the
//	                data key and its file, or the act in its place
//	replica → node  uint64 sequence: everything up to this record is synced
const (
	protocol  = "WEIRREPL\x01"
	statusOK  = 0
	statusBad = 1
	helloSize = 1 + 8 + 32
	// maxChunk bounds a message; one frame may be larger than a chunk is meant to
	// be.
	chunkSize = 1 << 20
	maxChunk  = 32 << 20

	messageHead = 4 + 1
	kindFrames  = 0
	kindKey     = 1
	kindDropped = 2
)

// Identity is one side's key. It never prints its secret.
type Identity struct {
	private ed25519.PrivateKey
	cert    tls.Certificate
}

// Public is the key that the other side is told, in base64.
func (i *Identity) Public() string {
	public, _ := i.private.Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(public)
}

// String is the public key.
func (i *Identity) String() string { return i.Public() }

// GoString is as String, for %#v.
func (i *Identity) GoString() string { return i.Public() }

// OpenIdentity loads the key in a file, or makes one that only its owner may
// read.
func OpenIdentity(path string) (*Identity, error) {
	info, err := os.Stat(path) //nolint:gosec // the path is the operator's
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(path)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	case !info.Mode().IsRegular() || info.Size() > 1<<12:
		return nil, fmt.Errorf("%w: %s is not a key file", ErrKey, path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: %s has mode %04o, set it to 0600", ErrKey, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %s does not hold one", ErrKey, path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: %s does not hold an Ed25519 key", ErrKey, path)
	}
	return newIdentity(private)
}

func createIdentity(path string) (*Identity, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return newIdentity(private)
}

// newIdentity makes the certificate that TLS wants around a key. Nothing in it
// but the key is looked at.
func newIdentity(private ed25519.PrivateKey) (*Identity, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir replication"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<37, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	return &Identity{private: private, cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}}, nil
}

// ParsePublic reads a key as [Identity.Public] gives it.
func ParsePublic(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: not an Ed25519 public key in base64", ErrKey)
	}
	return key, nil
}

// tlsConfig lets in the holder of one key.
func (i *Identity) tlsConfig(peer ed25519.PublicKey) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{i.cert},
		ClientAuth:   tls.RequireAnyClientCert,
		// No name and no authority is trusted: the key itself is compared below,
		// and TLS proves that the other side holds it.
		InsecureSkipVerify: true, //nolint:gosec // see above
		// Each connection proves the key anew.
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) != 1 {
				return fmt.Errorf("%w: it shows no key", ErrPeer)
			}
			key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || !key.Equal(peer) {
				return fmt.Errorf("%w: it holds another key than was named", ErrPeer)
			}
			return nil
		},
	}
}

func writeHello(w io.Writer, origin string) error {
	b := append([]byte(protocol), byte(len(origin))) //nolint:gosec // origins are short names
	_, err := w.Write(append(b, origin...))
	return err
}

func readHello(r io.Reader) (origin string, err error) {
	b := make([]byte, len(protocol)+1)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	if string(b[:len(protocol)]) != protocol {
		return "", fmt.Errorf("%w: it speaks another protocol", ErrPeer)
	}
	name := make([]byte, b[len(protocol)])
	_, err = io.ReadFull(r, name)
	return string(name), err
}

func writeState(w io.Writer, status byte, s lineage.CopyState) error {
	b := make([]byte, helloSize)
	b[0] = status
	binary.LittleEndian.PutUint64(b[1:], s.Sequence)
	copy(b[9:], s.Last[:])
	_, err := w.Write(b)
	return err
}

func readState(r io.Reader) (status byte, s lineage.CopyState, err error) {
	b := make([]byte, helloSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, s, err
	}
	s.Sequence = binary.LittleEndian.Uint64(b[1:])
	copy(s.Last[:], b[9:])
	return b[0], s, nil
}

// writeHead fills in the head of a message that was begun with room for it.
func writeHead(message []byte, kind byte) {
	binary.LittleEndian.PutUint32(message, uint32(len(message)-messageHead)) //nolint:gosec // bounded by whoever fills it
	message[messageHead-1] = kind
}

// readMessage gives one message; its content is in the buffer or its successor.
func readMessage(r io.Reader, buf []byte) (kind byte, content []byte, err error) {
	var head [messageHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, buf, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxChunk {
		return 0, buf, fmt.Errorf("%w: a message of %d bytes", ErrPeer, n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	content = buf[:n]
	_, err = io.ReadFull(r, content)
	return head[messageHead-1], content, err
}
