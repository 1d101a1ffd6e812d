package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = days(24 * time.Hour)

// days is a duration flag that knows days: 90d, 36h, 1d12h.
type days time.Duration

// Set implements pflag.Value.
func (d *days) Set(text string) error {
	whole, rest, found := strings.Cut(text, "d")
	if !found {
		whole, rest = "0", text
	}
	n, err := strconv.Atoi(whole)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no duration; write it as 90d or 36h", text)
	}
	var part time.Duration
	if rest != "" {
		if part, err = time.ParseDuration(rest); err != nil {
			if part, err = time.ParseDuration(rest + "s"); err != nil || rest != "0" {
				return fmt.Errorf("%q is no duration; write it as 90d or 36h", text)
			}
		}
	}
	*d = days(n)*day + days(part)
	return nil
}

// String implements pflag.Value.
func (d *days) String() string {
	if *d%day == 0 {
		return strconv.Itoa(int(*d/day)) + "d"
	}
	return time.Duration(*d).String()
}

// Type implements pflag.Value.
func (d *days) Type() string { return "duration" }
