package plan

import (
	"errors"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// Shape is the data API as one kind of reader may know it: what is hidden from
// him does not exist in it. Readers from whom the same is hidden share a shape.
// Immutable.
type Shape struct {
	documents *Documents
	api       *ast.Schema
	sdl       string
	key       [16]byte // of authz.Hidden; zero when nothing is hidden
	salt      uint64   // keeps shapes apart in the cache of documents
}

// API is what documents of this shape are valid against. It is not the caller's
// to change.
func (s *Shape) API() *ast.Schema { return s.api }

// Key tells shapes of one generation apart; it is zero where nothing is hidden.
func (s *Shape) Key() [16]byte { return s.key }

// shapes are those made so far. Which there are is a matter of the roles in
// tokens, not of requests.
type shapes struct {
	seed  maphash.Seed
	known atomic.Pointer[map[[16]byte]*Shape]
	mu    sync.Mutex // serialises the making of shapes
}

// maxShapes bounds the shapes that are kept; beyond it they are made anew.
const maxShapes = 64

func (d *Documents) shape(api *ast.Schema, sdl string, key [16]byte) *Shape {
	return &Shape{documents: d, api: api, sdl: sdl, key: key, salt: maphash.Bytes(d.shapes.seed, key[:])}
}

// Shape gives the API as the readers of a profile may know it, made on first use.
// For readers from whom nothing is hidden it is the whole, at the price of a
// look-up. It refuses with [Forbidden] where nothing at all is left.
func (g *Generation) Shape(p authz.Profile) (*Shape, Errors) {
	if g.Table == nil || g.Documents == nil {
		return nil, Errors{{Code: Forbidden, Message: "no schema is open to this reader"}}
	}
	hidden := g.Table.Hidden(p)
	if hidden == nil {
		return g.Documents.whole, nil
	}
	d := g.Documents
	if known := d.shapes.known.Load(); known != nil {
		if s := (*known)[hidden.Key()]; s != nil {
			return s, nil
		}
	}
	return d.pruned(g.Catalogue, hidden)
}

func (d *Documents) pruned(c *schema.Catalogue, hidden *authz.Hidden) (*Shape, Errors) {
	d.shapes.mu.Lock()
	defer d.shapes.mu.Unlock()
	next := map[[16]byte]*Shape{}
	if known := d.shapes.known.Load(); known != nil {
		if s := (*known)[hidden.Key()]; s != nil {
			return s, nil
		}
		if len(*known) < maxShapes {
			maps.Copy(next, *known)
		}
	}
	left, err := c.Prune(hidden.Has)
	switch {
	case errors.Is(err, schema.ErrNothingLeft):
		return nil, Errors{{Code: Forbidden, Message: "nothing of the schema is open to this reader"}}
	case err != nil:
		return nil, Errors{{Code: Internal, Message: "the reader's schema could not be made"}}
	}
	s := d.shape(left.API, left.SDL, hidden.Key())
	next[s.key] = s
	d.shapes.known.Store(&next)
	return s, nil
}

// SDL is the API as text, as the readers of a profile may know it.
func (g *Generation) SDL(p authz.Profile) (string, Errors) {
	s, errs := g.Shape(p)
	if errs != nil {
		return "", errs
	}
	if s.key == ([16]byte{}) {
		return g.Catalogue.SDL, nil
	}
	return s.sdl, nil
}

// Shape is the one that the document is valid against.
func (d *Document) Shape() *Shape { return d.shape }
