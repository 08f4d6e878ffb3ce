package lineage

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// ProbeFsync measures how long the disk under a folder takes to make a small
// write last: the median of a few, after one that is not counted. It leaves
// nothing behind. The folder must exist and must not be a log's own.
func ProbeFsync(dir string) (took time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".fsync-probe-*")
	if err != nil {
		return 0, fmt.Errorf("probe fsync: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	const rounds = 7
	block := make([]byte, 4096)
	times := make([]time.Duration, 0, rounds)
	for i := range rounds + 1 {
		if _, err := f.Write(block); err != nil {
			return 0, fmt.Errorf("probe fsync: %w", err)
		}
		start := time.Now()
		if err := f.Sync(); err != nil {
			return 0, fmt.Errorf("probe fsync: %w", err)
		}
		if i > 0 {
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	return times[rounds/2], nil
}
