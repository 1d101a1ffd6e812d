package bounce

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"presend/verify/reply"
	"presend/verify/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func classifier(t testing.TB) *reply.Classifier {
	t.Helper()
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func describe(m Message, c *reply.Classifier) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", m.Kind, m.Form)
	for _, r := range m.Recipients {
		if m.Kind != Report {
			fmt.Fprintf(&b, "  %s\n", r.Address)
			continue
		}
		meaning := r.Meaning(c)
		fmt.Fprintf(&b, "  %s %s: %s %s, %s\n    %s\n",
			r.Address, r.Action, meaning.Kind, meaning.Reason, meaning.Rule, r.Reply)
		if r.Host != "" || r.Command != "" {
			fmt.Fprintf(&b, "    %s %s\n", r.Host, r.Command)
		}
	}
	return b.String()
}

func TestEveryMessageOfTestdataIsReadAsItsGoldenSays(t *testing.T) {
	c := classifier(t)
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{"header": true}
	var got strings.Builder
	for _, path := range files {
		for s, err := range Each(path) {
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			read[s.Message.Form] = true
			fmt.Fprintf(&got, "%s: %s\n", filepath.Base(path), describe(s.Message, c))
		}
	}
	for _, form := range formsOnce().Form {
		if !read[form.Name] {
			t.Errorf("no message of testdata is read by the form %s", form.Name)
		}
	}
	const golden = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatIsNoMessageIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "a reply": "550 5.1.1 unknown\n", "a log line": "Error: no such user\n\nBody",
		"one field": "Subject: x\n\nbody", "binary": "\x00\x01\x02",
	} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrNoMessage) {
			t.Errorf("%s: %v, want ErrNoMessage", name, err)
		}
	}
}

func TestAnMboxAndAMaildirYieldEveryMessage(t *testing.T) {
	letter, err := os.ReadFile("testdata/letter.eml")
	if err != nil {
		t.Fatal(err)
	}
	exim, err := os.ReadFile("testdata/exim.eml")
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	box := filepath.Join(directory, "inbox")
	text := "From MAILER-DAEMON Tue Nov  3 09:12:44 2026\n" + string(exim) +
		"\nFrom x Tue Nov  3\nno header here\n\nFrom ann@corp.example Tue Nov  3 09:12:45 2026\n" + string(letter)
	maildir := filepath.Join(directory, "Maildir")
	for path, content := range map[string]string{
		box: text, filepath.Join(maildir, "cur", "1:2,S"): string(exim),
		filepath.Join(maildir, "new", "2"): string(letter), filepath.Join(maildir, "tmp", "3"): "half",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{box: "report ErrNoMessage other", maildir: "report other"} {
		var got []string
		for s, err := range Each(path) {
			if errors.Is(err, ErrNoMessage) {
				got = append(got, "ErrNoMessage")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(s.Message.Kind))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for _, err := range Each(t.TempDir()) {
		if err == nil {
			t.Error("an empty directory yields no error")
		}
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	c := classifier(f)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Read(strings.NewReader(text))
		if err != nil && m.Kind != "" {
			t.Errorf("a message together with the error %v", err)
		}
		for _, r := range m.Recipients {
			if m.Kind == Other || m.Kind == AutoReply || m.Kind == Receipt {
				t.Errorf("a recipient of a %s", m.Kind)
			}
			r.Meaning(c)
		}
	})
}

func ExampleRead() {
	f, err := os.Open("testdata/exim.eml")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	m, err := Read(f)
	if err != nil {
		panic(err)
	}
	c, err := reply.New()
	if err != nil {
		panic(err)
	}
	for _, r := range m.Recipients {
		meaning := r.Meaning(c)
		fmt.Println(r.Address, meaning.Kind, meaning.Reason)
	}
	// Output:
	// ann@corp.example hard mailbox_unknown
	// bob@else.example hard mailbox_full
}

func TestAMessageThatArrivedIsAcceptedWhicheverCommandWasAnswered(t *testing.T) {
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []Action{Delivered, Relayed, Expanded} {
		for _, cmd := range []reply.Command{"", reply.MAIL, reply.RCPT, reply.DATA} {
			r := Recipient{Action: action, Command: cmd, Reply: reply.Reply{Code: 250, Lines: []string{"Ok: queued as 4Wx"}}}
			if m := r.Meaning(c); m.Reason != verdict.Accepted || m.Kind != reply.Info || m.Suppresses() {
				t.Errorf("%s, %s: %+v", action, cmd, m)
			}
		}
	}
}
