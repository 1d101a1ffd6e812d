// Package figures holds what the benchmark commands share: the table of results, for people and as JSON, and a build of
// the program that they measure.
package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Table holds the figures of one benchmark in the order in which they were added.
type Table struct {
	Name    string   `json:"name"`
	CPUs    int      `json:"cpus"`
	Go      string   `json:"go"`
	Figures []Figure `json:"figures"`
	Notes   []string `json:"notes,omitempty"`
}

// Figure is one figure of a table.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// New returns an empty table.
func New(name string) *Table {
	return &Table{Name: name, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version()}
}

// Add adds a figure; the unit is empty for a count.
func (t *Table) Add(name string, value float64, unit string) {
	t.Figures = append(t.Figures, Figure{name, value, unit})
}

// Note adds a remark.
func (t *Table) Note(text string) { t.Notes = append(t.Notes, text) }

// Write prints the table, and writes it as JSON to a file if path is not empty.
func (t *Table) Write(w io.Writer, path string) error {
	fmt.Fprintf(w, "%s (%d CPUs, %s)\n", t.Name, t.CPUs, t.Go)
	for _, f := range t.Figures {
		digits := 2
		switch {
		case f.Value == float64(int64(f.Value)):
			digits = 0
		case f.Value < 1:
			digits = 4
		}
		fmt.Fprintf(w, "  %-56s %14.*f %s\n", f.Name, digits, f.Value, f.Unit)
	}
	for _, note := range t.Notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(f)
	encoder.SetIndent("", "  ")
	return errors.Join(encoder.Encode(t), f.Close())
}
