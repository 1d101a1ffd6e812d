package job

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"presend/internal/atomicfile"
)

// manifest is what --split wrote into a folder, which alone it may replace: the SHA-256 sums of each file's content by
// its name. A file has two while it is replaced, so that a run that is killed leaves one that is known.
type manifest map[string][]string

// manifestName is the manifest's file, which sha256sum -c can read.
const manifestName = ".verify-split"

func readManifest(folder string) (manifest, error) {
	text, err := os.ReadFile(filepath.Join(folder, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the folder for the parts: %w", err)
	}
	m := manifest{}
	for line := range strings.Lines(string(text)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			m[name] = append(m[name], sum)
		}
	}
	return m, nil
}

func (m manifest) write(folder string) error {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for _, sum := range m[name] {
			fmt.Fprintf(&text, "%s  %s\n", sum, name)
		}
	}
	file, err := atomicfile.Create(filepath.Join(folder, manifestName))
	if err != nil {
		return err
	}
	if _, err := file.Write(text.Bytes()); err != nil {
		return errors.Join(err, file.Abort())
	}
	return file.Commit()
}

// with returns the manifest with other sums of some files, in place of theirs or next to them.
func (m manifest) with(sums map[string]string, keep bool) manifest {
	after := maps.Clone(m)
	for name, sum := range sums {
		if keep {
			after[name] = append(slices.Clone(m[name]), sum)
		} else {
			after[name] = []string{sum}
		}
	}
	return after
}

// checkSplit refuses a folder in which --split would replace what it did not write.
func (o Options) checkSplit() error {
	if o.Split == "" {
		return nil
	}
	m, err := readManifest(o.Split)
	if err != nil {
		return err
	}
	for _, path := range append(slices.Collect(maps.Values(o.split())), o.suppress()) {
		if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		sum, err := sumOf(path)
		if err != nil {
			return fmt.Errorf("the folder for the parts: %w", err)
		}
		if !slices.Contains(m[filepath.Base(path)], sum) {
			return &OptionsError{fmt.Sprintf("--split would replace %s, which it did not write or which was changed since; "+
				"move it, or give another folder", path)}
		}
	}
	return nil
}

func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close() // read only
	sum := sha256.New()
	if _, err := io.Copy(sum, bufio.NewReaderSize(file, 1<<16)); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
