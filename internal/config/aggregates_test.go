package config

import (
	"strings"
	"testing"
)

func TestAggregatesAreChecked(t *testing.T) {
	for _, test := range []struct {
		set  func(*Config)
		want string
	}{
		{func(c *Config) { c.Aggregates.Minimum = map[string]int{"L3": 20, "L4": 30} }, ""},
		{func(c *Config) { c.Aggregates.Minimum = map[string]int{"L1": 3, "L2": 3} }, ""},
		{func(c *Config) { c.Aggregates.Minimum = map[string]int{"L4": 2} }, "2 is not between 3 and 10000"},
		{func(c *Config) { c.Aggregates.Minimum = map[string]int{"L3": 9} }, "9 is fewer than for the level L2 below it"},
		{func(c *Config) { c.Aggregates.Minimum = map[string]int{"L9": 10} }, `unknown level "L9"`},
		{func(c *Config) { c.Aggregates.MaxRows = 0 }, "0 is not between 1 and 100000000"},
		{func(c *Config) { c.Budgets.AggregatesPerApplication = 0 }, "0 is not between 1 and 1000000000"},
	} {
		c := Default()
		test.set(c)
		v := &checker{}
		c.checkAggregates(v)
		c.checkBudgets(v)
		var found []string
		for _, p := range v.found {
			found = append(found, p.Message)
		}
		got := strings.Join(found, "; ")
		if got != test.want && (test.want == "" || !strings.Contains(got, test.want)) {
			t.Errorf("found %q, want %q", got, test.want)
		}
	}
	a := Aggregates{Minimum: map[string]int{"L3": 20}}
	if a.MinimumOf("L3") != 20 || a.MinimumOf("L2") != 10 {
		t.Errorf("minima %d and %d", a.MinimumOf("L3"), a.MinimumOf("L2"))
	}
}
