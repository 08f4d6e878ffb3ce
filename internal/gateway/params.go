package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/weir-data/weir/graph/plan"
)

// params are the parameters of one GraphQL request.
type params struct {
	query      string
	operation  string
	variables  map[string]any
	extensions map[string]any
	document   string // documentId, "" for none
	hash       string // of a document that is named and not sent
}

// refusal is a request that the front turns down; sentence is a constant.
type refusal struct {
	code     plan.Code
	sentence string // "" for the code's own
}

func (r *refusal) text() string {
	if r.sentence != "" {
		return r.sentence
	}
	return failureOf(r.code).sentence
}

func badRequest(sentence string) *refusal { return &refusal{plan.BadRequest, sentence} }

// readPost reads a POST's parameters.
func readPost(r *http.Request, limit int, bodies *buffers) (*params, *refusal) {
	if !isJSONBody(r.Header) {
		return nil, &refusal{code: plan.UnsupportedMediaType}
	}
	if r.URL.RawQuery != "" {
		for key := range r.URL.Query() {
			if isParameter(key) {
				return nil, badRequest("parameters of a POST stand in its body, not in the URL")
			}
		}
	}
	if r.ContentLength > int64(limit) {
		return nil, &refusal{code: plan.PayloadTooLarge}
	}
	body, err := bodies.read(r.Body, limit)
	defer bodies.keep(body)
	if err != nil {
		return nil, badRequest("the request body could not be read")
	}
	if len(body) > limit {
		return nil, &refusal{code: plan.PayloadTooLarge}
	}
	return decodeParams(body)
}

// buffers are kept from one request to the next: those that bodies are read
// into, of which nothing is kept but copies, and those that answers are put
// together in.
type buffers struct{ pool sync.Pool }

// largestKept bounds a buffer that is kept.
const largestKept = 64 << 10

func (p *buffers) take() []byte {
	if kept, ok := p.pool.Get().(*[]byte); ok {
		return (*kept)[:0]
	}
	return make([]byte, 0, 1024)
}

func (p *buffers) keep(b []byte) {
	if cap(b) <= largestKept {
		p.pool.Put(&b)
	}
}

// read reads a body of up to limit bytes, and one more where there is one.
func (p *buffers) read(from io.Reader, limit int) ([]byte, error) {
	body := p.take()
	for len(body) <= limit {
		if len(body) == cap(body) {
			body = slices.Grow(body, cap(body))
		}
		n, err := from.Read(body[len(body):min(cap(body), limit+1)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return body, err
		}
	}
	return body, nil
}

// readGet reads a GET's parameters.
func readGet(r *http.Request, limit int) (*params, *refusal) {
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil, badRequest("a GET has no body")
	}
	if len(r.URL.RawQuery) > limit {
		return nil, &refusal{code: plan.PayloadTooLarge}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the URL's query is malformed")
	}
	p := &params{}
	for key, vs := range values {
		if !isParameter(key) {
			return nil, badRequest("an unknown parameter stands in the URL")
		}
		if len(vs) != 1 {
			return nil, badRequest("a parameter stands twice in the URL")
		}
		if !utf8.ValidString(vs[0]) {
			return nil, badRequest("the URL's query is not UTF-8")
		}
		switch key {
		case "query":
			p.query = vs[0]
		case "operationName":
			p.operation = vs[0]
		case "documentId":
			p.document = vs[0]
		case "variables", "extensions":
			if vs[0] == "" {
				continue
			}
			v, refused := decodeValue([]byte(vs[0]), key == "extensions")
			if refused != nil {
				return nil, refused
			}
			m, ok := v.(map[string]any)
			if v != nil && !ok {
				return nil, badRequest("variables and extensions are objects")
			}
			if key == "variables" {
				p.variables = m
			} else {
				p.extensions = m
			}
		}
	}
	return p.complete()
}

// The parameters of a request.
const (
	parameterQuery = iota
	parameterOperationName
	parameterVariables
	parameterExtensions
	parameterDocumentID
	parameters
)

// parameterOf gives a name's parameter; -1 for none.
func parameterOf(name []byte) int {
	switch string(name) {
	case "query":
		return parameterQuery
	case "operationName":
		return parameterOperationName
	case "variables":
		return parameterVariables
	case "extensions":
		return parameterExtensions
	case "documentId":
		return parameterDocumentID
	}
	return -1
}

func isParameter(name string) bool { return parameterOf([]byte(name)) >= 0 }

func (p *params) set(key int, v any) *refusal {
	if v == nil && key != parameterQuery {
		return nil
	}
	ok := false
	switch key {
	case parameterQuery:
		p.query, ok = v.(string)
	case parameterOperationName:
		p.operation, ok = v.(string)
	case parameterDocumentID:
		p.document, ok = v.(string)
	case parameterVariables:
		p.variables, ok = v.(map[string]any)
	case parameterExtensions:
		p.extensions, ok = v.(map[string]any)
	}
	if !ok {
		return badRequest("query, operationName and documentId are strings, variables and extensions are objects")
	}
	return nil
}

// complete checks what concerns several parameters. Documents that a request
// only names must have been registered; nothing is ever registered by a request.
func (p *params) complete() (*params, *refusal) {
	hash := p.persistedHash()
	switch {
	case p.document != "" && p.query != "":
		return nil, badRequest("a request has a query or a documentId, not both")
	case p.document != "":
		named, ok := strings.CutPrefix(p.document, hashScheme)
		if !ok || hash != "" && hash != named {
			return nil, &refusal{code: plan.DocumentNotFound}
		}
		p.hash = named
		return p, nil
	case p.query == "" && hash != "":
		p.hash = hash
		return p, nil
	case p.query == "":
		return nil, badRequest("the request has no query")
	}
	if hash != "" {
		sum := sha256.Sum256([]byte(p.query))
		if hash != hex.EncodeToString(sum[:]) {
			return nil, badRequest("the query is not the one that its sha256Hash names")
		}
	}
	return p, nil
}

// persistedHash is Apollo's name of a document; "" when there is none.
func (p *params) persistedHash() string {
	persisted, _ := p.extensions["persistedQuery"].(map[string]any)
	hash, _ := persisted["sha256Hash"].(string)
	return hash
}
