package authz

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	defaultrolemanager "github.com/casbin/casbin/v2/rbac/default-role-manager"

	"github.com/weir-data/weir/schema"
)

//go:embed model.conf
var modelText string

// Model is the Casbin model that policies are written in.
func Model() string { return modelText }

// ErrReference is the kind of the error of Casbin itself failing. Whoever meets
// it refuses the policy.
var ErrReference = errors.New("casbin cannot decide")

// readerName stands for the reader in Casbin's role graph. No role has a space.
const readerName = "the reader"

// Reference answers with Casbin's Enforce what a [Table] answers by look-up. It
// is slow and for comparison only; no request comes here. Safe for concurrent
// use after it is made.
type Reference struct {
	policy   *Policy
	levels   schema.Levels
	settings Settings
	cells    map[schema.Coordinate]*cell
	graph    *casbin.Enforcer // the g lines alone
}

// NewReference reads the policy's role graph into Casbin.
func NewReference(p *Policy, c *schema.Catalogue, s Settings) (*Reference, error) {
	r := &Reference{policy: p, levels: c.Levels, settings: s, cells: make(map[schema.Coordinate]*cell)}
	list := cells(c)
	for i := range list {
		r.cells[list[i].coordinate] = &list[i]
	}
	var err error
	if r.graph, err = r.enforcer(); err != nil {
		return nil, err
	}
	if err := addRoles(r.graph, p.Inherits, nil); err != nil {
		return nil, err
	}
	return r, nil
}

// enforcer makes an empty one. Each is fresh: Casbin's caching enforcers keep
// stale answers.
func (r *Reference) enforcer() (*casbin.Enforcer, error) {
	m, err := model.NewModelFromString(modelText)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	// The default gives up, silently, after ten steps.
	e.SetRoleManager(defaultrolemanager.NewRoleManager(maxDepth + 2))
	e.AddFunction("rank", r.rank)
	e.AddFunction("isTrue", scopeIs(True))
	e.AddFunction("isFalse", scopeIs(False))
	return e, nil
}

// rank gives a level's place for the matcher.
func (r *Reference) rank(args ...any) (any, error) {
	if len(args) != 1 {
		return nil, ErrReference
	}
	name, _ := args[0].(string)
	rank, ok := r.levels.Rank(name)
	if !ok {
		return nil, fmt.Errorf("%w: unknown level %q", ErrReference, name)
	}
	return float64(rank), nil
}

// scopeIs makes the matcher's test of one scope of the request.
func scopeIs(want Truth) func(args ...any) (any, error) {
	return func(args ...any) (any, error) {
		if len(args) != 2 {
			return nil, ErrReference
		}
		truth, ok := args[0].(func(string) Truth)
		scope, text := args[1].(string)
		if !ok || !text {
			return nil, ErrReference
		}
		return truth(scope) == want, nil
	}
}

// addRoles adds the g lines of the roles in only, or all.
func addRoles(e *casbin.Enforcer, lines []Inheritance, only []string) error {
	seen := make(map[[2]string]bool, len(lines))
	for _, g := range lines {
		pair := [2]string{g.Role, g.Parent}
		if seen[pair] || only != nil && !slices.Contains(only, g.Role) {
			continue
		}
		seen[pair] = true
		if _, err := e.AddGroupingPolicy(g.Role, g.Parent); err != nil {
			return fmt.Errorf("%w: %w", ErrReference, err)
		}
	}
	return nil
}

// ReferenceReader is Casbin for one profile: an enforcer that holds only the
// rules of the profile's roles. Not safe for concurrent use.
type ReferenceReader struct {
	reference *Reference
	enforcer  *casbin.Enforcer
	profile   Profile
	open      bool
}

// Reader makes the enforcer of a profile.
func (r *Reference) Reader(p Profile) (*ReferenceReader, error) {
	e, err := r.enforcer()
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, role := range p.Roles {
		// Casbin itself says what the role inherits.
		implicit, err := r.graph.GetImplicitRolesForUser(role)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReference, err)
		}
		roles = append(append(roles, role), implicit...)
	}
	roles = sorted(roles)
	seen := make(map[[columns]string]bool)
	for i := range r.policy.Rules {
		rule := &r.policy.Rules[i]
		values := rule.values()
		if _, ok := slices.BinarySearch(roles, rule.Role); !ok || seen[values] {
			continue
		}
		seen[values] = true
		if _, err := e.AddPolicy(values[:]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReference, err)
		}
	}
	if roles == nil {
		roles = []string{}
	}
	if err := addRoles(e, r.policy.Inherits, roles); err != nil {
		return nil, err
	}
	for _, role := range sorted(p.Roles) {
		if _, err := e.AddGroupingPolicy(readerName, role); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReference, err)
		}
	}
	return (&ReferenceReader{reference: r, enforcer: e}).as(p), nil
}

// as gives a reader of the same roles with another department or purpose: the
// enforcer depends on the roles alone.
func (r *ReferenceReader) as(p Profile) *ReferenceReader {
	open := p.Purpose == "" ||
		slices.Contains(p.Purposes, p.Purpose) && slices.Contains(r.reference.settings.registered(), p.Purpose)
	return &ReferenceReader{reference: r.reference, enforcer: r.enforcer, profile: p, open: open}
}

// Caps asks Enforce for each capability on one cell, truth saying which scopes
// hold for it; it is asked for by_key, self and the type's own scopes. An
// unknown coordinate has none.
func (r *ReferenceReader) Caps(c schema.Coordinate, truth func(scope string) Truth) (Caps, error) {
	at := r.reference.cells[c]
	if at == nil {
		return None, nil
	}
	own := r.profile.Department != "" && r.profile.Department == at.department
	scopes := func(scope string) Truth {
		switch scope {
		case ScopeOwnDepartment:
			switch {
			case own:
				return True
			case r.profile.Department == "":
				return Unknown
			}
			return False
		case ScopeSelf:
			if !at.personal {
				return False
			}
		case ScopeByKey:
		default:
			if at.typ.Scope(scope) == nil {
				return Unknown
			}
		}
		return truth(scope)
	}
	var caps Caps
	for _, one := range [...]Caps{Match, Aggregate, Mask, Clear} {
		ok, err := r.enforcer.Enforce(
			readerName, at.department, c.Type+"."+wildcard, resource(c),
			r.reference.levels.Name(at.level), sharingWord(at.sharing), at.level == 0, own,
			r.profile.Purpose, r.open, at.level >= r.reference.settings.PurposeRequiredFrom, scopes, one.String(),
		)
		if err != nil {
			return None, fmt.Errorf("%w: %w", ErrReference, err)
		}
		if ok {
			caps |= one
		}
	}
	return caps, nil
}

// sharingWord is the sharing class as in SDL. A class that is none of them
// matches nothing in the model.
func sharingWord(m schema.SharingMode) string {
	switch m {
	case schema.Unconditional:
		return "UNCONDITIONAL"
	case schema.Conditional:
		return "CONDITIONAL"
	case schema.WithheldSharing:
		return "WITHHELD"
	}
	return ""
}
