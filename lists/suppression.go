package lists

import (
	"fmt"
	"io"

	"github.com/gocarina/gocsv"
)

// SuppressedRecord is a row of a file of addresses that must not be written to.
type SuppressedRecord struct {
	Email  string `csv:"email"`
	Reason string `csv:"reason"`
}

// SuppressionWriter writes such a file, as mail services import it.
type SuppressionWriter struct {
	w       io.Writer
	records []SuppressedRecord
	begun   bool
}

// NewSuppressionWriter returns a SuppressionWriter. Close it; that does not close w.
func NewSuppressionWriter(w io.Writer) *SuppressionWriter { return &SuppressionWriter{w: w} }

// Write adds a record.
func (w *SuppressionWriter) Write(record SuppressedRecord) error {
	w.records = append(w.records, record)
	if len(w.records) < writeBatch {
		return nil
	}
	return w.flush()
}

// Close writes what is left.
func (w *SuppressionWriter) Close() error { return w.flush() }

func (w *SuppressionWriter) flush() error {
	marshal := gocsv.MarshalWithoutHeaders
	if !w.begun {
		marshal = gocsv.Marshal
		w.begun = true
	}
	if err := marshal(w.records, w.w); err != nil {
		return fmt.Errorf("lists: writing suppressed addresses: %w", err)
	}
	w.records = w.records[:0]
	return nil
}
