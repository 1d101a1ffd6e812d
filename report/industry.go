package report

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// Industry is the average share of messages that bounce in an industry.
type Industry struct {
	Name    string  `toml:"name"`
	Bounces float64 `toml:"bounces"` // in percent
}

//go:embed industries.toml
var industries string

// Industries returns the averages of industries, the lowest first, and last that of all.
func Industries() []Industry { return industryTable() }

// industryTable reads the table. A file that cannot be read is a fault of the build, which the tests find.
var industryTable = sync.OnceValue(func() []Industry {
	var file struct{ Industry []Industry }
	if _, err := toml.Decode(industries, &file); err != nil {
		panic(fmt.Sprintf("report: industries.toml: %v", err))
	}
	return file.Industry
})

// WriteIndustries writes the averages of industries next to what is expected of this list without invalid rows.
func (f Figures) WriteIndustries(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\nAverage bounces by industry\n")
	for _, i := range Industries() {
		fmt.Fprintf(&b, "  %-33s  %5.1f %%\n", i.Name, i.Bounces)
	}
	if c := f.Forecast(Sendable); c.Rows > 0 && c.Word != CannotBeTold {
		fmt.Fprintf(&b, "  %-33s  %5.1f %%\n", "this list without invalid", c.Bounces)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
