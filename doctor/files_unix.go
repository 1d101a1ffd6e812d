//go:build unix

package doctor

import (
	"fmt"
	"syscall"
)

// openFiles returns the soft limit, which the Go runtime raises to the hard one when a process begins.
func openFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	return uint64(limit.Cur), nil // the type differs from system to system
}
