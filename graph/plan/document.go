package plan

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Document is a parsed and validated document of one generation. Immutable and
// shared: nobody writes to its tree.
//
// Value.VariableDefinition in the tree is not to be read: in a fragment that
// several operations use it belongs to whichever was validated last. A variable
// is looked up by name in the operation at hand.
type Document struct {
	Text  string
	Hash  [32]byte // SHA-256 of Text
	Query *ast.QueryDocument

	shape *Shape
	// conditions are the variables that @skip and @include read: their values
	// decide the shape of the answer and so belong to the skeleton.
	conditions map[string]bool
}

// Documents parses and validates documents against one generation's schema, in
// the shape that each kind of reader may know, and keeps the good ones. Safe for
// concurrent use, Close included: that is for when its generation is swapped out,
// and requests which still run under it only lose the cache.
type Documents struct {
	whole  *Shape
	limits Limits
	rules  *rules.Rules
	kept   documentCache
	shapes shapes
}

// documentCache is a cache that may be closed while it is used, which ristretto's
// own may not be.
type documentCache struct {
	mu    sync.RWMutex // held to write by close alone
	cache *ristretto.Cache[uint64, *Document]
}

func (c *documentCache) get(key uint64) *Document {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.cache == nil {
		return nil
	}
	doc, _ := c.cache.Get(key)
	return doc
}

func (c *documentCache) set(key uint64, doc *Document, cost int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.cache != nil {
		c.cache.Set(key, doc, cost)
	}
}

func (c *documentCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cache != nil {
		c.cache.Close()
		c.cache = nil
	}
}

// The cache's bound, and the estimate of what a kept document costs: a tree is
// some thirty times its text, and never less than a few nodes.
const (
	documentCacheBytes    = 64 << 20
	documentCacheCounters = 20_000
	documentBaseCost      = 2 << 10
	documentCostPerByte   = 32
)

// ErrNoQuery says that a schema has no query type, so that no document could be
// valid against it.
var ErrNoQuery = errors.New("schema has no query type")

// NewDocuments makes an empty cache over the schema. api is not changed.
func NewDocuments(api *ast.Schema, limits Limits) (*Documents, error) {
	if api == nil || api.Query == nil {
		return nil, ErrNoQuery
	}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *Document]{
		NumCounters: documentCacheCounters,
		MaxCost:     documentCacheBytes,
		BufferItems: 64,
		// Cost is bytes of text and tree; the cache's own entry is in the base.
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("document cache: %w", err)
	}
	d := &Documents{limits: limits, rules: documentRules()}
	d.kept.cache = cache
	d.shapes.seed = maphash.MakeSeed()
	d.whole = d.shape(withoutDefer(api), "", [16]byte{})
	return d, nil
}

// withoutDefer takes @defer, which the parser's prelude declares, out of what
// documents may use: nothing here delivers in parts, and a directive that is
// accepted and ignored would be a promise not kept.
func withoutDefer(api *ast.Schema) *ast.Schema {
	if _, ok := api.Directives["defer"]; !ok {
		return api
	}
	out := *api
	out.Directives = make(map[string]*ast.DirectiveDefinition, len(api.Directives))
	for name, d := range api.Directives {
		if name != "defer" {
			out.Directives[name] = d
		}
	}
	return &out
}

// Close releases the cache.
func (d *Documents) Close() { d.kept.close() }

// Get gives the document of a text as a reader may write it to whom nothing is
// hidden, see [Shape.Document].
func (d *Documents) Get(text string) (*Document, Errors) { return d.whole.Document(text) }

// Document gives the document of a text: from the cache, or after limits, parsing
// and validation, in this order, so that no hostile shape reaches a step that is
// not linear. Errors hold names of the schema and names that the document
// wrote, never a literal's value.
//
// What is hidden does not exist in the shape, so naming it takes the very steps
// that naming anything else which does not exist takes: no document that was
// read for another shape is looked at.
func (s *Shape) Document(text string) (*Document, Errors) {
	d := s.documents
	// Different texts and shapes may meet in one hash; equality is for us to check.
	key := s.keyOf(text)
	if doc := d.kept.get(key); doc != nil && doc.shape.key == s.key && doc.Text == text {
		return doc, nil
	}
	doc, errs := s.read(text)
	if errs != nil {
		return nil, errs
	}
	d.kept.set(key, doc, documentBaseCost+documentCostPerByte*int64(len(text)))
	return doc, nil
}

// keyOf is a text's place in the cache of documents, for this shape.
func (s *Shape) keyOf(text string) uint64 {
	return maphash.String(s.documents.shapes.seed, text) ^ s.salt
}

