// Command csv measures verify list --no-smtp on a list whose domains DNS answers at once. For comparison it copies the
// same file with encoding/csv.
//
//	go run ./bench/csv -rows 1000000
package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"presend/bench/figures"
	"presend/internal/lab"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the list")
	domains := flag.Int("domains", 1_000, "domains of the addresses")
	json := flag.String("json", "", "write the figures to a file, too")
	flag.Parse()
	if err := measure(context.Background(), *rows, *domains, *json); err != nil {
		log.Fatal("csv: ", err)
	}
}

func measure(ctx context.Context, rows, domains int, json string) (err error) {
	world := lab.NewWorld()
	if err := world.AddHost(lab.Host{Name: "mx.host.lab"}); err != nil {
		return err
	}
	for i := range domains {
		domain := lab.Domain{Name: fmt.Sprintf("company%d.lab", i), MX: []lab.MX{{Preference: 10, Host: "mx.host.lab"}}}
		if err := world.AddDomain(domain); err != nil {
			return err
		}
	}
	l, err := world.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	directory, err := os.MkdirTemp("", "csv-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	list := filepath.Join(directory, "list.csv")
	if err := write(list, rows, domains); err != nil {
		return err
	}
	binary, err := figures.Build(ctx, directory)
	if err != nil {
		return err
	}

	begun := time.Now()
	if err := duplicate(list, filepath.Join(directory, "copy.csv")); err != nil {
		return err
	}
	plain := time.Since(begun)
	begun = time.Now()
	run := exec.CommandContext(ctx, binary, "list", list, "--no-smtp", "-q", "-o", filepath.Join(directory, "out.csv"),
		"--dns", l.DNS(), "--allow-private", "--no-preflight")
	run.Stderr = os.Stderr
	if err := run.Run(); err != nil {
		return fmt.Errorf("verify list: %w", err)
	}
	ours := time.Since(begun)

	table := figures.New("csv")
	table.Add("rows", float64(rows), "")
	table.Add("domains", float64(domains), "")
	table.Add("a copy with encoding/csv", plain.Seconds(), "s")
	table.Add("verify list --no-smtp", ours.Seconds(), "s")
	table.Add("rows a second", float64(rows)/ours.Seconds(), "1/s")
	table.Add("times the copy", ours.Seconds()/plain.Seconds(), "")
	return table.Write(os.Stdout, json)
}

func write(path string, rows, domains int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "id,first name,last name,email,company,city,note") // errors stick to the writer
	for i := range rows {
		fmt.Fprintf(w, "%d,First%d,\"Last, %d\",first%d.last@company%d.lab,Company %d,City %d,"+
			"\"said \"\"yes\"\" on the phone\"\n",
			i, i%5000, i%7000, i, i*7919%domains, i%domains, i%300)
	}
	return errors.Join(w.Flush(), f.Close())
}

// duplicate copies a file record by record, as a program does that uses encoding/csv for everything.
func duplicate(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	r, w := csv.NewReader(in), csv.NewWriter(out)
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
