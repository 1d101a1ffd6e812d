package smtpprobe

import (
	_ "embed"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"github.com/BurntSushi/toml"
)

//go:embed pace.toml
var defaultPace string

// DefaultPace returns the text of the embedded pace table, as a start for one's own.
func DefaultPace() string { return defaultPace }

// Pace is the table of how hard a destination may be asked, by provider, with a default for all others. It never
// changes, so it is safe for concurrent use.
type Pace struct {
	rows map[string]Limits
}

// Limits are what a destination is asked for at the most. A field of zero in a row takes the default row's value.
type Limits struct {
	Sessions   int     `toml:"sessions"`   // sessions at a time, for each of our addresses
	Recipients int     `toml:"recipients"` // recipients a transaction
	PerSession int     `toml:"session"`    // recipients a session
	Errors     int     `toml:"errors"`     // refused recipients after which a session ends itself, at least
	Day        int     `toml:"day"`        // recipients a day, for each of our addresses; 0 in the default row is no limit
	Rate       float64 `toml:"rate"`       // recipients a second; 0 in the default row is no limit
}

const defaultRow = "default"

// LoadPace reads a pace table. Path "" is the embedded one, which is read at the first call and shared by all. An error
// names the file, and the row where one is at fault.
func LoadPace(path string) (*Pace, error) {
	if path == "" {
		return embeddedPace()
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("pace table: %w", err)
	}
	return readPace(path, string(text))
}

var embeddedPace = sync.OnceValues(func() (*Pace, error) { return readPace("pace.toml", defaultPace) })

// readPace reads the text of a pace table that errors call by its path.
func readPace(path, text string) (*Pace, error) {
	rows := map[string]Limits{}
	meta, err := toml.Decode(text, &rows)
	if err != nil {
		return nil, fmt.Errorf("pace table %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("pace table %s: no such setting: %s", path, unknown[0])
	}
	base, ok := rows[defaultRow]
	if !ok || base.Sessions == 0 || base.Recipients == 0 || base.PerSession == 0 || base.Errors == 0 {
		return nil, fmt.Errorf("pace table %s: the row [%s] must set sessions, recipients, session and errors",
			path, defaultRow)
	}
	for name, row := range rows {
		if row.Sessions < 0 || row.Recipients < 0 || row.PerSession < 0 || row.Errors < 0 || row.Day < 0 || row.Rate < 0 {
			return nil, fmt.Errorf("pace table %s: [%s] holds a number below 0", path, name)
		}
		if math.IsNaN(row.Rate) || math.IsInf(row.Rate, 0) {
			return nil, fmt.Errorf("pace table %s: the rate of [%s] must be a finite number; 0 is no limit", path, name)
		}
		rows[name] = row.over(base)
	}
	return &Pace{rows: rows}, nil
}

// over fills what a row leaves out from the default row.
func (l Limits) over(base Limits) Limits {
	for _, field := range []struct{ value, fallback *int }{
		{&l.Sessions, &base.Sessions},
		{&l.Recipients, &base.Recipients},
		{&l.PerSession, &base.PerSession},
		{&l.Errors, &base.Errors},
		{&l.Day, &base.Day},
	} {
		if *field.value == 0 {
			*field.value = *field.fallback
		}
	}
	if l.Rate == 0 {
		l.Rate = base.Rate
	}
	return l
}

// For returns the limits of a destination: the provider's row where there is one, else the default.
func (p *Pace) For(destination string) Limits {
	if row, ok := p.rows[destination]; ok {
		return row
	}
	return p.rows[defaultRow]
}

// Write writes the table in force.
func (p *Pace) Write(w io.Writer) error {
	return toml.NewEncoder(w).Encode(p.rows)
}