// ReadQuery parses a document within the limits: what can be said of it without
// a schema.
func ReadQuery(text string, limits Limits) (*ast.QueryDocument, Errors) {
	if err := scanTokens(text, limits); err != nil {
		return nil, Errors{err}
	}
	query, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, limits.Tokens)
	if err != nil {
		return nil, Errors{syntaxError(text, err)}
	}
	if len(query.Operations) == 0 && len(query.Fragments) == 0 {
		return nil, Errors{{Code: GraphQLParseFailed, Message: "syntax error: the document is empty"}}
	}
	for _, f := range query.Fragments {
		if len(f.VariableDefinition) > 0 {
			return nil, Errors{{
				Code: GraphQLParseFailed, Message: "syntax error: a fragment cannot define variables",
				Locations: locations(f.VariableDefinition[0].Position),
			}}
		}
	}
	if err := checkShape(query, limits); err != nil {
		return nil, Errors{err}
	}
	return query, nil
}

func (s *Shape) read(text string) (*Document, Errors) {
	d := s.documents
	query, errs := ReadQuery(text, d.limits)
	if errs != nil {
		return nil, errs
	}
	if list := validator.ValidateWithRules(s.api, query, d.rules); len(list) > 0 {
		return nil, validationErrors(list, d.limits.Errors)
	}
	return &Document{
		Text: text, Hash: sha256.Sum256([]byte(text)), Query: query,
		shape: s, conditions: conditionVariables(query),
	}, nil
}

// Operation selects the operation to run: the named one, or the only one.
func (d *Document) Operation(name string) (*ast.OperationDefinition, Errors) {
	if name == "" {
		switch len(d.Query.Operations) {
		case 0:
			return nil, Errors{{Code: BadRequest, Message: "the document has no operation"}}
		case 1:
			return d.Query.Operations[0], nil
		default:
			return nil, Errors{{Code: BadRequest, Message: "the document has several operations: operationName is required"}}
		}
	}
	for _, op := range d.Query.Operations {
		if op.Name == name {
			return op, nil
		}
	}
	return nil, Errors{{Code: BadRequest, Message: "operationName names no operation of the document"}}
}

// syntaxError names the token at which parsing ended. Only its kind is told
// when it holds a value.
func syntaxError(text string, err error) *Error {
	out := &Error{Code: GraphQLParseFailed, Message: "syntax error"}
	var g *gqlerror.Error
	if !errors.As(err, &g) || len(g.Locations) == 0 {
		return out
	}
	at := Location{Line: g.Locations[0].Line, Column: g.Locations[0].Column}
	out.Locations = []Location{at}
	if what := tokenAt(text, at); what != "" {
		out.Message += ": unexpected " + what
	}
	return out
}

// maxMessage bounds a message of the validator, which repeats names as long as
// the client cares to write them.
const maxMessage = 400

// validationErrors turns the validator's findings into ours: the same finding
// at several places is one error with several locations, in document order.
func validationErrors(list gqlerror.List, most int) Errors {
	byMessage := make(map[string]*Error, len(list))
	var out Errors
	for _, g := range list {
		message := g.Message
		if len(message) > maxMessage || !utf8.ValidString(message) {
			message = "the document breaks the rule " + strings.TrimSuffix(g.Rule, "WithoutSuggestions")
		}
		fold := message
		if g.Rule == rules.KnownDirectivesRule.Name {
			fold = g.Rule // any number of unknown directives is one mistake
		}
		e := byMessage[fold]
		if e == nil {
			e = &Error{Code: GraphQLValidationFailed, Message: message}
			byMessage[fold] = e
			out = append(out, e)
		}
		for _, l := range g.Locations {
			at := Location{Line: l.Line, Column: l.Column}
			if len(e.Locations) < most && !slices.Contains(e.Locations, at) {
				e.Locations = append(e.Locations, at)
			}
		}
	}
	for _, e := range out {
		slices.SortFunc(e.Locations, compareLocations)
	}
	slices.SortStableFunc(out, func(a, b *Error) int {
		if len(a.Locations) == 0 || len(b.Locations) == 0 {
			return cmp.Compare(len(b.Locations), len(a.Locations))
		}
		return cmp.Or(compareLocations(a.Locations[0], b.Locations[0]), cmp.Compare(a.Message, b.Message))
	})
	return out[:min(len(out), max(most, 1))]
}

func compareLocations(a, b Location) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

func locations(p *ast.Position) []Location {
	if p == nil {
		return nil
	}
	return []Location{{Line: p.Line, Column: p.Column}}
}

// conditionVariables collects the variables of all @skip and @include.
func conditionVariables(q *ast.QueryDocument) map[string]bool {
	found := make(map[string]bool)
	read := func(ds ast.DirectiveList) {
		for _, d := range ds {
			if d.Name != "skip" && d.Name != "include" {
				continue
			}
			for _, a := range d.Arguments {
				if a.Value.Kind == ast.Variable {
					found[a.Value.Raw] = true
				}
			}
		}
	}
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				read(s.Directives)
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				read(s.Directives)
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				read(s.Directives)
			}
		}
	}
	for _, op := range q.Operations {
		walk(op.SelectionSet)
	}
	for _, f := range q.Fragments {
		walk(f.SelectionSet)
	}
	return found
}
