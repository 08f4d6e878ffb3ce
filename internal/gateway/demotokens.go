package gateway

import (
	"context"
	"maps"
	"slices"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/internal/config"
)

// FixedTokens are the readers of demo mode. They prove nothing, which is why
// the configuration refuses them in any other mode.
type FixedTokens struct{ subjects map[string]*authz.Subject }

var _ Authenticator = (*FixedTokens)(nil)

// NewFixedTokens takes the demo tokens of a valid configuration.
func NewFixedTokens(c *config.Config) *FixedTokens {
	f := &FixedTokens{subjects: make(map[string]*authz.Subject, len(c.Tokens.Demo))}
	for token, d := range c.Tokens.Demo {
		attributes := map[string]string{}
		for name, value := range d.Attributes {
			if value != "" {
				attributes[name] = value
			}
		}
		f.subjects[token] = &authz.Subject{
			ID: d.Subject, Application: d.Application, Department: d.Department,
			Roles: slices.Clone(d.Roles), Attributes: maps.Clone(attributes),
			Purposes: c.OpenPurposes(d.Application, d.Purposes), TokenID: token,
		}
	}
	return f
}

// Authenticate looks the token up.
func (f *FixedTokens) Authenticate(_ context.Context, token string) (*authz.Subject, error) {
	if s, ok := f.subjects[token]; ok {
		return s, nil
	}
	return nil, ErrUnauthenticated
}

// Epoch never changes.
func (f *FixedTokens) Epoch() uint64 { return 0 }
