package e2e

import (
	wire "encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// fault is what a proxy does to the bytes that a database sends.
type fault uint8

const (
	sound       fault = iota
	slow              // every message 5 s late
	stalled           // nothing more after the first row
	resetMidRow       // the connection is reset in the middle of a row
	refusing          // nobody listens
	garbled           // rows of other types, and of fewer columns
	oneHugeRow        // a row of 1 GB
	endlessRows       // the same row, up to 1 GB
)

const gigabyte = 1 << 30

// proxy stands in front of a database and passes bytes on, but for a fault. It
// knows the frame of a message, a letter and a length, and what letter a row has.
type proxy struct {
	t        *testing.T
	upstream string // a unix socket
	address  string

	mu       sync.Mutex
	listener net.Listener
	fault    fault
	changed  chan struct{} // closed when the fault changes
	open     map[net.Conn]struct{}
	running  sync.WaitGroup
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	p := &proxy{t: t, upstream: upstream, changed: make(chan struct{}), open: map[net.Conn]struct{}{}}
	p.listen("127.0.0.1:0")
	t.Cleanup(func() {
		p.set(refusing)
		p.running.Wait()
	})
	return p
}

func (p *proxy) listen(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		p.t.Errorf("the proxy cannot listen: %v", err)
		return
	}
	p.listener, p.address = l, l.Addr().String()
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(c) })
		}
	})
}

// set changes the fault for what follows, on open connections too.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.fault
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	switch {
	case f == refusing && was != refusing:
		_ = p.listener.Close()
		p.dropLocked()
	case f != refusing && was == refusing:
		p.listen(p.address)
	}
}

// drop closes all connections.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked()
}

func (p *proxy) dropLocked() {
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) now() (fault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

// connections is the number of clients.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	p.open[client] = struct{}{}
	p.mu.Unlock()
	gone := make(chan struct{})
	defer func() {
		_ = client.Close()
		p.mu.Lock()
		delete(p.open, client)
		p.mu.Unlock()
	}()
	server, err := net.Dial("unix", p.upstream)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.running.Go(func() {
		defer close(gone)
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	var head [5]byte
	var body []byte
	for {
		if _, err := io.ReadFull(server, head[:]); err != nil {
			return
		}
		n := int(wire.BigEndian.Uint32(head[1:])) - 4
		if n < 0 || n > gigabyte {
			return
		}
		if cap(body) < n {
			body = make([]byte, n)
		}
		body = body[:n]
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if !p.pass(client, head, body, gone) {
			return
		}
	}
}

// pass hands a message on, as the fault wants it; false ends the connection.
func (p *proxy) pass(client net.Conn, head [5]byte, body []byte, gone chan struct{}) bool {
	message := append(head[:], body...)
	fault, changed := p.now()
	row := head[0] == 'D'
	switch {
	case fault == slow:
		late := time.NewTimer(5 * time.Second)
		defer late.Stop()
		select {
		case <-late.C:
		case <-changed:
		case <-gone:
			return false
		}
	case fault == stalled && row:
		if _, err := client.Write(message); err != nil {
			return false
		}
		select {
		case <-changed:
		case <-gone:
		}
		return false // what would follow was held back too long to be of use
	case fault == resetMidRow && row:
		_, _ = client.Write(message[:len(message)/2+1])
		if tcp, ok := client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return false
	case fault == garbled && row:
		message = garble(body)
	case fault == oneHugeRow && row:
		return p.huge(client, changed)
	case fault == endlessRows && row:
		for sent := 0; sent < gigabyte; sent += len(message) {
			if now, _ := p.now(); now != fault {
				return false
			}
			if _, err := client.Write(message); err != nil {
				return false
			}
		}
	}
	_, err := client.Write(message)
	return err == nil
}

// garble makes every second value of a row three bytes that are no text, number
// or date, and leaves the last one out where there are several.
func garble(body []byte) []byte {
	n := int(wire.BigEndian.Uint16(body))
	keep := n
	if n > 3 {
		keep--
	}
	out := wire.BigEndian.AppendUint16([]byte{'D', 0, 0, 0, 0}, uint16(keep)) //nolint:gosec // from a uint16
	rest := body[2:]
	for i := range n {
		size := int32(wire.BigEndian.Uint32(rest)) //nolint:gosec // the protocol's: -1 is NULL
		value := rest[4 : 4+max(size, 0)]
		rest = rest[4+max(size, 0):]
		if i >= keep {
			break
		}
		if i%2 == 1 && size >= 0 {
			size, value = 3, []byte{0xff, 0x00, 0xfe}
		}
		out = append(wire.BigEndian.AppendUint32(out, uint32(size)), value...) //nolint:gosec // back again
	}
	wire.BigEndian.PutUint32(out[1:], uint32(len(out)-1)) //nolint:gosec // small
	return out
}

// huge sends a row of one value of nearly 1 GB, for as long as anybody reads it.
func (p *proxy) huge(client net.Conn, changed chan struct{}) bool {
	size := uint32(gigabyte - 64)
	out := append([]byte{'D'}, wire.BigEndian.AppendUint32(nil, size+10)...)
	out = wire.BigEndian.AppendUint16(out, 1)
	out = wire.BigEndian.AppendUint32(out, size)
	if _, err := client.Write(out); err != nil {
		return false
	}
	chunk := make([]byte, 1<<20)
	for sent := 0; sent < int(size); sent += len(chunk) {
		select {
		case <-changed:
			return false
		default:
		}
		if _, err := client.Write(chunk); err != nil {
			return false
		}
	}
	return false
}
