package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
)

// rightsOf takes from a configuration what it grants beside the policy.
func rightsOf(c *config.Config) gateway.Rights {
	r := gateway.Rights{
		SingleOfficer: c.SingleOfficer, FreeDocuments: !c.Documents.Only, UnrevokedTokens: c.Tokens.Revoked == "",
		Applications: map[string][]string{}, Owners: map[string]string{},
		Sealed: map[string]time.Duration{}, Minimum: map[string]int{}, RetentionMonths: c.Ledger.RetentionMonths,
		Amounts: map[string]int{
			"budgets.matchPerReader":           c.Budgets.MatchPerReader,
			"budgets.matchPerKey":              c.Budgets.MatchPerKey,
			"budgets.aggregatesPerApplication": c.Budgets.AggregatesPerApplication,
		},
		Times: map[string]time.Duration{},
		// Another zone begins a day, and with it the budgets, at another time.
		Fixed: map[string]string{"mode": c.Mode, "budgets.timeZone": c.Budgets.TimeZone},
	}
	for _, a := range c.Applications {
		r.Applications[a.ID] = slices.Sorted(slices.Values(a.Purposes))
	}
	for id, d := range c.Departments {
		if d.Owner != "" {
			r.Owners[id] = d.Owner
		}
	}
	for _, p := range c.Purposes {
		if p.Sealed > 0 {
			r.Sealed[p.ID] = p.Sealed
		}
	}
	for _, l := range c.Levels {
		r.Minimum[l.Name] = c.Aggregates.MinimumOf(l.Name)
	}
	if len(c.Tokens.Demo) > 0 {
		r.Fixed["tokens.demo"] = demoDigest(c.Tokens.Demo)
	}
	if c.Tokens.JWT != nil {
		tokenRights(&r, c.Tokens.JWT)
	}
	return r
}

// tokenRights tells how signed tokens become readers. The keys themselves are
// the issuer's and change without officers; where they come from does not.
func tokenRights(r *gateway.Rights, j *config.JWT) {
	const at = "tokens.jwt."
	r.Times[at+"leeway"], r.Times[at+"maxLifetime"] = j.Leeway, j.MaxLifetime
	source := j.JWKS.URL
	if source == "" {
		source = "file " + filepath.Base(j.JWKS.File)
	}
	attributes := map[string]string{}
	for name, claim := range j.Claims.Attributes {
		attributes[at+"claims.attributes."+name] = claim
	}
	attributes[at+"jwks"], attributes[at+"issuer"], attributes[at+"audience"] = source, j.Issuer, j.Audience
	attributes[at+"algorithms"] = strings.Join(slices.Sorted(slices.Values(j.Algorithms)), " ")
	c := j.Claims
	for key, claim := range map[string]string{
		"subject": c.Subject, "application": c.Application, "department": c.Department, "roles": c.Roles, "purposes": c.Purposes,
	} {
		attributes[at+"claims."+key] = claim
	}
	for key, value := range attributes {
		if value != "" {
			r.Fixed[key] = value
		}
	}
}

// demoDigest stands for the fixed tokens: what they hold is of no reader's
// concern, that they change is.
func demoDigest(tokens map[string]config.DemoToken) string {
	b, err := json.Marshal(tokens)
	if err != nil {
		return "unreadable"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}
