package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write writes the files of a module and returns its directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func TestEveryKindOfMutantIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want []string // the lines after
	}{
		"a comparison, with the condition and its constant": {
			"if a < 1 {\n}\nreturn nil, nil",
			[]string{"if !(a < 1) {", "if a < 2 {", "if a <= 1 {", "if a >= 1 {"},
		},
		"and, or, plus, times": {
			"_ = a > b && a != b || a+b == a*b\nreturn nil, nil",
			[]string{
				"_ = a > b && a != b && a+b == a*b", "_ = a > b && a != b || a+b != a*b", "_ = a > b && a != b || a+b == a/b",
				"_ = a > b && a != b || a-b == a*b", "_ = a > b && a == b || a+b == a*b", "_ = a <= b && a != b || a+b == a*b",
				"_ = a >= b && a != b || a+b == a*b", "_ = a > b || a != b || a+b == a*b", "",
			},
		},
		"statements of blocks and cases, and none that is the head of one": {
			"switch a = b; {\ncase true:\na++\n}\ndefer f(a, b)\nreturn nil, nil",
			[]string{"case false:", "", ""},
		},
		"the error of a function": {"return f(a, b)", nil},
		"an error by name":        {"err := g()\nreturn nil, err", []string{"return nil, nil"}},
		"not what a function inside returns": {
			"_ = func() int { return a }\nreturn nil, nil", []string{""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(write(t, map[string]string{
				"f.go": "package p\n\nfunc f(a, b int) (any, error) {\n" + test.body + "\n}\n",
			}), "f.go")
			sites, err := sitesOf("p", file)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range sites {
				text, line, before, after := s.mutated()
				lines := strings.Split(string(text), "\n")
				if before == after || strings.TrimSpace(lines[line-1]) != strings.Split(after, "\n")[0] {
					t.Errorf("%s at line %d: %q becomes %q in\n%s", s.kind, line, before, after, text)
				}
				got = append(got, after)
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if difference := cmp.Diff(test.want, got); difference != "" {
				t.Error(difference)
			}
		})
	}
}

// module has three mutants that compile, of which its tests notice two, and two that do not compile, since strings have
// no difference.
var module = map[string]string{
	"go.mod": "module m\n\ngo 1.26\n",
	"m.go": "package m\n\nfunc Less(a, b int) bool { return a < b }\n\nfunc Sum(a, b int) int { return a + b }\n\n" +
		"const word = \"a\" + \"b\" + \"c\"\n",
	"m_test.go": `package m

import "testing"

func TestLess(t *testing.T) {
	if Less(2, 1) || !Less(1, 2) {
		t.Error("wrong")
	}
	if Sum(1, 2) != 3 {
		t.Error("wrong")
	}
}
`,
}

func TestSurvivorsAreToldAndCounted(t *testing.T) {
	directory := write(t, module)
	var out strings.Builder
	o := options{n: 10, jobs: 2, seed: 1, limit: time.Minute, patterns: []string{"./..."}}
	if err := measure(t.Context(), directory, o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"5 of 5 mutants, seed 1", `m\s+3\s+2\s+0\s+1\s+67 %\s+2`, `all\s+3\s+2\s+0\s+1\s+67 %\s+2`,
		`m\.go:3 < becomes <=\n- func Less.* a < b }\n\+ func Less.* a <= b }`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if text, err := os.ReadFile(filepath.Join(directory, "m.go")); err != nil || string(text) != module["m.go"] {
		t.Errorf("the file is changed: %v\n%s", err, text)
	}
}

func TestTheSameSeedDrawsTheSameMutants(t *testing.T) {
	directory := write(t, module)
	drawn := func(seed uint64) string {
		var out strings.Builder
		o := options{n: 1, jobs: 1, seed: seed, limit: time.Minute, patterns: []string{"."}}
		if err := measure(t.Context(), directory, o, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if first, again := drawn(5), drawn(5); first != again {
		t.Errorf("one seed:\n%s\nand again:\n%s", first, again)
	}
}

func TestAMutantThatNeverEndsIsKilledByTheLimit(t *testing.T) {
	directory := write(t, map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"m.go":   "package m\n\nfunc Count() (n int) {\n\tfor n != 9 {\n\t\tn++\n\t}\n\treturn n\n}\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\n" +
			"func Test(t *testing.T) {\n\tif Count() != 9 {\n\t\tt.Error()\n\t}\n}\n",
	})
	var out strings.Builder
	o := options{n: 10, jobs: 1, seed: 1, limit: time.Second, patterns: []string{"."}}
	if err := measure(t.Context(), directory, o, &out); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`timed out\s+m\.go:5 statement dropped`).MatchString(out.String()) {
		t.Errorf("no mutant timed out:\n%s", out.String())
	}
}

func TestPackagesWhoseTestsFailAreRefused(t *testing.T) {
	files := maps.Clone(module)
	files["m_test.go"] = strings.Replace(files["m_test.go"], "!= 3", "!= 4", 1)
	o := options{n: 1, limit: time.Minute, patterns: []string{"."}}
	err := measure(t.Context(), write(t, files), o, new(strings.Builder))
	if err == nil || !strings.Contains(err.Error(), "fail as they are") {
		t.Errorf("error %v, want that the tests fail as they are", err)
	}
}
