package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"presend/internal/atomicfile"
	"presend/job"
)

// share is a flag that is a percentage, as 2% or 2.5; negative: not given.
type share float64

// Set implements pflag.Value.
func (s *share) Set(text string) error {
	p, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
	if err != nil || !(p >= 0 && p <= 100) {
		return errors.New("want a percentage from 0 to 100")
	}
	*s = share(p)
	return nil
}

// String implements pflag.Value.
func (s *share) String() string {
	if *s < 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*s), 'f', -1, 64) + "%"
}

// Type implements pflag.Value.
func (s *share) Type() string { return "percentage" }

// writeSummary writes a summary as JSON.
func writeSummary(path string, s job.Summary) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("the summary: %w", err)
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(text, '\n')); err != nil {
		return errors.Join(err, file.Abort())
	}
	return file.Commit()
}

// plainWord are the letters that need no quotes in a shell.
const plainWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,"

// shellWord quotes a word for a POSIX shell where it needs quotes.
func shellWord(word string) string {
	if word != "" && strings.Trim(word, plainWord) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
