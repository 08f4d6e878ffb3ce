// Weir is one GraphQL endpoint over departments' databases: every field is
// decided by policy, masked or withheld where the policy says so, and its read
// recorded before it leaves. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/weir-data/weir/internal/cli"
)

func main() {
	// The live heap is small against the garbage of a busy second; collecting
	// less often buys throughput for some tens of megabytes.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	// The goroutine that syncs the ledger holds its place among the running ones
	// for as long as the disk takes, or until the scheduler notices; so do the
	// index and the tree at their files. Two places more than processors keep all
	// processors busy meanwhile.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), cli.Signals()...)
	code := cli.Run(ctx, os.Args[1:], version(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// version is what the Go toolchain knows of this build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
