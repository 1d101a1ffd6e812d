package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"presend/internal/atomicfile"
)

func Example() {
	folder, err := os.MkdirTemp("", "example-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "out.csv")

	file, err := atomicfile.Create(path)
	if err != nil {
		panic(err)
	}
	if _, err := io.WriteString(file, "email\n"); err != nil {
		panic(errors.Join(err, file.Abort()))
	}
	_, err = os.Stat(path)
	fmt.Println("before Commit:", errors.Is(err, os.ErrNotExist))
	if err := file.Commit(); err != nil {
		panic(err)
	}
	content, err := os.ReadFile(path)
	fmt.Printf("after Commit: %q %v\n", content, err)
	// Output:
	// before Commit: true
	// after Commit: "email\n" <nil>
}

// Files that belong together are finished first and renamed afterwards, so that a full disk leaves all of the old ones.
func ExampleFile_Finish() {
	folder, err := os.MkdirTemp("", "example-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	var files []*atomicfile.File
	defer func() {
		for _, file := range files {
			_ = file.Abort() // after Commit it does nothing
		}
	}()
	for _, name := range []string{"risky.csv", "invalid.csv.gz"} {
		file, err := atomicfile.Create(filepath.Join(folder, name))
		if err != nil {
			panic(err)
		}
		files = append(files, file)
		if _, err := io.WriteString(file, "email\n"); err != nil {
			panic(err)
		}
	}
	for _, file := range files {
		if err := file.Finish(); err != nil {
			panic(err)
		}
	}
	for _, file := range files {
		if err := file.Commit(); err != nil {
			panic(err)
		}
	}
	entries, err := os.ReadDir(folder)
	fmt.Println(len(entries), err)
	// Output: 2 <nil>
}
