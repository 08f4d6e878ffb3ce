package cli

import (
	"github.com/weir-data/weir/graph/exec"
	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/resolvers/control"
)

// controlGraph wires the executor of the control graph.
func controlGraph(c *config.Config, ages exec.Ages, asked control.Index, receipts control.Receipts, keys *keyring.Ring, policies control.Policies, retention control.Retention, report func(error)) (*control.Executor, error) {
	departments := make(map[string]control.Titles, len(c.Departments))
	owners := make(map[string]string)
	for id, d := range c.Departments {
		departments[id] = control.Titles{ZH: d.Titles.ZH, EN: d.Titles.EN}
		owners[id] = d.Owner
	}
	purposes := make(map[string]control.Purpose, len(c.Purposes))
	for _, p := range c.Purposes {
		purposes[p.ID] = control.Purpose{Titles: control.Titles{ZH: p.ZH, EN: p.EN}, Basis: p.Basis}
	}
	return control.New(control.Config{
		Lineage:     control.Lineage{Index: asked, Receipts: receipts, Keys: keys, Owners: owners, Sealed: sealed(c)},
		Departments: departments, Purposes: purposes, Ages: ages, Policies: policies, Retention: retention, Report: report,
		Offices: control.Offices{Operator: c.Offices.Operator, Security: c.Offices.Security, Auditor: c.Offices.Auditor},
	})
}
