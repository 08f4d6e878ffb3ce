package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// Client is an attacker's way to the town: a token, an address, and so many
// queries. It is not safe for concurrent use.
type Client struct {
	url  string
	left int
	used int
	http *http.Client
}

// ErrSpent ends an attack: no queries are left.
var ErrSpent = errors.New("no queries are left")

// Answer is all that comes back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Data   any      // nil where there is none
	Codes  []string // of the errors, as they come
}

// Client gives an attacker's client with so many queries. Its connections end
// with the town.
func (t *Town) Client(queries int) *Client {
	return &Client{url: t.URL, left: queries, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}}
}

// IDs lists the identity numbers that the reader may see.
func (c *Client) IDs(ctx context.Context) ([]string, error) {
	a, err := c.Ask(ctx, "research", `{ persons(limit: 1000) { idNumber } }`, nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range List(a.Data, "persons") {
		ids = append(ids, Text(p, "idNumber"))
	}
	return ids, nil
}

// Left is how many queries remain.
func (c *Client) Left() int { return c.left }

// Ask sends a query for a purpose, "" for none, with variables, nil for none,
// and further headers as pairs.
func (c *Client) Ask(ctx context.Context, purpose, query string, variables map[string]any, headers ...string) (*Answer, error) {
	if c.left == 0 {
		return nil, ErrSpent
	}
	c.left--
	c.used++
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	request.Header.Set("Authorization", "Bearer "+Token)
	if purpose != "" {
		request.Header.Set("X-Weir-Purpose", purpose)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	a := &Answer{Status: response.StatusCode, Header: response.Header}
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		return nil, err
	}
	var whole struct {
		Data   any
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(a.Body, &whole); err != nil {
		return nil, err
	}
	a.Data = whole.Data
	for _, e := range whole.Errors {
		a.Codes = append(a.Codes, e.Extensions.Code)
	}
	return a, nil
}

// At goes down a value of JSON by keys and indices; nil where there is nothing.
func At(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// List is the list at a path, nil where there is none.
func List(v any, path ...any) []any {
	l, _ := At(v, path...).([]any)
	return l
}

// Text is the string at a path, "" where there is none.
func Text(v any, path ...any) string {
	s, _ := At(v, path...).(string)
	return s
}
