package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	{regexp.MustCompile(`\S*bounce/testdata/`), ""},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-11-24T02:30:00Z"},
	{regexp.MustCompile(`time=\S+`), "time=2026-11-24T02:30:00.125Z"},
	{regexp.MustCompile(`took=\S+`), "took=124ms"},
	{regexp.MustCompile(`since \d{4}-\d\d-\d\d`), "since 2026-05-28"},
	{ // what falls due goes by the day and the second of the run
		regexp.MustCompile(`(?m)^day +due\n(\d{4}-\d\d-\d\d +\d+\s*)+`),
		"day         due\n2026-11-24  0\n2026-11-25  1\n2026-11-26  0\n2026-11-27  0\n2026-11-28  0\n2026-11-29  0\n" +
			"2026-11-30  0\n",
	},
	{regexp.MustCompile(`next try ([A-Z].. \d+ [A-Z].. )?\d\d:\d\d`), "next try 14:20"},
}

// shown is a block of a page that shows what the program prints: <!-- name -->, then the command and its output.
type shown struct {
	page, name string
	command    []string // as a reader would type it
	unseen     []string // what the test needs in addition
}

func TestThePagesShowWhatTheProgramPrints(t *testing.T) {
	_, toLab := startLab(t, lab.Demo)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	aNight(t, toLab)
	pages := map[string]string{}
	for _, s := range []shown{
		{"README.md", "demo", []string{"demo"}, []string{"--dir", t.TempDir()}},
		{"README.md", "check", []string{"check", "peter.gone@northwind.lab", "heidi@alpina.lab"}, toLab},
		{"README.md", "verbose", []string{"check", "heidi@alpina.lab", "-v"}, toLab},
		{"README.md", "explain", []string{
			"explain",
			"550 5.7.1 Service unavailable; Client host [192.0.2.44] blocked using zen.spamhaus.org",
		}, nil},
		{"docs/explain.md", "limit", []string{"explain", "452 4.5.3 Error: too many recipients"}, nil},
		{"docs/explain.md", "code", []string{"explain", "5.2.2"}, nil},
		{"docs/explain.md", "json", []string{"explain", "--json", "450 4.2.0 Greylisted, try again in 300 seconds"}, nil},
		{"docs/explain.md", "qmail", []string{"explain", "qmail.eml"}, nil},
		{"docs/explain.md", "vacation", []string{"explain", "vacation.eml"}, nil},
		{"docs/nightly.md", "second", []string{"list", "export.csv", "--state", "crm.db", "-o", "checked.csv"}, toLab},
		{"docs/nightly.md", "import", []string{"suppress", "import", "bounces.csv", "--state", "crm.db"}, nil},
		{"docs/nightly.md", "runs", []string{"runs", "--state", "crm.db"}, nil},
	} {
		if pages[s.page] == "" {
			text, err := os.ReadFile(filepath.Join(root, s.page))
			if err != nil {
				t.Fatal(err)
			}
			pages[s.page] = string(text)
		}
		block := regexp.MustCompile(`(?s)<!-- ` + s.name + " -->\n.*?\n<!-- end -->")
		if !block.MatchString(pages[s.page]) {
			t.Fatalf("%s has no block %s", s.page, s.name)
		}
		pages[s.page] = block.ReplaceAllLiteralString(pages[s.page],
			"<!-- "+s.name+" -->\n```\n"+s.session(root)+"\n```\n<!-- end -->")
	}
	for page, want := range pages {
		path := filepath.Join(root, page)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), want); diff != "" {
			t.Errorf("%s is behind (-page +program); go test ./cmd/verify -run Pages -update fixes it:\n%s", page, diff)
		}
	}
}

// aNight goes into a folder with an export and what a first night left there.
func aNight(t *testing.T, toLab []string) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const first = "email,last activity\nheidi@alpina.lab,2999-11-01\npeter@alpina.lab,2020-01-31\nklara@alpina.lab,\n" +
		"brief@postkasten.lab,\n"
	write("export.csv", first)
	var stdout, stderr bytes.Buffer
	args := []string{"list", "export.csv", "--state", "crm.db", "-o", "checked.csv"}
	if code := run(slices.Concat(args, toLab), strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatal(stderr.String())
	}
	write("export.csv", first+"bob@hollow.lab,\n")
	write("bounces.csv", "email,reason,status,created\npeter@alpina.lab,550 5.1.1 no such user,5.1.1,1793836800\n"+
		"heidi@alpina.lab,550 5.7.1 blocked using Spamhaus,5.7.1,1793836800\n")
}

// session is the command and what it prints, as a terminal would show both.
func (s shown) session(root string) string {
	typed, args := "verify", slices.Concat(s.command, s.unseen)
	for i, word := range s.command {
		if strings.Contains(word, " ") {
			word = "'" + word + "'"
		}
		typed += " " + word
		if strings.HasSuffix(word, ".eml") {
			args[i] = filepath.Join(root, "bounce/testdata", word)
		}
	}
	// On a terminal both come as they are written; here standard error comes first, so that the page does not depend on
	// which of two goroutines was faster.
	var stdout, stderr bytes.Buffer
	run(args, strings.NewReader(""), &stdout, &stderr)
	out := stderr.String() + stdout.String()
	for _, v := range volatile {
		out = v.pattern.ReplaceAllString(out, v.instead)
	}
	return "$ " + typed + "\n" + strings.TrimRight(out, "\n")
}
