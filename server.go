// Weir is one GraphQL endpoint over departments' databases: every field is
// decided by policy, masked or withheld where the policy says so, and its read
// recorded before it leaves. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/weir-data/weir/internal/cli"
)

func main() {
	// The live heap is small against the garbage of a busy second; collecting
	// less often buys throughput for some tens of megabytes.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
