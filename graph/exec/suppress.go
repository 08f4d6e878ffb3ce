package exec

import (
	"encoding/binary"
	"slices"
)

// suppress says which classes may not enter a protected measure: the small
// ones, in which fewer than k persons have a value, and with each of them
// others, so that no complement gives it away. Along every line through a small
// class, that is among the classes that differ from it in one dimension alone,
// at least two are left out, or all, and together they hold at least k persons;
// the next ones in order join until they do. Which these are depends on the
// order of the dimensions' values and on which classes are small, and on nothing
// else of the data. classes are in order; sizes holds the persons of each, 0 for
// a class in which the measure has no value.
func suppress(classes []*class, sizes []int, k, dims int) []bool {
	out := make([]bool, len(classes))
	var small []int
	for i, n := range sizes {
		if n > 0 && n < k {
			out[i] = true
			small = append(small, i)
		}
	}
	if len(small) == 0 {
		return out
	}
	for d := range dims {
		lines := map[string][]int{}
		for _, i := range small {
			lines[lineKey(classes[i], d)] = nil
		}
		for i := range classes {
			if sizes[i] == 0 {
				continue
			}
			key := lineKey(classes[i], d)
			if line, wanted := lines[key]; wanted {
				lines[key] = append(line, i)
			}
		}
		for _, i := range small {
			closeLine(lines[lineKey(classes[i], d)], i, sizes, k, out)
		}
	}
	return out
}

// closeLine leaves out more classes of a line until its small class is hidden.
func closeLine(line []int, small int, sizes []int, k int, out []bool) {
	count, persons := 0, 0
	for _, i := range line {
		if out[i] {
			count++
			persons += sizes[i]
		}
	}
	at := slices.Index(line, small)
	for step := 1; step < len(line) && (count < 2 || persons < k); step++ {
		i := line[(at+step)%len(line)]
		if !out[i] {
			out[i] = true
			count++
			persons += sizes[i]
		}
	}
}

// lineKey is what the classes of a line have in common: all but one dimension.
func lineKey(c *class, but int) string {
	var key []byte
	for d, p := range c.key {
		if d == but {
			continue
		}
		key = append(key, byte(p.state))
		key = binary.AppendUvarint(key, uint64(len(p.text)))
		key = append(key, p.text...)
	}
	return string(key)
}

// size is the number of persons with a value: in the unit that has the fewest.
func (x *measured) size() int {
	if len(x.persons) == 0 {
		return 0
	}
	n := len(x.persons[0])
	for _, persons := range x.persons[1:] {
		n = min(n, len(persons))
	}
	return n
}
