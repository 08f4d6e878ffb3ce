package config

import "fmt"

// Aggregates bound what is computed over rows that nobody sees.
type Aggregates struct {
	// Minimum is, by level, how many persons a number with noise is over at
	// least. Levels not named have 10.
	Minimum map[string]int `yaml:"minimum"`
	// MaxRows is the most rows that one aggregate may read from its source,
	// rows that are equal in all that is read of them counting once.
	MaxRows int `yaml:"maxRows"`
}

// Bounds of a minimum. With fewer than three persons each of them knows more
// than half of what a sum tells.
const (
	defaultMinimum = 10
	leastMinimum   = 3
	mostMinimum    = 10_000
)

func defaultAggregates() Aggregates { return Aggregates{MaxRows: 1_000_000} }

// MinimumOf is how many persons a number of a level is over at least.
func (a *Aggregates) MinimumOf(level string) int {
	if n, ok := a.Minimum[level]; ok {
		return n
	}
	return defaultMinimum
}

func (c *Config) checkAggregates(v *checker) {
	known := map[string]bool{}
	for i, l := range c.Levels {
		known[l.Name] = true
		if i > 0 && c.Aggregates.MinimumOf(l.Name) < c.Aggregates.MinimumOf(c.Levels[i-1].Name) {
			v.add("aggregates.minimum."+l.Name, fmt.Sprintf("%d is fewer than for the level %s below it", c.Aggregates.MinimumOf(l.Name), c.Levels[i-1].Name), "")
		}
	}
	for _, level := range sortedKeys(c.Aggregates.Minimum) {
		n := c.Aggregates.Minimum[level]
		v.when(!known[level], "aggregates.minimum."+level, fmt.Sprintf("unknown level %q", level), "")
		v.when(n < leastMinimum || n > mostMinimum, "aggregates.minimum."+level, fmt.Sprintf("%d is not between %d and %d", n, leastMinimum, mostMinimum), "")
	}
	const most = 100_000_000
	v.when(c.Aggregates.MaxRows < 1 || c.Aggregates.MaxRows > most, "aggregates.maxRows", fmt.Sprintf("%d is not between 1 and %d", c.Aggregates.MaxRows, most), "")
}
