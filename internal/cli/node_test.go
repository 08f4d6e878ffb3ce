package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/exec"
)

// TestLogFailure: the log warns of what a department does, and of nothing that a
// reader could write into it by going away.
func TestLogFailure(t *testing.T) {
	for _, tt := range []struct {
		cause error
		warns bool
	}{
		{nil, false},
		{fmt.Errorf("fetch: %w", &adapters.Error{Kind: adapters.Canceled}), false},
		{fmt.Errorf("fetch: %w", &adapters.Error{Kind: adapters.Timeout}), true},
		{&adapters.Error{Kind: adapters.Unavailable}, true},
		{errors.New("broken"), true},
	} {
		var out bytes.Buffer
		logFailure(slog.New(slog.NewJSONHandler(&out, nil)), &exec.Fetched{Department: "health", Cause: tt.cause})
		if warned := strings.Contains(out.String(), `"department":"health"`); warned != tt.warns {
			t.Errorf("%v: %s", tt.cause, out.String())
		}
	}
}
