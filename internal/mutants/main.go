// Command mutants measures how much of the code the tests notice. It draws places of the code at random, changes one
// of them at a time (a comparison, an operator, a constant, a dropped statement, an error not returned), and runs the
// tests of the package with the changed file. A mutant that no test fails on has survived, and is printed.
//
//	go run ./internal/mutants -n 300 ./verify/... ./state
//
// Files on disk stay as they are. Every mutant that compiles counts, also one that changes nothing a test could see.
// The seed is printed; with the same seed and code the same mutants are drawn.
//
// (gremlins, a tool for the same, takes all mutants of a package or none, and drops neither statements nor errors.)
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	var o options
	flag.IntVar(&o.n, "n", 300, "how many mutants to draw")
	flag.Uint64Var(&o.seed, "seed", 0, "draw those of this seed; 0: a new one")
	flag.IntVar(&o.jobs, "j", 1, "how many to test at a time")
	flag.DurationVar(&o.limit, "limit", time.Minute, "how long the tests of a mutant may take; longer counts as killed")
	flag.Parse()
	o.patterns = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, ".", o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

var errChanged = errors.New("its content differs")

type options struct {
	n, jobs  int
	seed     uint64
	limit    time.Duration
	patterns []string
}

// measure draws mutants of a module and writes what became of them.
func measure(ctx context.Context, module string, o options, out io.Writer) (err error) {
	packages, untested, err := packagesOf(ctx, module, o.patterns)
	if err != nil {
		return err
	}
	for _, name := range untested {
		fmt.Fprintln(out, "left out, it has no tests:", name)
	}
	var sites []site
	byPath := map[string]pkg{}
	for _, p := range packages {
		byPath[p.ImportPath] = p
		for _, file := range p.GoFiles {
			found, err := sitesOf(p.ImportPath, filepath.Join(p.Dir, file))
			if err != nil {
				return err
			}
			sites = append(sites, found...)
		}
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	random.Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
	fmt.Fprintf(out, "%d of %d mutants, seed %d\n", min(o.n, len(sites)), len(sites), o.seed)

	scratch, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	r := &round{
		options: o, tester: tester{module, scratch}, packages: byPath, limits: map[string]time.Duration{}, out: out,
	}
	if err := r.baseline(ctx); err != nil {
		return err
	}
	err = r.all(ctx, sites)
	return errors.Join(err, r.report())
}

// round is the test of many mutants.
type round struct {
	options
	tester   tester
	packages map[string]pkg
	limits   map[string]time.Duration // of the tests of a mutant, by package

	mu    sync.Mutex // guards what follows
	out   io.Writer
	drawn int // of the sites
	done  []result
}

// result is a mutant that compiled, or not, with what became of it.
type result struct {
	site
	outcome
	line          int
	before, after string
}

// baselineLimit is how long the tests of a package may take while nothing is changed.
const baselineLimit = 10 * time.Minute

// baseline makes sure that the tests of each package pass while nothing is changed, and gives a package with slow tests
// a limit of three times their time. It says where tests fail at times, since they may then kill a mutant by accident.
func (r *round) baseline(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		for try := 1; ; try++ {
			begun := time.Now()
			outcome, said, err := r.tester.test(ctx, r.packages[name], 0, "", nil, baselineLimit)
			if err != nil {
				return err
			}
			if outcome == survived {
				took := time.Since(begun)
				r.limits[name] = max(r.limit, 3*took)
				if r.limits[name] > r.limit {
					fmt.Fprintf(r.out, "the tests of %s take %s as they are; their limit is three times that\n",
						name, took.Round(time.Second))
				}
				break
			}
			if try == 3 {
				return fmt.Errorf("the tests of %s fail as they are (%s):\n%s", name, outcome, said)
			}
			fmt.Fprintf(r.out, "the tests of %s fail at times as they are (%s):\n%s\n", name, outcome, said)
		}
	}
	return nil
}

// all tests mutants until as many as were wanted have compiled, or there are no more.
func (r *round) all(ctx context.Context, sites []site) error {
	group, ctx := errgroup.WithContext(ctx)
	for range max(1, r.jobs) {
		group.Go(func() error {
			for {
				number, ok := r.next(len(sites))
				if !ok {
					return nil
				}
				if err := r.one(ctx, number+1, sites[number]); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// next returns which site to test next. Those that do not compile do not count.
func (r *round) next(sites int) (number int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bad := 0
	for _, d := range r.done {
		if d.outcome == notViable {
			bad++
		}
	}
	if r.drawn-bad >= r.n || r.drawn == sites {
		return 0, false
	}
	r.drawn++
	return r.drawn - 1, true
}

func (r *round) one(ctx context.Context, number int, s site) error {
	if now, err := os.ReadFile(s.file); err != nil || !bytes.Equal(now, s.source) {
		return fmt.Errorf("%s was changed since its mutants were drawn: %w", r.short(s.file), cmp.Or(err, errChanged))
	}
	text, line, before, after := s.mutated()
	outcome, _, err := r.tester.test(ctx, r.packages[s.pkg], number, s.file, text, r.limits[s.pkg])
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, result{s, outcome, line, before, after})
	fmt.Fprintf(r.out, "%4d %-12s %s:%d %s\n", number, outcome, r.short(s.file), line, s.kind)
	return nil
}

// short names a file as from the root of the module.
func (r *round) short(file string) string {
	root, err := filepath.Abs(r.tester.directory)
	if err != nil {
		return file
	}
	return strings.TrimPrefix(file, root+string(filepath.Separator))
}

// report writes the score of each package, and each survivor.
func (r *round) report() error {
	slices.SortFunc(r.done, func(a, b result) int {
		return strings.Compare(fmt.Sprintf("%s:%6d", a.file, a.line), fmt.Sprintf("%s:%6d", b.file, b.line))
	})
	counts := map[string]map[outcome]int{}
	names := []string{}
	for _, d := range r.done {
		if counts[d.pkg] == nil {
			counts[d.pkg] = map[outcome]int{}
			names = append(names, d.pkg)
		}
		counts[d.pkg][d.outcome]++
	}
	slices.Sort(names)
	const all = "all"
	counts[all] = map[outcome]int{}
	for _, name := range names {
		for outcome, n := range counts[name] {
			counts[all][outcome] += n
		}
	}
	fmt.Fprintln(r.out)
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "package\tmutants\tkilled\ttimed out\tsurvived\tscore\tnot compiled\t")
	for _, name := range append(names, all) {
		c := counts[name]
		dead := c[killed] + c[timedOut]
		total := dead + c[survived]
		score := "none"
		if total > 0 {
			score = fmt.Sprintf("%.0f %%", 100*float64(dead)/float64(total))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t\n",
			name, total, c[killed], c[timedOut], c[survived], score, c[notViable])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, d := range r.done {
		if d.outcome == survived {
			fmt.Fprintf(r.out, "\n%s:%d %s\n- %s\n+ %s\n", r.short(d.file), d.line, d.kind, d.before, d.after)
		}
	}
	return nil
}
