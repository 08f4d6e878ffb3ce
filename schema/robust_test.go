package schema

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// checkLoad states what holds for any input.
func checkLoad(t interface {
	Helper()
	Errorf(format string, args ...any)
}, files []File,
) {
	t.Helper()
	catalogue, found := Load(files, settingsOfFixtures())
	if (catalogue == nil) != found.Failed() {
		t.Errorf("catalogue is nil: %v; findings failed: %v", catalogue == nil, found.Failed())
	}
	for _, d := range found {
		if d.Code == codeGeneratedSchema {
			t.Errorf("lint let through what cannot be generated: %v", d)
		}
		if d.Code != codeNoTypes && (d.File == "" || d.Line < 1 || d.Column < 1) {
			t.Errorf("a finding has no place: %v", d)
		}
	}
	if catalogue != nil && (catalogue.API == nil || catalogue.API.Query == nil || catalogue.Revision == "") {
		t.Errorf("a catalogue is not complete")
	}
	_, again := Load(files, settingsOfFixtures())
	if diff := cmp.Diff(found, again); diff != "" {
		t.Errorf("findings differ from run to run:\n%s", diff)
	}
}

var tokens = regexp.MustCompile(`"""[^"]*"""|"(?:[^"\\\n]|\\.)*"|[_A-Za-z0-9]+|\s+|.`)

// corpus is all SDL of the fixtures and golden files.
func corpus(t testing.TB) []string {
	t.Helper()
	var texts []string
	for _, path := range fixturePaths(t) {
		_, cases := readFixtures(t, path)
		for _, c := range cases {
			for _, f := range c.files {
				texts = append(texts, f.Text)
			}
		}
	}
	for _, dir := range []string{"testdata/golden", "../examples/guangdong/schema"} {
		files, err := ReadFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			texts = append(texts, f.Text)
		}
	}
	return texts
}

// TestLoadNeverPanics mutates SDL by tokens, so that much of it still parses.
func TestLoadNeverPanics(t *testing.T) {
	texts := corpus(t)
	var vocabulary []string
	for _, text := range texts {
		vocabulary = append(vocabulary, tokens.FindAllString(text, -1)...)
	}
	slices.Sort(vocabulary)
	vocabulary = slices.Compact(vocabulary)
	rapid.Check(t, func(t *rapid.T) {
		files := make([]File, rapid.IntRange(1, 2).Draw(t, "files"))
		for i := range files {
			all := tokens.FindAllString(rapid.SampledFrom(texts).Draw(t, "text"), -1)
			for range rapid.IntRange(0, 6).Draw(t, "mutations") {
				if len(all) == 0 {
					break
				}
				at := rapid.IntRange(0, len(all)-1).Draw(t, "at")
				switch rapid.IntRange(0, 4).Draw(t, "mutation") {
				case 0:
					all = slices.Delete(all, at, at+1)
				case 1:
					all = slices.Insert(all, at, all[rapid.IntRange(0, len(all)-1).Draw(t, "from")])
				case 2:
					all[at] = rapid.SampledFrom(vocabulary).Draw(t, "token")
				case 3:
					all = all[:at]
				case 4:
					other := rapid.IntRange(0, len(all)-1).Draw(t, "with")
					all[at], all[other] = all[other], all[at]
				}
			}
			var text string
			for _, token := range all {
				text += token
			}
			files[i] = File{Name: string(rune('a'+i)) + ".graphqls", Text: text}
		}
		checkLoad(t, files)
	})
}

// TestScopeNeverPanics does the same inside a condition.
func TestScopeNeverPanics(t *testing.T) {
	pieces := []string{
		"{", "}", "[", "]", ":", " ", ",", "(", ")", "$subject.region", "$subject", ".", "$x", "name", "visits", "account", "tags", "sex", "notes",
		"_and", "_or", "_not", "_eq", "_in", "_is_null", "_contains", "_like", "null", "true", "MALE", "1", "-1.5e3", `\"a\"`, `\"`, "#", `\\`, `\n`, "é", "…",
		"{name: {_eq: $subject.region}}", "{_or: [", "visits: {reason: {_eq: ",
	}
	rapid.Check(t, func(t *rapid.T) {
		var where string
		for _, p := range rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces") {
			where += p
		}
		text := `
type A @source(department: "health", table: "a", key: ["id"]) @classified(level: "L1") @scope(name: "s", where: "` + where + `") {
  id: String name: String sex: Sex tags: [String!] notes: JSON
  visits: [V!] @relation(fields: ["id"], references: ["id"])
  account: B @relation(fields: ["id"], references: ["id"])
}
type V @source(department: "health", table: "v", key: ["id"]) @classified(level: "L1") { id: String reason: String }
type B @source(department: "police", table: "b", key: ["id"]) @classified(level: "L1") { id: String }
enum Sex { MALE }`
		checkLoad(t, []File{{Name: "a.graphqls", Text: text}})
	})
}

func FuzzLoad(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkLoad(t, []File{{Name: "a.graphqls", Text: text}})
	})
}
