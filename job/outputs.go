package job

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"presend/internal/atomicfile"
	"presend/lists"
	"presend/suppression"
	"presend/verify"
)

// rowWriter is what lists' writers have in common.
type rowWriter interface {
	WriteAll(lists.Row, []lists.Record) error
	Blank(lists.Row) error
	Close() error
}

// sink is one output: a file that appears when it is whole, or standard output.
type sink struct {
	rowWriter
	path string
	file *atomicfile.File // nil: standard output
	sum  hash.Hash        // SHA-256 of what was written
}

func (j *job) sink(path string) (*sink, error) {
	s := &sink{path: path, sum: sha256.New()}
	w := j.Stdout
	if path != "-" {
		file, err := atomicfile.Create(path)
		if err != nil {
			return nil, err
		}
		s.file, w = file, io.MultiWriter(file, s.sum)
	}
	var err error
	if s.rowWriter, err = j.rowWriter(w); err != nil {
		return nil, errors.Join(err, s.abort())
	}
	return s, nil
}

func (j *job) rowWriter(w io.Writer) (rowWriter, error) {
	if j.Format == JSONLines {
		return lists.NewJSONWriter(w, j.reader)
	}
	if j.Format == Workbook && j.reader.Understood().Format == lists.Workbook {
		return lists.NewWorkbookWriter(w, j.reader)
	}
	if j.Format == Workbook {
		return lists.NewSheetWriter(w, j.reader)
	}
	return lists.NewWriter(w, j.reader)
}

func (s *sink) abort() error {
	if s.rowWriter != nil {
		_ = s.Close() // it is thrown away; why is said elsewhere
	}
	if s.file == nil {
		return nil
	}
	return s.file.Abort()
}

// finish does everything that may fail because the disk is full. The file does not appear before commit.
func (s *sink) finish() error {
	if err := s.Close(); err != nil || s.file == nil {
		return err
	}
	return s.file.Finish()
}

func (s *sink) commit() error {
	if s.file == nil {
		return nil
	}
	return s.file.Commit()
}

// outputs are the files of a job.
type outputs struct {
	rows     map[verify.Verdict]*sink // by the verdict they take; "" takes every row
	suppress *suppressFile            // nil: none
	changes  *changesFile             // nil: none
	folder   string                   // of the parts; empty: none
}

func (j *job) outputs() (outputs, error) {
	paths := j.split()
	paths[""] = j.Output
	out := outputs{rows: map[verify.Verdict]*sink{}, folder: j.Split}
	if j.Split != "" {
		if err := os.MkdirAll(j.Split, 0o755); err != nil {
			return outputs{}, fmt.Errorf("the folder for the parts: %w", err)
		}
	}
	for verdict, path := range paths {
		s, err := j.sink(path)
		if err != nil {
			return out, errors.Join(err, out.abort())
		}
		out.rows[verdict] = s
	}
	if j.Changes != "" {
		var err error
		if out.changes, err = newChangesFile(j.Changes, j.reader); err != nil {
			return out, errors.Join(err, out.abort())
		}
	}
	if j.Split != "" && !j.watcher.troubled() {
		var err error
		if out.suppress, err = newSuppressFile(j.suppress()); err != nil {
			return out, errors.Join(err, out.abort())
		}
	}
	return out, nil
}

func (o outputs) abort() (err error) {
	for _, s := range o.rows {
		err = errors.Join(err, s.abort())
	}
	if o.suppress != nil {
		err = errors.Join(err, o.suppress.file.Abort())
	}
	if o.changes != nil {
		err = errors.Join(err, o.changes.file.Abort())
	}
	return err
}

// commit lets the files appear: together, or none of them.
func (o outputs) commit() error {
	for _, s := range o.rows {
		if err := s.finish(); err != nil {
			return err
		}
	}
	if o.suppress != nil {
		if err := o.suppress.finish(); err != nil {
			return err
		}
	}
	if o.changes != nil {
		if err := o.changes.finish(); err != nil {
			return err
		}
	}
	if o.folder == "" {
		return o.appear()
	}
	before, err := readManifest(o.folder)
	if err != nil {
		return err
	}
	if err := before.with(o.sums(), true).write(o.folder); err != nil {
		return err
	}
	if err := o.appear(); err != nil {
		return err
	}
	return before.with(o.sums(), false).write(o.folder)
}

// sums returns the SHA-256 sums of the parts by their names.
func (o outputs) sums() map[string]string {
	sums := map[string]string{}
	for v, s := range o.rows {
		if v != "" {
			sums[filepath.Base(s.path)] = hex.EncodeToString(s.sum.Sum(nil))
		}
	}
	if o.suppress != nil {
		sums[suppressName] = hex.EncodeToString(o.suppress.sum.Sum(nil))
	}
	return sums
}

// appear lets all files appear, once they are finished.
func (o outputs) appear() error {
	for _, s := range o.rows {
		if err := s.commit(); err != nil {
			return err
		}
	}
	if o.changes != nil {
		if err := o.changes.file.Commit(); err != nil {
			return err
		}
	}
	if o.suppress == nil {
		return nil
	}
	return o.suppress.file.Commit()
}

// suppressFile is suppress.csv: the addresses that must never be written to again.
type suppressFile struct {
	file *atomicfile.File
	sum  hash.Hash
	w    *suppression.Writer
}

func newSuppressFile(path string) (*suppressFile, error) {
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	w, err := suppression.NewWriter(io.MultiWriter(file, sum), suppression.CSV)
	if err != nil {
		return nil, errors.Join(err, file.Abort())
	}
	return &suppressFile{file, sum, w}, nil
}

// add writes an address whose reason says that it belongs on a suppression list. A nil file takes none.
func (s *suppressFile) add(r rowResult) error {
	if s == nil || r.duplicate || !r.mayBeSuppressed() {
		return nil
	}
	return s.w.Write(suppression.Entry{Name: r.Normalized, Reason: string(r.Reason), At: r.CheckedAt})
}

func (s *suppressFile) finish() error {
	if err := s.w.Close(); err != nil {
		return err
	}
	return s.file.Finish()
}
