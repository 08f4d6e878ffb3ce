package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// request is one HTTP request as it goes over the wire.
type request []byte

func newRequest(host, path, token, body string, headers ...string) request {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/graphql-response+json\r\n", path, host)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.Bytes()
}

// result is one measurement.
type result struct {
	perSecond float64
	p50, p99  time.Duration
}

// load sends the requests in turn over clients connections for the duration,
// each client as fast as it is answered, and counts complete answers of status
// 200. The clients share the machine with the server, so they spend as little as
// they can: prepared bytes out, headers scanned and bodies discarded in.
func load(address string, requests []request, clients int, duration time.Duration) (result, error) {
	return send(address, requests, clients, duration, func(int, int) (time.Duration, bool) { return 0, false })
}

// paced is load with so many requests a second, evenly spread over time and
// clients. An answer's time counts from when its request was due, also where
// the client was still waiting for the one before.
func paced(address string, requests []request, clients int, perSecond float64, duration time.Duration) (result, error) {
	every := time.Duration(float64(time.Second) / perSecond)
	return send(address, requests, clients, duration, func(client, n int) (time.Duration, bool) {
		return time.Duration(n*clients+client) * every, true
	})
}

// send sends the requests in turn. due tells when after the start a client's
// nth request is due, false for at once.
func send(address string, requests []request, clients int, duration time.Duration, due func(client, n int) (time.Duration, bool)) (result, error) {
	var next, done atomic.Int64
	var wg sync.WaitGroup
	failures := make(chan error, clients)
	times := make([][]time.Duration, clients)
	start := time.Now()
	deadline := start.Add(duration)
	for c := range clients {
		wg.Go(func() {
			conn, err := dial(address)
			if err != nil {
				failures <- err
				return
			}
			defer func() { _ = conn.Close() }()
			for n := 0; ; n++ {
				begin := time.Now()
				if after, wait := due(c, n); wait {
					begin = start.Add(after)
					time.Sleep(time.Until(begin))
				}
				if begin.After(deadline) {
					return
				}
				r := requests[int(next.Add(1))%len(requests)]
				if err := conn.exchange(r, io.Discard); err != nil {
					failures <- err
					return
				}
				times[c] = append(times[c], time.Since(begin))
				done.Add(1)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	select {
	case err := <-failures:
		return result{}, err
	default:
	}
	return result{float64(done.Load()) / elapsed.Seconds(), percentile(times, 50), percentile(times, 99)}, nil
}

// connection speaks just enough HTTP/1.1: answers with a Content-Length or in
// chunks, over one connection that is kept.
type connection struct {
	net.Conn
	in *bufio.Reader
}

func dial(address string) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

var errNoLength = errors.New("an answer with neither a Content-Length nor chunks")

func (c *connection) exchange(r request, body io.Writer) error {
	if _, err := c.Write(r); err != nil {
		return err
	}
	length, status, chunked := int64(-1), "", false
	for i := 0; ; i++ {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if i == 0 {
			status = string(line)
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return err
			}
		} else if ok && bytes.EqualFold(name, []byte("transfer-encoding")) {
			chunked = true
		}
	}
	var err error
	switch {
	case chunked:
		err = c.chunks(body)
	case length < 0:
		err = errNoLength
	default:
		_, err = io.CopyN(body, c.in, length)
	}
	if err != nil {
		return err
	}
	if status != "HTTP/1.1 200 OK" {
		return fmt.Errorf("answered %s", status)
	}
	return nil
}

// chunks reads a body in chunks, without trailers.
func (c *connection) chunks(body io.Writer) error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(body, c.in, size); err != nil {
			return err
		}
		if _, err := c.in.Discard(len("\r\n")); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

func percentile(of [][]time.Duration, p int) time.Duration {
	var all []time.Duration
	for _, t := range of {
		all = append(all, t...)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)*p/100]
}
