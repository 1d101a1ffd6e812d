package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"presend/bench/figures"
)

// usage measures what this process, with the lab, takes of the machine from a moment on.
type usage struct {
	cpu    time.Duration
	memory int64 // octets resident
}

// startUsage frees the memory of earlier worlds and begins to measure.
func startUsage() (usage, error) {
	debug.FreeOSMemory()
	// Writing "5" resets the peak in VmHWM (proc_pid_clear_refs(5)).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return usage{}, err
	}
	memory, err := status("VmRSS")
	if err != nil {
		return usage{}, err
	}
	cpu, err := figures.ProcessorTime()
	return usage{cpu: cpu, memory: memory}, err
}

// add adds the CPU time since the start and the peak of the memory, also for each of the addresses.
func (u usage) add(table *figures.Table, prefix string, addresses int) error {
	cpu, err := figures.ProcessorTime()
	if err != nil {
		return err
	}
	peak, err := status("VmHWM")
	if err != nil {
		return err
	}
	cpu -= u.cpu
	table.Add(prefix+"CPU", cpu.Seconds(), "s")
	table.Add(prefix+"CPU an address", float64(cpu.Microseconds())/float64(addresses), "µs")
	table.Add(prefix+"peak memory", float64(peak)/(1<<20), "MiB")
	table.Add(prefix+"of it taken by the run", float64(peak-u.memory)/(1<<20), "MiB")
	table.Add(prefix+"the same an address", float64(peak-u.memory)/1024/float64(addresses), "KiB")
	return nil
}

// status returns a line of /proc/self/status in octets.
func status(name string) (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", name)
}
