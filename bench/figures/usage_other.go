//go:build !unix

package figures

import (
	"errors"
	"os"
	"time"
)

// ProcessorTime returns the CPU time that this process has taken.
func ProcessorTime() (time.Duration, error) { return 0, errors.ErrUnsupported }

// PeakMemory returns the most memory, in octets, that a process that ended had at once; false where the system does not
// tell.
func PeakMemory(*os.ProcessState) (int64, bool) { return 0, false }
