package lists

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Lines returns the rows and what is among and below them and is no row, for a copy that leaves nothing out. A list
// that was changed in the meantime ends them with ErrChanged.
func (r *Reader) Lines() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := r.lines(yield); err != nil {
			yield(Row{}, fmt.Errorf("list %s: %w", r.name, err))
		}
	}
}

// lines is one reading of a list.
func (r *Reader) lines(yield func(Row, error) bool) error {
	raw, done, err := r.text.read()
	if err != nil {
		return err
	}
	p := passage{
		reader: r, scan: newScanner(r.decode(raw), r.dialect), sorter: r.sorter, exact: r.isExact(),
		width: len(r.columns), yield: yield,
	}
	for range r.skip {
		p.scan.next()
	}
	row := Row{reader: r}
	for row.record = int64(r.skip); p.scan.next(); row.record++ {
		row.Line, row.Raw, row.End = r.lineOf(p.scan.line, row.record), p.scan.raw, p.scan.end
		if !p.take(&row, p.scan.fields) {
			return nil
		}
	}
	if p.scan.err != nil {
		return fmt.Errorf("row %d, %w", p.n+1, errors.Join(p.scan.err, r.text.sameSize()))
	}
	if !p.release(isAside) {
		return nil
	}
	if err := errors.Join(done(), r.source.sameSize()); err != nil {
		return err
	}
	r.width = p.width
	return nil
}

// passage is where one reading of a list has got to.
type passage struct {
	reader *Reader
	scan   *scanner
	sorter sorter
	exact  bool  // every record is a row
	n      int64 // rows
	width  int   // most fields of a row
	held   []heldRecord
	yield  func(Row, error) bool
}

// heldRecord is one that is a footer, unless a row follows.
type heldRecord struct {
	row    Row
	fields int
	kind   kind
}

// maxHeld is how many records may be a footer. More of them are rows.
const maxHeld = 64

// take passes a record on, or holds it back until it is known what it is; false: no more is wanted.
func (p *passage) take(row *Row, fields int) bool {
	kind := isRow
	if !p.exact {
		kind = p.sorter.sort(row.Raw, fields)
	} else if fields == 0 {
		kind = isAside
	}
	if kind == maybe || kind == isAside && len(p.held) > 0 {
		held := *row
		held.Raw, held.End = bytes.Clone(row.Raw), bytes.Clone(row.End)
		p.held = append(p.held, heldRecord{held, fields, kind})
		return len(p.held) <= maxHeld || p.release(isRow)
	}
	if kind == isRow && len(p.held) > 0 && !p.release(maybe) {
		return false
	}
	return p.pass(row, fields, kind)
}

// release passes on what was held back: as rows, as what is no row, or where a row followed as each of them looks.
func (p *passage) release(as kind) bool {
	held := p.held
	p.held = nil
	for _, h := range held {
		switch {
		case h.kind == isAside:
		case as == maybe:
			h.kind = resolved(h.row.Raw)
		default:
			h.kind = as
		}
		if !p.pass(&h.row, h.fields, h.kind) {
			return false
		}
	}
	return true
}

func (p *passage) pass(row *Row, fields int, kind kind) bool {
	row.N, row.Address = 0, ""
	if row.Blank = kind != isRow; !row.Blank {
		p.n++
		row.N = p.n
		cell, _ := p.scan.at(row.Raw, p.reader.chosen[0])
		row.Address = p.reader.dialect.text(cell)
		p.width = max(p.width, fields)
	}
	return p.yield(*row, nil)
}

// isExact reports whether every record below the header is a row, as in a table that was made of another format.
func (r *Reader) isExact() bool { return !slices.Contains([]Format{CSV, Text, Workbook}, r.format) }

// measure reads the list once to learn the most fields that a row has, unless that is known.
func (r *Reader) measure() error {
	if r.width > 0 {
		return nil
	}
	for _, err := range r.Lines() {
		if err != nil {
			return err
		}
	}
	return nil
}
