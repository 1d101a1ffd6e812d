package job_test

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"presend/job"
	"presend/state"
)

func TestAnAddressThatWasNotAskedSinceDNSLiesIsADuplicateAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab")
		o.lies.Store(true)
		s, err := o.run(nil, "ann@corp.lab", "ann@corp.lab")
		if err == nil || s.Duplicates != 1 {
			t.Errorf("%d duplicates, %v; want one, and the trouble with DNS", s.Duplicates, err)
		}
	})
}

func TestWhatIsKeptForEverSurvivesAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab")
		for range 3 {
			if _, err := o.run(func(options *job.Options) { options.Keep = 0 }, "ann@corp.lab"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour) // the month stays the same
		}
		file, err := state.Open(t.Context(), o.path("state.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		n := 0
		for range file.Runs(t.Context()) {
			n++
		}
		if n != 3 {
			t.Errorf("%d runs, want all three", n)
		}
	})
}

// wakeful notes when a job waited until.
type wakeful struct {
	quiet
	mu    sync.Mutex
	times []time.Time
}

func (w *wakeful) WaitingUntil(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = append(w.times, at)
}

func TestAJobThatWaitsWakesAtMostOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var declaration strings.Builder
		var addresses []string
		for _, domain := range strings.Fields("a b c d e f g h") { // greylisted until different seconds
			declaration.WriteString("host mx." + domain + ".lab greylist=5m latency=" +
				map[bool]string{true: "1s", false: "3s"}[domain < "e"] +
				"\ndomain " + domain + ".lab mx=mx." + domain + ".lab\nmailbox ann@" + domain + ".lab\n")
			addresses = append(addresses, "ann@"+domain+".lab")
		}
		o := newOffice(t, declaration.String())
		if err := os.WriteFile(o.path("list.csv"), []byte("email\n"+strings.Join(addresses, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		v, w := o.verifier(), &wakeful{}
		begun := time.Now()
		s, err := job.Run(t.Context(), v, job.Options{
			Input: o.path("list.csv"), Output: o.path("out.csv"), Format: job.CSV, State: o.path("state.db"), Probing: true,
			Wait: time.Hour,
		}, w, nil)
		if err != nil || s.Verdicts["deliverable"] != len(addresses) {
			t.Fatalf("%v, %v", s.Verdicts, err)
		}
		if err := v.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if len(w.times) == 0 || len(w.times) > 4 {
			t.Errorf("it waited until %v, begun at %v", w.times, begun)
		}
		for i, at := range w.times[1:] {
			if at.Sub(w.times[i]) < time.Minute {
				t.Errorf("it wakes at %v", w.times)
			}
		}
		if !slices.IsSortedFunc(w.times, time.Time.Compare) {
			t.Errorf("%v", w.times)
		}
	})
}
