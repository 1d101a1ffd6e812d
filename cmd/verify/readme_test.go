package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/internal/lab"
)

var update = flag.Bool("update", false, "write what the program prints into the golden files")

// volatile is what differs from run to run in what people see.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:5353"},
	{regexp.MustCompile(`--smtp-port \d+`), "--smtp-port 2525"},
	{regexp.MustCompile(`\S*/contacts`), "contacts"},
}

func TestREADMEShowsWhatTheProgramPrints(t *testing.T) {
	const readme = "../../README.md"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, toLab := startLab(t, lab.Demo)
	got := string(text)
	for name, args := range map[string][]string{
		"demo":  {"demo", "--dir", t.TempDir()},
		"check": append([]string{"check", "peter.gone@northwind.lab"}, toLab...),
	} {
		var printed bytes.Buffer
		run(args, strings.NewReader(""), &printed, &printed)
		out := printed.String()
		for _, v := range volatile {
			out = v.pattern.ReplaceAllString(out, v.instead)
		}
		block := regexp.MustCompile(`(?s)<!-- ` + name + " -->\n.*?\n<!-- end -->")
		if !block.MatchString(got) {
			t.Fatalf("the README has no block %s", name)
		}
		want := "<!-- " + name + " -->\n```\n$ verify " + strings.Join(args[:min(len(args), map[string]int{"demo": 1, "check": 2}[name])], " ") + "\n" + strings.TrimRight(out, "\n") + "\n```\n<!-- end -->"
		got = block.ReplaceAllLiteralString(got, want)
	}
	if *update {
		if err := os.WriteFile(readme, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("the README is behind (-README +program); go test ./cmd/verify -run README -update mends it:\n%s", diff)
	}
}
