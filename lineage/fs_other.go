//go:build !linux

package lineage

import "os"

// syncData is what the system has.
func syncData(f *os.File) error { return f.Sync() }
