package config

import (
	"fmt"
	"time"
	_ "time/tzdata" // a container may have no time zones
)

// Budgets bound what is allowed in one day, across restarts. None may be
// switched off.
type Budgets struct {
	// TimeZone is where a day begins, an IANA name.
	TimeZone string `yaml:"timeZone"`
	// MatchPerReader is how many values, that he may compare and not see, one
	// reader may state in a day.
	MatchPerReader int `yaml:"matchPerReader"`
	// MatchPerKey is how many of them may be about one stated key.
	MatchPerKey int `yaml:"matchPerKey"`
	// AggregatesPerApplication is how many numbers with noise one application may
	// ask for in a day: a count, or a sum and average of one field, over one set
	// of groups, is one.
	AggregatesPerApplication int `yaml:"aggregatesPerApplication"`
}

// defaultBudgets leave a busy service window room, and a guesser of one
// person's data little.
func defaultBudgets() Budgets {
	return Budgets{TimeZone: "Asia/Shanghai", MatchPerReader: 2_000, MatchPerKey: 100, AggregatesPerApplication: 500}
}

// Zone is where a day begins. Validate has refused a zone that does not load.
func (b *Budgets) Zone() *time.Location {
	zone, err := time.LoadLocation(b.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

func (c *Config) checkBudgets(v *checker) {
	b := &c.Budgets
	if _, err := time.LoadLocation(b.TimeZone); err != nil || b.TimeZone == "" || b.TimeZone == "Local" {
		v.add("budgets.timeZone", fmt.Sprintf("unknown time zone %q", b.TimeZone), "an IANA name such as Asia/Shanghai or UTC")
	}
	const most = 1_000_000_000
	for _, l := range []struct {
		key   string
		value int
	}{{"matchPerReader", b.MatchPerReader}, {"matchPerKey", b.MatchPerKey}, {"aggregatesPerApplication", b.AggregatesPerApplication}} {
		v.when(l.value < 1 || l.value > most, "budgets."+l.key, fmt.Sprintf("%d is not between 1 and %d", l.value, most), "")
	}
}
