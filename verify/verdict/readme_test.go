package verdict

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of reasons into the README")

// TestTheTableInTheREADMEIsMadeFromTheFile keeps README's table of verdicts the same as reasons.toml.
func TestTheTableInTheREADMEIsMadeFromTheFile(t *testing.T) {
	const path = "../../README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("<!-- verdicts -->\n| verdict | reason | evidence | score | action |\n|---|---|---|---|---|\n")
	for _, reason := range All() {
		f := reason.Facts()
		verdict, score, action := string(f.Verdict), fmt.Sprint(f.Score), "`"+string(f.Action)+"`"
		if f.Risk > 0 {
			score += fmt.Sprintf(" − %dq", f.Risk)
		}
		if f.Verdict == "" {
			verdict, score, action = "(empty)", "", ""
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s | %s | %s |\n", verdict, reason, f.Evidence, score, action)
	}
	table.WriteString("<!-- end -->")
	block := regexp.MustCompile(`(?s)<!-- verdicts -->\n.*?<!-- end -->`)
	if !block.Match(text) {
		t.Fatal("README.md has no block verdicts")
	}
	want := block.ReplaceAllLiteralString(string(text), table.String())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("README.md is behind; go test ./verify/verdict -run README -update fixes it")
	}
}
