//go:build unix

package figures

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// ProcessorTime returns the CPU time that this process has taken.
func ProcessorTime() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, err
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// PeakMemory returns the most memory, in octets, that a process that ended had at once; false where the system does not
// tell.
func PeakMemory(p *os.ProcessState) (int64, bool) {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, false
	}
	peak := int64(usage.Maxrss)
	if runtime.GOOS != "darwin" && runtime.GOOS != "ios" { // they count octets, the others KiB
		peak <<= 10
	}
	return peak, true
}
