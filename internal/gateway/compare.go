package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// compare asks the compiled table and Casbin the same questions before the
// table may decide anything. The seed follows from the content, so that a
// difference that was found is found again.
func (d *Folders) compare(p *authz.Policy, t *authz.Table, c *schema.Catalogue, sum [sha256.Size]byte) error {
	got, err := authz.Compare(p, t, c, d.PolicySettings, authz.Sample{
		Seed: binary.BigEndian.Uint64(sum[:]), Budget: d.CompareBudget, Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("policy: compare with casbin: %w", err)
	}
	if got.Equal() {
		return nil
	}
	found := schema.Diagnostics{}
	for _, difference := range got.Differences {
		found = append(found, schema.Diagnostic{
			Code: "table-differs", Message: difference.String(),
			Suggestion: "this is a defect of the server, not of the policy: report it",
		})
	}
	if len(found) == 0 {
		found = append(found, schema.Diagnostic{Code: "table-not-compared", Message: "no tuple could be compared within the time there is"})
	}
	return &RefusedError{found}
}
