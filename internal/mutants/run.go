package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// outcome is what became of a mutant.
type outcome string

const (
	killed    outcome = "killed"       // a test failed
	timedOut  outcome = "timed out"    // the tests did not end in time, which counts as killed
	survived  outcome = "SURVIVED"     // no test noticed
	notViable outcome = "not compiled" // it is no Go program, and another one is drawn
)

// pkg is a package with tests.
type pkg struct {
	ImportPath, Dir                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
}

// packagesOf returns the packages that the patterns name, those without tests apart.
func packagesOf(ctx context.Context, directory string, patterns []string) (tested []pkg, untested []string, err error) {
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-json"}, patterns...)...)
	list.Dir, list.Stderr = directory, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list: %w", err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p pkg
		if err := decoder.Decode(&p); err != nil {
			return nil, nil, fmt.Errorf("go list: %w", err)
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			untested = append(untested, p.ImportPath)
			continue
		}
		tested = append(tested, p)
	}
	return tested, untested, nil
}

// tester runs the tests of packages with a file of theirs replaced.
type tester struct {
	directory string // of the module
	scratch   string // for mutants and test binaries
}

// test compiles the tests of a package and runs them within a limit. A text that is not nil takes the place of the
// file.
func (t tester) test(
	ctx context.Context, p pkg, number int, file string, text []byte, limit time.Duration,
) (outcome, []byte, error) {
	base := filepath.Join(t.scratch, fmt.Sprint(number))
	binary, overlay := base+".test", base+".json"
	args := []string{"test", "-c", "-o", binary}
	if text != nil {
		replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{file: base + ".go"}})
		if err != nil {
			return "", nil, err
		}
		if err := errors.Join(os.WriteFile(base+".go", text, 0o600), os.WriteFile(overlay, replaced, 0o600)); err != nil {
			return "", nil, err
		}
		args = append(args, "-overlay", overlay)
	}
	compile := exec.CommandContext(ctx, "go", append(args, p.ImportPath)...)
	compile.Dir = t.directory
	if out, err := compile.CombinedOutput(); err != nil {
		return notViable, out, ctx.Err()
	}
	defer os.Remove(binary) // the scratch directory goes in the end
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run := exec.CommandContext(limited, binary, "-test.failfast", "-test.count=1")
	run.Dir, run.WaitDelay = p.Dir, 5*time.Second
	out, err := run.CombinedOutput()
	switch {
	case err == nil:
		return survived, nil, nil
	case ctx.Err() != nil:
		return "", nil, ctx.Err()
	case limited.Err() != nil:
		return timedOut, nil, nil
	}
	return killed, out, nil
}
