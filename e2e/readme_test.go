package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func shellBlocks(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		out = append(out, strings.TrimSpace(m[1]))
	}
	return out
}

func TestReadmesHoldTheSameCommands(t *testing.T) {
	en, zh := shellBlocks(t, "../README.md"), shellBlocks(t, "../README.zh-CN.md")
	if len(en) < 5 || !slices.Equal(en, zh) {
		t.Errorf("README.md has %q\nREADME.zh-CN.md has %q", en, zh)
	}
}

// runPage serves the demo to a page's commands, and gives what runs one, in the
// folder where the demo was started.
func runPage(t *testing.T) (run func(command string) string) {
	t.Helper()
	address, state := startDemo(t)
	return func(command string) string {
		t.Helper()
		command = strings.NewReplacer("127.0.0.1:8080", address, "go run .", binary).Replace(command)
		bash := exec.CommandContext(t.Context(), "bash", "-e", "-c", command)
		bash.Dir = filepath.Dir(state)
		out, err := bash.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
}

// TestReadmeRuns runs all that the README has to be typed, but for its tests:
// the demo, its readers, the record, the rules, with the answers that it claims.
func TestReadmeRuns(t *testing.T) {
	blocks := shellBlocks(t, "../README.md")
	if blocks[0] != "go run . demo" {
		t.Fatalf("the first command is %q", blocks[0])
	}
	claims := [][]string{
		{`{"data":{"person":{"name":"谢**","idNumber":null,"district":null}}`, `"mask":"NAME"`, `"field":"Person.idNumber"`, `"reason":"POLICY"`},
		{`{"data":{"person":{"name":"谢艳","idNumber":"990001198510290004","district":"番禺区"}}`},
		{"as window-clerk", "masked 1", "withheld 1", "as case-officer", "clear 1"},
		{"ok  node-a: 4 records in ", "unaltered, in order, without a gap"},
		{`{"data":{"right":true,"wrong":false}`},
		{`{"data":{"personsAggregate":[{"group":{"district":"`, `"noised":[{"field":"Person","path":"personsAggregate.count","level":"L2"}]`},
		{"name: masked NAME", "idNumber: withheld Person.idNumber POLICY", "ok, 0 warnings", "match+mask under by_key"},
	}
	if last := len(blocks) - 1; last != 1+len(claims) || blocks[last] != "make test" {
		t.Fatalf("%d commands, the last %q: what do they answer?", len(blocks), blocks[last])
	}
	run := runPage(t)
	for i, want := range claims {
		got := run(blocks[1+i])
		// The last records come under a checkpoint a moment after their answers.
		for tries := 0; strings.Contains(got, "under no checkpoint yet") && tries < 100; tries++ {
			time.Sleep(100 * time.Millisecond)
			got = run(blocks[1+i])
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s\nsays %s\nwithout %s", blocks[1+i], got, w)
			}
		}
	}
}

// TestScenariosRun runs the two services of docs/developers.md from end to end,
// with the whole data that the page shows, and looks for both on record.
func TestScenariosRun(t *testing.T) {
	raw, err := os.ReadFile("../docs/developers.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := regexp.MustCompile("(?s)```sh\n(curl [^\n]*)\n```\n```json\n(\\{\"data\":.*?\\}), …\\}\n```").FindAllStringSubmatch(string(raw), -1)
	if len(steps) != 3 || len(steps) != strings.Count(string(raw), "```sh\n") {
		t.Fatalf("%d steps with an answer on the page", len(steps))
	}
	run := runPage(t)
	for _, step := range steps {
		got := run(step[1])
		if !strings.HasPrefix(got, step[2]+`,"extensions":`) {
			t.Errorf("%s\nsays %s\nnot  %s", step[1], got, step[2])
		}
		// What is masked or compared leaves nowhere in clear.
		for _, value := range []string{"谢艳", "欧阳洋", "欧阳霞", "990001198510290004"} {
			if strings.Contains(got, value) {
				t.Errorf("%s\nshows %s: %s", step[1], value, got)
			}
		}
	}
	tail := run("go run . lineage tail --state weir-demo --last 3")
	for _, want := range []string{
		"for newborn-registration", "for company-registration",
		"health             BirthCertificate.number ", "BirthCertificate.childName", "Person.name", "social_security    InsuranceAccount.active",
		"market_regulation  BusinessLicence.holderIdNumber",
	} {
		if !strings.Contains(tail, want) {
			t.Errorf("the record says nothing of %q:\n%s", want, tail)
		}
	}
}

// TestEveryCodeIsExplained keeps docs/errors.md and the set of codes together.
func TestEveryCodeIsExplained(t *testing.T) {
	source, err := os.ReadFile("../graph/plan/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Code = "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 20 {
		t.Fatalf("only %d codes found in the source", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(string(page), "| `"+c[1]+"` |") {
			t.Errorf("docs/errors.md has no line for %s", c[1])
		}
	}
}
