//go:build unix

package lineage

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// LockFile takes the file for this process; ErrLocked while another has it. The
// lock belongs to the open file, so the kernel drops it with the process, however
// that ends. The caller closes it.
func LockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the folder is the operator's
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return lockedFile{f}, nil
}

type lockedFile struct{ file *os.File }

// Close gives the lock back before it closes the file: a process that is being
// started has the open file, too, until it runs its own program.
func (l lockedFile) Close() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
