//go:build !unix

package atomicfile

import (
	"os"
	"runtime"
)

// sweep removes the unfinished files of a name that killed processes left behind. Windows refuses to remove a file that
// a process has open. On other systems nothing shows which files are still being written, so they stay.
func sweep(name string) error {
	if runtime.GOOS != "windows" {
		return nil
	}
	for _, path := range unfinished(name) {
		_ = os.Remove(path) // Windows refuses it for a file in use
	}
	return nil
}

// hold needs no lock here: see sweep.
func hold(string) (unlock func(), err error) { return func() {}, nil }
