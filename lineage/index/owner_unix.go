//go:build unix

package index

import (
	"os"
	"syscall"
)

// takeOwner gives a file to the account whose the old one is: whoever makes an
// index anew may be another than the server.
func takeOwner(path string, old os.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	mine, ok := info.Sys().(*syscall.Stat_t)
	his, also := old.Sys().(*syscall.Stat_t)
	if !ok || !also || mine.Uid == his.Uid {
		return nil // the group has no rights
	}
	return os.Chown(path, int(his.Uid), int(his.Gid))
}
