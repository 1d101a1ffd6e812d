package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/doctor"
)

// clinic is an internet with all that doctor asks about: the large providers, blocklists, and a machine at 127.0.0.1
// with faults of its own. Its resolver does not validate DNSSEC.
const clinic = `
host   gmail-smtp-in.l.google.com
host   outlook-com.olc.protection.outlook.com
host   mta5.am0.yahoodns.net                  banner554
host   mx01.mail.icloud.com
host   mx00.gmx.net                           dead
domain gmail.com mx=gmail-smtp-in.l.google.com

host   mail.corp.lab 127.0.0.1
domain corp.lab mx=mail.corp.lab
record corp.lab. TXT "v=spf1 ip4:127.0.0.9 ~all"
record 1.0.0.127.in-addr.arpa. PTR mail.corp.lab.

record 2.0.0.127.zen.spamhaus.org.      A 127.0.0.2
record 2.0.0.127.bl.spamcop.net.        A 127.0.0.2
record 2.0.0.127.b.barracudacentral.org. A 127.255.255.254
record 2.0.0.127.psbl.surriel.com.      A 127.0.0.2
`

// doctorOf runs doctor in a world and returns its exit code and what it printed.
func doctorOf(t *testing.T, declaration string, more ...string) (code int, stdout, stderr string) {
	t.Helper()
	_, toLab := startLab(t, declaration)
	args := append(append([]string{"doctor"}, toLab...), "--source-ip", "127.0.0.1", "--sessions", "20")
	var out, said bytes.Buffer
	code = run(append(args, more...), strings.NewReader(""), &out, &said)
	return code, out.String(), said.String()
}

func TestDoctorShowsWhatItFinds(t *testing.T) {
	code, out, said := doctorOf(t, clinic, "--helo", "mail.corp.lab", "--from", "news@corp.lab")
	for _, v := range []struct {
		pattern *regexp.Regexp
		instead string
	}{
		{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:5353"},
		{regexp.MustCompile(`port \d+ `), "port 2525 "},
		{regexp.MustCompile(`(127\.77\.\d+\.\d+):\d+`), "$1:2525"},
		{regexp.MustCompile(`\d+ files may be open`), "1024 files may be open"},
	} {
		out = v.pattern.ReplaceAllString(out, v.instead)
	}
	if code != 0 {
		t.Errorf("exit %d, and warnings make 0", code)
	}
	out += said
	path := filepath.Join("testdata", "doctor", "lab.txt")
	if *update {
		if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	if shown := "--from news@corp.lab\n" + string(want) + "```\n"; !strings.Contains(string(page), shown) {
		t.Error("docs/doctor.md does not show what is in the golden file")
	}
	if diff := cmp.Diff(string(want), out); diff != "" {
		t.Errorf("-want +got; go test ./cmd/verify -run Doctor -update writes it:\n%s", diff)
	}
}

func TestDoctorEndsWithTheWorstFinding(t *testing.T) {
	healthy := strings.NewReplacer("banner554", "", " dead", "", "A 127.255.255.254", "A 127.0.0.2", "ip4:127.0.0.9 ~all",
		"a:mail.corp.lab -all").Replace(clinic)
	for name, test := range map[string]struct {
		world string
		more  []string
		code  int
	}{
		"only a warning about DNSSEC and DMARC": {healthy, []string{"--helo", "mail.corp.lab", "--from", "news@corp.lab"}, 0},
		"the null sender is a warning":          {healthy, []string{"--helo", "mail.corp.lab", "--from", "<>"}, 0},
		"a listed address": {strings.Replace(healthy,
			"record 2.0.0.127.zen.spamhaus.org.      A 127.0.0.2", "", 1), []string{"--helo", "mail.corp.lab"}, 1},
		"a name that is none":           {healthy, []string{"--helo", "laptop", "--from", "news@corp.lab"}, 1},
		"a resolver that knows nothing": {"host mx.lab", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, said := doctorOf(t, test.world, test.more...)
			if code != test.code {
				t.Errorf("exit %d, want %d: %s%s", code, test.code, out, said)
			}
		})
	}
}

func TestDoctorAsJSONHasAnObjectALine(t *testing.T) {
	code, out, said := doctorOf(t, clinic, "--helo", "laptop", "--json", "-q")
	if code != exitFailed || said != "" {
		t.Errorf("exit %d: %s", code, said)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var f doctor.Finding
		if err := decoder.Decode(&f); err != nil || f.Found == "" || f.Level == "" {
			t.Errorf("%v: %s", err, line)
		}
		seen[f.Check] = true
	}
	for _, check := range doctor.Checks() {
		if !seen[check] && check != "proxy" {
			t.Errorf("no line about %s", check)
		}
	}
}

func TestDoctorIsStoppedByAnInterrupt(t *testing.T) {
	_, toLab := startLab(t, clinic)
	stop := make(chan struct{})
	close(stop)
	var out, said bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &said, stop: stop}
	if code := a.run(t.Context(), append([]string{"doctor"}, toLab...)); code != exitInterrupted {
		t.Errorf("exit %d: %s%s", code, out.String(), said.String())
	}
}
