package lineage

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The test binary runs itself as another process where one is needed; this
// variable tells it as what.
const roleVariable = "WEIR_LINEAGE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "writer":
		os.Exit(writeUntilKilled())
	case "opener":
		os.Exit(openOnce())
	}
	goleak.VerifyTestMain(m)
}
