package lists

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"os"
)

// source is the file of a list: the bytes as they are on disk, unpacked where they are gzipped.
type source struct {
	file    *os.File
	info    os.FileInfo
	gzipped bool
	seed    maphash.Seed
	sum     uint64 // of the bytes, once they were read to the end
	summed  bool
}

// openSource opens a file; path "-" is stdin, of which a copy is kept that can be read twice.
func openSource(path string, stdin io.Reader) (*source, error) {
	var err error
	s := &source{seed: maphash.MakeSeed()}
	if path == "-" {
		if stdin == nil {
			return nil, errors.New("there is no standard input")
		}
		s.file, err = spool(func(w io.Writer) error { return copyAll(w, stdin) })
	} else if s.file, err = os.Open(path); err != nil {
		var problem *os.PathError
		if errors.As(err, &problem) {
			return nil, problem.Err
		}
	}
	if err != nil {
		return nil, err
	}
	if s.info, err = s.file.Stat(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	if s.info.IsDir() {
		return nil, errors.Join(errors.New("it is a folder, not a file"), s.file.Close())
	}
	if !s.info.Mode().IsRegular() {
		if err := s.keepPipe(); err != nil {
			return nil, err
		}
	}
	magic := make([]byte, 2)
	if n, err := s.file.ReadAt(magic, 0); err != nil && err != io.EOF {
		return nil, errors.Join(err, s.file.Close())
	} else if n == 0 {
		return nil, errors.Join(errors.New("the file is empty"), s.file.Close())
	}
	s.gzipped = magic[0] == 0x1f && magic[1] == 0x8b
	return s, nil
}

// keepPipe puts a copy in the place of an input that can be read only once, such as the shell's <(command).
func (s *source) keepPipe() (err error) {
	pipe := s.file
	if s.file, err = spool(func(w io.Writer) error { return copyAll(w, pipe) }); err != nil {
		return errors.Join(err, pipe.Close())
	}
	if s.info, err = s.file.Stat(); err != nil {
		return errors.Join(err, pipe.Close(), s.file.Close())
	}
	return pipe.Close()
}

func copyAll(w io.Writer, r io.Reader) error {
	_, err := io.Copy(w, r)
	return err
}

// spool returns a file without a name that holds what write writes.
func spool(write func(io.Writer) error) (*os.File, error) {
	file, err := os.CreateTemp("", "verify-list-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := bufio.NewWriterSize(file, 1<<16)
	if err := errors.Join(write(w), w.Flush()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// read returns the file's bytes from the start, unpacked. Once they were read to the end, done tells whether they are
// the same as when they were first read so.
func (s *source) read() (r io.Reader, done func() error, err error) {
	if err := s.sameSize(); err != nil {
		return nil, nil, err
	}
	sum := &maphash.Hash{}
	sum.SetSeed(s.seed)
	raw := io.TeeReader(io.NewSectionReader(s.file, 0, s.info.Size()), sum)
	done = func() error { return s.compare(raw, sum) }
	if !s.gzipped {
		return raw, done, nil
	}
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(raw, 1<<16))
	if err != nil {
		return nil, nil, fmt.Errorf("gzip: %w", err)
	}
	return unpacked, done, nil
}

func (s *source) compare(raw io.Reader, sum hash.Hash64) error {
	if err := copyAll(io.Discard, raw); err != nil { // what a buffer did not ask for
		return err
	}
	if err := s.sameSize(); err != nil {
		return err
	}
	if s.summed && s.sum != sum.Sum64() {
		return ErrChanged
	}
	s.sum, s.summed = sum.Sum64(), true
	return nil
}

func (s *source) sameSize() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != s.info.Size() {
		return ErrChanged
	}
	return nil
}

func (s *source) close() error { return s.file.Close() }
