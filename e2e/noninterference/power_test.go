package noninterference

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// leak is a fault that is put into a copy of the code, to see that the harness
// finds it: testdata/leaks/NAME.txt. The first line says what it breaks; hunks
// follow, each with the file, the text as it stands there once, and what is put
// in its place.
type leak struct {
	name, sentence string
	hunks          []hunk
}

type hunk struct{ file, before, after string }

// trialsOfPower is within how many trials a leak must be found.
const trialsOfPower = 20_000

// shortPower is how many leaks a short run tries, firstPower with which it
// begins under the seed 1; other seeds begin elsewhere.
const (
	shortPower = 3
	firstPower = "count-over-hidden-rows"
)

func readLeaks(t *testing.T) []leak {
	t.Helper()
	files, err := filepath.Glob("testdata/leaks/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []leak
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l := leak{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
		parts := strings.Split(string(text), "\n=== ")
		l.sentence = strings.TrimSpace(parts[0])
		for _, part := range parts[1:] {
			name, rest, ok := strings.Cut(part, "\n--- old\n")
			before, after, ok2 := strings.Cut(rest, "\n--- new\n")
			if !ok || !ok2 {
				t.Fatalf("%s: a hunk is ===, --- old, --- new", file)
			}
			l.hunks = append(l.hunks, hunk{name, before, strings.TrimSuffix(after, "\n")})
		}
		if l.sentence == "" || len(l.hunks) == 0 {
			t.Fatalf("%s: a leak has a sentence and a hunk", file)
		}
		out = append(out, l)
	}
	return out
}

// apply applies a leak to texts, by file; those that are not there it reads.
func (l *leak) apply(texts map[string]string, read func(file string) (string, error)) error {
	for _, h := range l.hunks {
		text, ok := texts[h.file]
		if !ok {
			var err error
			if text, err = read(h.file); err != nil {
				return err
			}
		}
		if n := strings.Count(text, h.before); n != 1 {
			return fmt.Errorf("the text to be replaced stands %d times in %s:\n%s", n, h.file, h.before)
		}
		texts[h.file] = strings.Replace(text, h.before, h.after, 1)
	}
	return nil
}

// patch applies a leak to copies and gives the overlay that names them.
func (l *leak) patch(root, dir string) (overlay string, err error) {
	texts := map[string]string{}
	if err := l.apply(texts, func(file string) (string, error) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		return string(text), err
	}); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range texts {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestLeaksApply sees to it that the leaks follow the code: that there are
// enough of them, and that each still finds the text that it replaces.
func TestLeaksApply(t *testing.T) {
	t.Parallel()
	leaks := readLeaks(t)
	if len(leaks) < 40 {
		t.Errorf("%d leaks, and at least 40 must be found", len(leaks))
	}
	all, behind := newSwitched(repository(t)), 0
	for _, l := range leaks {
		if _, err := l.patch(repository(t), t.TempDir()); err != nil {
			t.Errorf("leak %s does not apply any more: %v", l.name, err)
			continue
		}
		ok, err := all.add(&l)
		if err != nil {
			t.Errorf("leak %s: %v", l.name, err)
		}
		if ok {
			behind++
		}
	}
	if behind < len(leaks)*9/10 {
		t.Errorf("%d of %d leaks stand behind a switch: compiling the others one by one takes long", behind, len(leaks))
	}
	if _, err := all.overlay(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// found is how the harness says after how many trials it saw a difference.
var found = regexp.MustCompile(`after (\d+) trials:\s+an answer depends on`)

var errNotFound = errors.New("not found within " + strconv.Itoa(trialsOfPower) + " trials: what it breaks could be broken unnoticed")

// build compiles the harness over an overlay.
func build(ctx context.Context, root, overlay, binary string) error {
	command := exec.CommandContext(ctx, "go", "test", "-vet=off", "-c", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./e2e/noninterference")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	return nil
}

// find runs the harness with a leak in it until it fails. binary is one that
// has the leak behind the switch; "" makes one.
func (l *leak) find(ctx context.Context, root, dir, binary string, seed uint64, within int) (trials int, took time.Duration, err error) {
	if binary == "" {
		overlay, err := l.patch(root, dir)
		if err != nil {
			return 0, 0, err
		}
		binary = filepath.Join(dir, "leaking.test")
		if err := build(ctx, root, overlay, binary); err != nil {
			return 0, 0, err
		}
	}
	run := exec.CommandContext(ctx, binary, "-test.run", "^TestNonInterference$", "-test.v", "-test.timeout", "60m")
	run.Dir = filepath.Join(root, "e2e", "noninterference")
	run.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "WEIR_")
	}), "WEIR_TRIALS="+strconv.Itoa(within), "WEIR_SEED="+strconv.FormatUint(seed, 10), leakSwitch+"="+l.name)
	start := time.Now()
	out, err := run.CombinedOutput()
	took = time.Since(start)
	if m := found.FindSubmatch(out); m != nil {
		trials, err := strconv.Atoi(string(m[1]))
		return trials, took, err
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return 0, took, fmt.Errorf("the run failed, and not by a difference:\n%s", bytes.TrimSpace(out[:min(len(out), 4000)]))
	}
	if err != nil {
		return 0, took, err
	}
	return 0, took, errNotFound
}

// TestPower puts leaks into the code and counts the trials until the harness sees
// them. A short run tries a few, WEIR_SOAK=1 all. WEIR_LEAK=NAME,NAME tries those
// with a name that begins so; WEIR_FROM_LEAK=NAME goes on from there in the order
// of names; WEIR_UPDATE=1 writes what was found to testdata/power.txt, leak by
// leak, so that a run that ends early loses nothing.
func TestPower(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves out what must compile the harness anew")
	}
	leaks, s := readLeaks(t), seed()
	switch name, from := os.Getenv("WEIR_LEAK"), os.Getenv("WEIR_FROM_LEAK"); {
	case name != "":
		leaks = slices.DeleteFunc(leaks, func(l leak) bool {
			return !slices.ContainsFunc(strings.Split(name, ","), func(one string) bool { return strings.HasPrefix(l.name, one) })
		})
	case from != "":
		leaks = slices.DeleteFunc(leaks, func(l leak) bool { return l.name < from })
	case os.Getenv("WEIR_SOAK") != "1":
		begin := slices.IndexFunc(leaks, func(l leak) bool { return l.name == firstPower })
		first := (max(begin, 0) + int(s-1)*shortPower) % len(leaks)
		leaks = append(leaks[first:], leaks[:first]...)[:min(shortPower, len(leaks))]
	}
	if len(leaks) == 0 {
		t.Fatal("no such leak")
	}
	t.Logf("WEIR_SEED=%d", s)
	recorded := readPower(t)
	var mu sync.Mutex
	binaries := leaking(t, leaks)
	var group errgroup.Group
	group.SetLimit(2) // the harness itself uses two processors
	for _, l := range leaks {
		group.Go(func() error {
			trials, took, err := l.find(t.Context(), repository(t), t.TempDir(), binaries[l.name], s, trialsOfPower)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("leak %s (%s): %v", l.name, l.sentence, err)
				return nil
			}
			t.Logf("%-38s %6d trials (recorded %d), %.1f s: %s", l.name, trials, recorded[l.name], took.Seconds(), l.sentence)
			if os.Getenv("WEIR_UPDATE") == "1" {
				recorded[l.name] = trials
				if err := os.WriteFile(powerFile, []byte(powerText(recorded)), 0o600); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// leaking compiles one binary for as many of the leaks as can stand behind a
// switch, and sees that it finds nothing while the switch is off.
func leaking(t *testing.T, leaks []leak) map[string]string {
	t.Helper()
	out := map[string]string{}
	if len(leaks) == 1 {
		return out
	}
	all, dir := newSwitched(repository(t)), t.TempDir()
	binary := filepath.Join(dir, "switched.test")
	for _, l := range leaks {
		ok, err := all.add(&l)
		if err != nil {
			t.Fatalf("leak %s: %v", l.name, err)
		}
		if ok {
			out[l.name] = binary
		}
	}
	t.Logf("%d of %d leaks stand behind a switch", len(out), len(leaks))
	overlay, err := all.overlay(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), repository(t), overlay, binary); err != nil {
		t.Fatal(err)
	}
	off := leak{name: "none"}
	if trials, _, err := off.find(t.Context(), repository(t), dir, binary, seed(), 200); err == nil || !errors.Is(err, errNotFound) {
		t.Fatalf("the switched code leaks after %d trials while the switch is off: %v", trials, err)
	}
	return out
}

// powerFile records after how many trials each leak was found last.
const powerFile = "testdata/power.txt"

const powerHead = `# The trials after which TestPower found each leak of testdata/leaks, under the
# seed of the last run. Two rigs run side by side, so that a count may be other by
# some trials in the next run. Made by: WEIR_SOAK=1 WEIR_UPDATE=1 go test -run
# '^TestPower$' -timeout 6h ./e2e/noninterference
`

func powerText(recorded map[string]int) string {
	var b strings.Builder
	b.WriteString(powerHead)
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		fmt.Fprintf(&b, "%-38s %6d\n", name, recorded[name])
	}
	return b.String()
}

func readPower(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(powerFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var name string
		var trials int
		if _, err := fmt.Sscan(line, &name, &trials); err != nil {
			t.Fatalf("%s: %q: %v", powerFile, line, err)
		}
		out[name] = trials
	}
	return out
}

// TestPowerIsRecorded: what is recorded was found within what is allowed,
// half of it almost at once, and no leak is without a record.
func TestPowerIsRecorded(t *testing.T) {
	t.Parallel()
	const median, most = 500, trialsOfPower
	recorded := readPower(t)
	var trials []int
	var missing []string
	for _, l := range readLeaks(t) {
		n, ok := recorded[l.name]
		delete(recorded, l.name)
		if !ok {
			missing = append(missing, l.name)
			continue
		}
		if n < 1 || n > most {
			t.Errorf("leak %s was found after %d trials, and 1 to %d are wanted: lean the sessions towards what it takes", l.name, n, most)
		}
		trials = append(trials, n)
	}
	for name := range recorded {
		t.Errorf("%s records %s, and there is no such leak", powerFile, name)
	}
	if len(trials) == 0 {
		t.Fatal("nothing is recorded")
	}
	slices.Sort(trials)
	if m := trials[len(trials)/2]; m > median {
		t.Errorf("half of the leaks take more than %d trials, and %d are wanted", m, median)
	}
	if len(missing) > 0 {
		t.Errorf("without a record: %s; WEIR_UPDATE=1 WEIR_LEAK=NAME go test -run '^TestPower$' ./e2e/noninterference tries one", strings.Join(missing, ", "))
	}
}
