package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
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

// maxNesting bounds the depth of JSON in a request, far above what variables
// may have, so that no stack grows with the input.
const maxNesting = 128

// readPost reads a POST's parameters.
func readPost(r *http.Request, limit int) (*params, *refusal) {
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
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if err != nil {
		return nil, badRequest("the request body could not be read")
	}
	if len(body) > limit {
		return nil, &refusal{code: plan.PayloadTooLarge}
	}
	return decodeParams(body)
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

func isParameter(key string) bool {
	switch key {
	case "query", "operationName", "variables", "extensions", "documentId":
		return true
	}
	return false
}

// decodeParams reads the body strictly: one JSON object with known keys, each
// at most once, in the right case, of the right type, and nothing behind it.
func decodeParams(body []byte) (*params, *refusal) {
	dec, refused := strict(body)
	if refused != nil {
		return nil, refused
	}
	open, err := dec.Token()
	if err != nil {
		return nil, badRequest("the request body is not JSON")
	}
	if open == json.Delim('[') {
		return nil, badRequest("batches are not served: send one request at a time")
	}
	if open != json.Delim('{') {
		return nil, badRequest("the request body is not a JSON object")
	}
	p, seen := &params{}, map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, badRequest("the request body is not JSON")
		}
		key, _ := name.(string)
		if !isParameter(key) {
			return nil, badRequest("an unknown key stands in the request body")
		}
		if seen[key] {
			return nil, badRequest("a key stands twice in the request body")
		}
		seen[key] = true
		v, refused := value(dec, maxNesting, key == "extensions")
		if refused != nil {
			return nil, refused
		}
		if refused := p.set(key, v); refused != nil {
			return nil, refused
		}
	}
	return p.complete()
}

func (p *params) set(key string, v any) *refusal {
	if v == nil && key != "query" {
		return nil
	}
	ok := false
	switch key {
	case "query":
		p.query, ok = v.(string)
	case "operationName":
		p.operation, ok = v.(string)
	case "documentId":
		p.document, ok = v.(string)
	case "variables":
		p.variables, ok = v.(map[string]any)
	case "extensions":
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
	case p.document != "", p.query == "" && hash != "":
		return nil, &refusal{code: plan.DocumentNotFound}
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

// strict checks the whole text first, so that what follows can only meet JSON.
func strict(text []byte) (*json.Decoder, *refusal) {
	if len(text) == 0 {
		return nil, badRequest("the request has no body")
	}
	if !utf8.Valid(text) {
		return nil, badRequest("the request is not UTF-8")
	}
	if !json.Valid(text) {
		return nil, badRequest("the request is not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec, nil
}

func decodeValue(text []byte, free bool) (any, *refusal) {
	dec, refused := strict(text)
	if refused != nil {
		return nil, refused
	}
	return value(dec, maxNesting, free)
}

const notJSON = "the request is not JSON"

// value reads one JSON value; free lets keys repeat (the last one stands).
func value(dec *json.Decoder, depth int, free bool) (any, *refusal) {
	t, err := dec.Token()
	if err != nil {
		return nil, badRequest(notJSON)
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth == 0 {
		return nil, &refusal{plan.LimitExceeded, "the request's JSON is nested too deeply"}
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			v, refused := value(dec, depth-1, free)
			if refused != nil {
				return nil, refused
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		if err != nil {
			return nil, badRequest(notJSON)
		}
		return list, nil
	}
	object := map[string]any{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, badRequest(notJSON)
		}
		key, _ := name.(string)
		if _, twice := object[key]; twice && !free {
			return nil, badRequest("a key stands twice in the variables")
		}
		v, refused := value(dec, depth-1, free)
		if refused != nil {
			return nil, refused
		}
		object[key] = v
	}
	if _, err = dec.Token(); err != nil {
		return nil, badRequest(notJSON)
	}
	return object, nil
}
