package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsListEveryKey holds the table of weir.yaml in docs/operators.md to the
// configuration: every key is in it, in the row of the key that it stands under,
// and no row is about a key that does not exist.
func TestDocsListEveryKey(t *testing.T) {
	raw, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(raw), "\n## weir.yaml\n")
	if !ok {
		t.Fatal("docs/operators.md has no section weir.yaml")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	name := regexp.MustCompile("`([^`]+)`")
	rows := map[string]string{} // by key
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.SplitN(line, " |", 2)
		for _, m := range name.FindAllStringSubmatch(cells[0], -1) {
			rows[m[1]] = line
		}
	}
	keys := keysOf(reflect.TypeFor[Config](), "")
	for _, key := range keys {
		if _, own := rows[key]; own {
			continue
		}
		// Otherwise it is named in the row of one of the keys above it.
		above, named := key, false
		for !named {
			i := strings.LastIndexByte(above, '.')
			if i < 0 {
				break
			}
			above = above[:i]
			if row, ok := rows[above]; ok {
				last := key[strings.LastIndexByte(key, '.')+1:]
				named = slices.ContainsFunc(name.FindAllStringSubmatch(row, -1), func(m []string) bool { return m[1] == last })
			}
		}
		if !named && !slices.ContainsFunc(keys, func(other string) bool { return strings.HasPrefix(other, key+".") }) {
			t.Errorf("docs/operators.md says nothing of %s", key)
		}
	}
	for key := range rows {
		if !slices.Contains(keys, key) {
			t.Errorf("docs/operators.md speaks of %s, which does not exist", key)
		}
	}
}

// TestDocsExampleHolds: what operators are given to begin with is taken.
func TestDocsExampleHolds(t *testing.T) {
	raw, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(raw), "\n```yaml\nlisten:")
	example, _, ends := strings.Cut(example, "\n```")
	if !ok || !ends {
		t.Fatal("docs/operators.md has no example")
	}
	c, err := parse("weir.yaml", []byte("listen:"+example), t.TempDir(), func(string) (string, bool) { return "p%2Fw", true })
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Officers) < 2 || c.Mode != ModeServe {
		t.Error("the example would not start without a second officer")
	}
}

// keysOf gives the keys of a struct's YAML, with dots; elements of lists and
// maps stand under the key itself.
func keysOf(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if tag == "" || tag == "-" {
			continue
		}
		out = append(out, prefix+tag)
		out = append(out, keysOf(t.Field(i).Type, prefix+tag+".")...)
	}
	return out
}
