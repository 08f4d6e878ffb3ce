package authz_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/schema"
)

// TestExplain runs the fixtures: a line "roles; department; open purposes;
// purpose; coordinate", ----, and the explanation.
func TestExplain(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(raw), separator)
			w := strings.Split(strings.TrimSpace(input), ";")
			if len(w) != 5 {
				t.Fatalf("%q", input)
			}
			for i := range w {
				w[i] = strings.TrimSpace(w[i])
			}
			profile := authz.Profile{Roles: strings.Fields(w[0]), Department: w[1], Purposes: strings.Fields(w[2]), Purpose: w[3]}
			e, err := authz.Explain(parse(t, page), catalogue(), settings(), profile, schema.ParseCoordinate(w[4]))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+e.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, e.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
