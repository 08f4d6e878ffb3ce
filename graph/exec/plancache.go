package exec

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/resolvers"
)

// planCache finds the program of an operation in two steps: from who asks for
// what to the digest of the grants, and from the digest to the program, which
// all readers with the same grants share. A cache may drop whatever it is
// given; both steps are then taken again.
type planCache struct {
	fingerprints *ristretto.Cache[[]byte, *knownFingerprint]
	programs     *ristretto.Cache[[]byte, *knownProgram]
	// current is the generation whose plans are kept; nil to keep those of all.
	current atomic.Pointer[plan.Generation]
	clear   sync.Mutex // two at once would wait for each other
}

// The values hold their whole key, because the cache compares hashes only, and
// what a key names by revision they name by identity too.
type knownFingerprint struct {
	key         string
	table       *authz.Table
	fingerprint plan.Fingerprint
}

type knownProgram struct {
	key        string
	generation *plan.Generation
	program    *program
}

// Costs are estimates in bytes.
const (
	fingerprintCost = 256
	programBaseCost = 4 << 10
	programStepCost = 1 << 10
)

func newPlanCache(size int64) (*planCache, error) {
	fingerprints, err := ristretto.NewCache(&ristretto.Config[[]byte, *knownFingerprint]{
		NumCounters: 100_000, MaxCost: max(size/8, 1<<20), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("fingerprint cache: %w", err)
	}
	programs, err := ristretto.NewCache(&ristretto.Config[[]byte, *knownProgram]{
		NumCounters: 100_000, MaxCost: size, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		fingerprints.Close()
		return nil, fmt.Errorf("plan cache: %w", err)
	}
	return &planCache{fingerprints: fingerprints, programs: programs}, nil
}

// follow forgets what is kept of other generations than g. Each entry holds its
// generation, and that a table, a catalogue and documents: entries that nobody
// asks for again would stay until newer ones need the room.
func (c *planCache) follow(g *plan.Generation) {
	if c.current.Swap(g) == g {
		return
	}
	c.clear.Lock()
	defer c.clear.Unlock()
	c.fingerprints.Clear()
	c.programs.Clear()
}

// keeps reports whether the generation's plans are kept.
func (c *planCache) keeps(g *plan.Generation) bool {
	current := c.current.Load()
	return current == nil || current == g
}

// keep keeps an entry of a generation. One that was swapped out meanwhile may
// have been cleared before, so it is asked again.
func keep[V any](c *planCache, cache *ristretto.Cache[[]byte, V], g *plan.Generation, key []byte, value V, cost int64) {
	if !c.keeps(g) {
		return
	}
	cache.Set(key, value, cost)
	if !c.keeps(g) {
		cache.Del(key)
	}
}

func (c *planCache) close() {
	c.fingerprints.Close()
	c.programs.Close()
}

// program gives the operation's program for this reader.
func (e *Executor) program(req *resolvers.Request, doc *plan.Document, op *ast.OperationDefinition, vars map[string]any) (*program, plan.Errors) {
	gen := req.Generation
	profile := authz.Profile{
		Roles: req.Subject.Roles, Department: req.Subject.Department, Purposes: req.Subject.Purposes, Purpose: req.Purpose,
	}
	fingerprint := e.fingerprint(gen, doc, op, profile)
	key := plan.CacheKey(make([]byte, 0, 256), doc, op, plan.Skeleton(doc, op, vars), fingerprint, req.Subject.Attributes)
	if known, ok := e.plans.programs.Get(key); ok && known.key == string(key) && known.generation == gen {
		return known.program, nil
	}
	p, errs := plan.Build(&plan.Request{
		Generation: gen, Document: doc, Operation: op, Variables: vars, Profile: profile,
		Attributes: req.Subject.Attributes, Sources: &e.sources, Limits: e.limits,
	})
	if len(errs) > 0 {
		return nil, errs
	}
	prog, err := compile(p, doc.Hash)
	if err != nil {
		e.report(err)
		return nil, refusal(plan.Internal)
	}
	keep(e.plans, e.plans.programs, gen, key, &knownProgram{key: string(key), generation: gen, program: prog}, prog.cost()+int64(len(key)))
	return prog, nil
}

// fingerprint digests the grants that the operation can touch; remembered per
// profile.
func (e *Executor) fingerprint(gen *plan.Generation, doc *plan.Document, op *ast.OperationDefinition, profile authz.Profile) plan.Fingerprint {
	key := profileKey(gen, doc, op, &profile)
	if known, ok := e.plans.fingerprints.Get(key); ok && known.key == string(key) && known.table == gen.Table {
		return known.fingerprint
	}
	fingerprint := plan.FingerprintOf(gen, doc, op, profile)
	keep(e.plans, e.plans.fingerprints, gen, key, &knownFingerprint{key: string(key), table: gen.Table, fingerprint: fingerprint}, fingerprintCost+int64(len(key)))
	return fingerprint
}

// profileKey is an unambiguous encoding: every part has its length in front.
func profileKey(gen *plan.Generation, doc *plan.Document, op *ast.OperationDefinition, p *authz.Profile) []byte {
	dst := make([]byte, 0, 256)
	dst = append(dst, doc.Hash[:]...)
	dst = appendPart(dst, gen.Catalogue.Revision)
	dst = appendPart(dst, gen.Policy)
	dst = appendPart(dst, op.Name)
	dst = appendPart(dst, p.Department)
	dst = appendPart(dst, p.Purpose)
	for _, list := range [...][]string{p.Roles, p.Purposes} {
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for _, part := range list {
			dst = appendPart(dst, part)
		}
	}
	return dst
}

// cost estimates a program's memory with its plan's.
func (p *program) cost() int64 {
	n := len(p.fetches) + len(p.rows) + len(p.plan.Uses)
	return programBaseCost + programStepCost*int64(n+p.steps)
}
