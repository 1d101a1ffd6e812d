package lists

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// maxSheets is how many sheets are looked into for the one that holds the list.
const maxSheets = 50

// learnWorkbook learns what the sheet is that was asked for, else the first visible one. If that holds no list, as a
// cover sheet does, and one other visible sheet does, that is the list.
func (r *Reader) learnWorkbook(options Options) error {
	err := r.learnSheet(options.Sheet, options)
	if err == nil || len(r.sheets) < 2 || options.Sheet != "" {
		return err
	}
	var found *Reader
	n := 0
	for _, name := range r.visible[:min(len(r.visible), maxSheets)] {
		if name == r.sheet {
			continue
		}
		other := &Reader{name: r.name, format: r.format, source: r.source, text: r.source}
		if other.learnSheet(name, options) == nil && (other.first.holds() || len(options.wanted()) > 0) {
			if n++; found == nil {
				found = other
				continue
			}
		}
		if closed := other.closeText(); closed != nil {
			return errors.Join(err, closed)
		}
	}
	switch {
	case n == 1:
		closed := r.closeText()
		*r = *found
		return closed
	case n > 1:
		err = errors.Join(err, found.closeText())
	}
	return fmt.Errorf("sheet %q: %w; --sheet takes another one: %s", r.sheet, err, strings.Join(r.sheets, ", "))
}

func (r *Reader) learnSheet(sheet string, options Options) error {
	if err := r.convertWorkbook(sheet); err != nil {
		return err
	}
	return r.learnTable(options)
}

// closeText closes the table that was made of the list, if there is one.
func (r *Reader) closeText() error {
	if r.text == r.source {
		return nil
	}
	return r.text.close()
}

// convertWorkbook makes a table of a sheet: a record for each of its rows, so that a record's number is the row's.
func (r *Reader) convertWorkbook(wanted string) (err error) {
	if r.source.gzipped {
		return errors.New("a workbook must not be gzipped; unpack it")
	}
	raw, done, err := r.source.read()
	if err != nil {
		return err
	}
	book, err := excelize.OpenReader(raw, excelize.Options{UnzipXMLSizeLimit: 16 << 20})
	if err != nil {
		return fmt.Errorf("workbook: %w", err)
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	if err := done(); err != nil {
		return err
	}
	r.sheets, r.visible = book.GetSheetList(), nil
	for _, name := range r.sheets {
		if visible, err := book.GetSheetVisible(name); err == nil && visible {
			r.visible = append(r.visible, name)
		}
	}
	if r.sheet, err = chooseSheet(book, wanted); err != nil {
		return err
	}
	file, err := spool(func(w io.Writer) error { return writeSheet(w, book, r.sheet) })
	if err != nil {
		return err
	}
	return r.setText(file)
}

// chooseSheet returns the name of the sheet that was asked for, else of the first that is visible.
func chooseSheet(book *excelize.File, wanted string) (string, error) {
	sheets := book.GetSheetList()
	for _, name := range sheets {
		if wanted != "" && sameName(name, wanted) {
			return name, nil
		}
	}
	if wanted != "" {
		if n, err := strconv.Atoi(wanted); err == nil && n >= 1 && n <= len(sheets) {
			return sheets[n-1], nil
		}
		return "", &NoSheetError{Wanted: wanted, Sheets: sheets}
	}
	for _, name := range sheets {
		if visible, err := book.GetSheetVisible(name); err == nil && visible {
			return name, nil
		}
	}
	return "", errors.New("the workbook has no sheet that is visible")
}

// NoSheetError is returned when a workbook lacks the sheet that was asked for.
type NoSheetError struct {
	Wanted string
	Sheets []string
}

func (e *NoSheetError) Error() string {
	return fmt.Sprintf("there is no sheet %q; the sheets are %s", e.Wanted, strings.Join(e.Sheets, ", "))
}

func writeSheet(w io.Writer, book *excelize.File, sheet string) error {
	rows, err := book.Rows(sheet)
	if err != nil {
		return fmt.Errorf("sheet %q: %w", sheet, err)
	}
	out := csv.NewWriter(w)
	for rows.Next() {
		cells, err := rows.Columns()
		if err != nil {
			return errors.Join(fmt.Errorf("sheet %q: %w", sheet, err), rows.Close())
		}
		if len(cells) == 0 || len(cells) == 1 && cells[0] == "" {
			out.Flush()
			if _, err := io.WriteString(w, "\n"); err != nil {
				return errors.Join(err, rows.Close())
			}
			continue
		}
		if err := out.Write(cells); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	out.Flush()
	return errors.Join(rows.Error(), rows.Close(), out.Error())
}

// setText puts a file that was made of the list in the place of its text.
func (r *Reader) setText(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	r.text = &source{file: file, info: info, seed: r.source.seed}
	return nil
}
