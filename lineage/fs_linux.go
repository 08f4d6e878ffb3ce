package lineage

import (
	"errors"
	"os"
	"syscall"
)

// syncData is fdatasync, which leaves out the times of the file: writing those
// would make every sync one of the file system's journal.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd())) //nolint:gosec // a descriptor
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
