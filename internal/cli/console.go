package cli

import (
	"slices"

	"github.com/weir-data/weir/internal/config"
	"github.com/weir-data/weir/internal/gateway"
)

// console makes the page at "/", or nothing. Tokens are told in demo mode alone.
func console(c *config.Config, query string) (*gateway.Console, error) {
	if !c.Console {
		return nil, nil
	}
	s := gateway.ConsoleSettings{Demo: c.Mode == config.ModeDemo, Query: query, ControlQuery: "{\n  me {\n    subject\n    roles\n  }\n}\n"}
	if query == "" {
		s.Query = "{\n  __typename\n}\n"
	}
	if s.Demo {
		// The clerk first: who comes to look begins where most readers are.
		for _, token := range append([]string{demoFirst}, sorted(c.Tokens.Demo)...) {
			d, found := c.Tokens.Demo[token]
			if !found || (token == demoFirst && len(s.Tokens) > 0) {
				continue
			}
			s.Tokens = append(s.Tokens, gateway.ConsoleToken{
				Token: token, ZH: d.ZH, EN: d.EN, Purposes: inOrder(c, c.OpenPurposes(d.Application, d.Purposes)),
			})
		}
	}
	return gateway.NewConsole(s)
}

const demoFirst = "demo-clerk"

// inOrder puts purposes as the configuration has them: the first is the one that
// a reader begins with.
func inOrder(c *config.Config, open []string) []string {
	var out []string
	for _, p := range c.Purposes {
		if slices.Contains(open, p.ID) {
			out = append(out, p.ID)
		}
	}
	return out
}
