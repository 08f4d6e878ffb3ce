package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// FingerprintOf digests the grants of every coordinate that an operation could
// touch under any variables: all fields of the parent types of its selections,
// of the types they give, and of those its conditions can reach. It is the
// first step of the plan cache's key; readers with equal fingerprints share
// plans. The catalogue's revision is part of it, so that cursors of another
// revision do not open.
func FingerprintOf(g *Generation, _ *Document, op *ast.OperationDefinition, p authz.Profile) Fingerprint {
	var grants *authz.View
	if g.Table != nil {
		grants = g.Table.View(p)
	}
	h := sha256.New()
	var buf []byte
	text := func(s string) {
		buf = binary.AppendUvarint(buf[:0], uint64(len(s)))
		buf = append(buf, s...)
		h.Write(buf)
	}
	coordinate := func(c schema.Coordinate) {
		text(c.Field)
		var digest [17]byte
		if grants != nil {
			if g := grants.Grants(c); g != nil {
				digest[0] = 1
				copy(digest[1:], g.Digest[:])
			}
		}
		h.Write(digest[:])
	}
	text(g.Catalogue.Revision)
	for _, name := range reachable(g.Catalogue, op) {
		t := g.Catalogue.Types[name]
		text(name)
		coordinate(schema.Coordinate{Type: name})
		for _, f := range t.Fields {
			coordinate(f.Coordinate)
		}
	}
	return Fingerprint(h.Sum(nil)[:16])
}

// reachable gives the sourced types that an operation could touch, sorted. It
// follows fragments whether or not they are included: variables decide that.
func reachable(c *schema.Catalogue, op *ast.OperationDefinition) []string {
	types := map[string]struct{}{}
	add := func(name string) {
		if _, ok := c.Types[name]; ok {
			types[name] = struct{}{}
		} else if a := c.Abstracts[name]; a != nil {
			for _, m := range a.Members {
				types[m] = struct{}{}
			}
		}
	}
	filtered := map[string]bool{}
	visited := map[string]bool{}
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if s.ObjectDefinition != nil {
					add(s.ObjectDefinition.Name)
				}
				if s.Definition != nil && s.Definition.Type != nil {
					name := s.Definition.Type.Name()
					add(name)
					if r := c.Roots[s.Name]; r != nil {
						add(r.Type)
						name = r.Type
					}
					if s.Arguments.ForName(argumentWhere) != nil {
						filtered[name] = true
					}
				}
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				add(s.TypeCondition)
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				if !visited[s.Name] && s.Definition != nil {
					visited[s.Name] = true
					add(s.Definition.TypeCondition)
					walk(s.Definition.SelectionSet)
				}
			}
		}
	}
	walk(op.SelectionSet)
	var exists func(name string)
	seen := map[string]bool{}
	exists = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		add(name)
		if a := c.Abstracts[name]; a != nil {
			for _, m := range a.Members {
				exists(m)
			}
		}
		if t := c.Types[name]; t != nil {
			for _, f := range t.Fields {
				if f.Relation != nil && f.Relation.SameSource {
					exists(f.Relation.Target)
				}
			}
		}
	}
	for name := range filtered {
		exists(name)
	}
	out := make([]string, 0, len(types))
	for name := range types {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// CacheKey appends the second step of the plan cache's key: the document with
// the shape that it was read for, the operation, the skeleton of the variables, the fingerprint, and which of the
// reader's attributes are present, since a scope that needs another is decided
// in the plan. Different inputs never give equal keys but by a collision of
// SHA-256.
func CacheKey(dst []byte, doc *Document, op *ast.OperationDefinition, skeleton []byte, fp Fingerprint, attributes map[string]string) []byte {
	dst = append(dst, doc.Hash[:]...)
	dst = append(dst, doc.shape.key[:]...)
	dst = append(dst, fp[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(op.Name)))
	dst = append(dst, op.Name...)
	dst = binary.AppendUvarint(dst, uint64(len(skeleton)))
	dst = append(dst, skeleton...)
	var space [8]string
	names := space[:0]
	for n, v := range attributes {
		if v != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		dst = binary.AppendUvarint(dst, uint64(len(n)))
		dst = append(dst, n...)
	}
	return dst
}
