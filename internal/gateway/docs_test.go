package gateway

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-data/weir/graph/plan"
)

// TestErrorsPageHasTheStatuses holds the statuses of docs/errors.md to what the
// gateway answers, and the codes that its footnote names for application/json.
func TestErrorsPageHasTheStatuses(t *testing.T) {
	raw, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	table, footnote, ok := strings.Cut(string(raw), "\n¹ ")
	if !ok {
		t.Fatal("docs/errors.md has no footnote")
	}
	// These stand beside data, or would.
	beside := []plan.Code{plan.SourceUnavailable, plan.SourceTimeout, plan.DataTooOld}
	// This one is answered before a document is there to be read.
	before := []plan.Code{plan.DocumentNotFound}
	rows := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(table, -1)
	if len(rows) < 20 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		code := plan.Code(row[1])
		failure := failureOf(code)
		want := failure.status
		if slices.Contains(beside, code) {
			want = http.StatusOK
		}
		if row[2] != strconv.Itoa(want) {
			t.Errorf("%s: the page says %s, the gateway %d", code, row[2], want)
		}
		readAndRefused := failure.graph && !slices.Contains(beside, code) && !slices.Contains(before, code)
		if named := strings.Contains(footnote, "`"+string(code)+"`"); named != readAndRefused {
			t.Errorf("%s: named in the footnote %t, answered 200 as application/json %t", code, named, readAndRefused)
		}
	}
}
