package replica

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/weir-data/weir/lineage"
)

// ReceiverConfig is what a second machine needs. All but Files, Log and Fatal is
// required.
type ReceiverConfig struct {
	Dir      string // of the copy; made if missing
	Identity *Identity
	Node     ed25519.PublicKey // whose log it keeps
	Files    lineage.FS        // default lineage.OS()
	Log      *slog.Logger      // default: nobody is told
	// Fatal ends the process after a failed sync. Required.
	Fatal func(error)
}

// Receive keeps the node's log in the folder until the context ends. It serves
// one connection at a time; a newer one replaces an older one, whose node has
// lost it. It refuses a folder that another process holds or that is damaged.
func Receive(ctx context.Context, l net.Listener, c ReceiverConfig) error {
	if c.Files == nil {
		c.Files = lineage.OS()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &receiver{config: c}
	first, err := lineage.OpenCopy(c.Dir, c.Files)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	r.copy = first
	defer func() {
		if r.copy != nil {
			_ = r.copy.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	tlsConfig := c.Identity.tlsConfig(c.Node)
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		serving.Go(func() { r.serve(ctx, tls.Server(conn, tlsConfig)) })
	}
}

type receiver struct {
	config ReceiverConfig

	mu      sync.Mutex // of who may write
	copy    *lineage.Copy
	current net.Conn
	replace sync.Mutex
}

// handshakeTime bounds what a stranger can hold.
const handshakeTime = 10 * time.Second

// serve is one connection, from its handshake to its end.
func (r *receiver) serve(ctx context.Context, conn *tls.Conn) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(handshakeTime))
	if err := conn.HandshakeContext(ctx); err != nil {
		r.config.Log.Warn("a connection was refused", "remote", conn.RemoteAddr().String(), "error", err.Error())
		return
	}
	// The node proved its key: its newest connection is the one that it uses.
	r.replace.Lock()
	if r.current != nil {
		_ = r.current.Close()
	}
	r.current = conn
	r.replace.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = conn.SetDeadline(time.Time{})
	err := r.follow(conn)
	if lineage.IsSyncError(err) {
		r.config.Fatal(err)
	}
	if ctx.Err() == nil {
		r.config.Log.Warn("the node's connection has ended", "error", err.Error())
	}
}

// follow takes frames until the connection ends. Whatever ends it, the copy is
// then found from its files again.
func (r *receiver) follow(conn net.Conn) (err error) {
	if err := r.reopen(); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, 256<<10)
	_ = conn.SetReadDeadline(time.Now().Add(handshakeTime))
	origin, err := readHello(in)
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Time{})
	state := r.copy.State()
	if state.Origin != "" && state.Origin != origin {
		err := fmt.Errorf("%w: the folder holds the log of %q, the node is %q", ErrApart, state.Origin, origin)
		return errors.Join(err, writeState(conn, statusBad, state))
	}
	if err := writeState(conn, statusOK, state); err != nil {
		return err
	}
	r.config.Log.Info("the node is connected", "origin", origin, "sequence", state.Sequence)
	var message []byte
	for {
		var kind byte
		if kind, message, err = readMessage(in, message); err != nil {
			return err
		}
		if kind != kindFrames {
			if err := r.offered(kind, message); err != nil {
				return err
			}
			continue // the frames that it is for come next
		}
		if err := r.copy.Add(origin, message); err != nil {
			return err
		}
		if in.Buffered() > messageHead {
			continue // what is there already shares the sync
		}
		if err := r.copy.Sync(); err != nil {
			return err
		}
		var ack [8]byte
		binary.LittleEndian.PutUint64(ack[:], r.copy.State().Sequence)
		if _, err := conn.Write(ack[:]); err != nil {
			return err
		}
	}
}

// offered takes the file of a data key.
func (r *receiver) offered(kind byte, message []byte) error {
	var id lineage.KeyID
	if kind != kindKey && kind != kindDropped || len(message) < len(id) {
		return fmt.Errorf("%w: a message of kind %d with %d bytes", ErrPeer, kind, len(message))
	}
	n := copy(id[:], message)
	return r.copy.Offer(id, message[n:], kind == kindDropped)
}

func (r *receiver) reopen() error {
	if r.copy != nil {
		_ = r.copy.Close() // what it promised is synced
		r.copy = nil
	}
	c, err := lineage.OpenCopy(r.config.Dir, r.config.Files)
	if err != nil {
		return err
	}
	r.copy = c
	return nil
}
