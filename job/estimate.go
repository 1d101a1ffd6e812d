package job

import (
	"context"

	"presend/lists"
	"presend/report"
	"presend/state"
	"presend/verify"
	"presend/verify/mx"
)

// estimate tells the observer how long the run takes at least. Providers are those that the state remembers or that the
// name of the domain tells, since DNS was not asked yet: there may be more.
func (j *job) estimate(ctx context.Context, run *state.Run) error {
	if !j.Probing {
		return nil
	}
	e := newEstimate(j.verifier, j.Quick)
	err := run.Ahead(ctx, func(d verify.Domain, remembered string) {
		provider, known := mx.Named(remembered)
		if !known {
			provider, _ = mx.Guess(d.Name)
		}
		e.Add(provider, d.Pending)
	})
	if err == nil {
		j.observer.Estimated(e)
	}
	return err
}

func newEstimate(verifier *verify.Verifier, quick bool) *report.Estimate {
	pace, sources := verifier.Pace()
	sample := 0
	if quick {
		sample = verify.QuickSample
	}
	return report.NewEstimate(pace, sources, sample)
}

// Estimate tells how long it takes at least to ask about a whole list of which nothing is known. Of the options, those
// count that say where the addresses are. It asks DNS who takes the mail of each domain, and no mail host.
func Estimate(ctx context.Context, verifier *verify.Verifier, o Options) (e *report.Estimate, err error) {
	reader, err := lists.Open(o.Input, lists.Options{
		Columns: o.Columns, AllColumns: o.AllColumns, Sheet: o.Sheet, Stdin: o.Stdin,
	})
	if err != nil {
		return nil, err
	}
	defer reader.Close() // read only
	j := &job{Options: o, verifier: verifier, reader: reader}
	survey, err := verifier.Survey(ctx, j.domains())
	if err != nil {
		return nil, err
	}
	counts, had := map[string]int{}, newSeen()
	for row, err := range reader.Rows() {
		if err != nil {
			return nil, err
		}
		for _, text := range addressesOf(row) {
			a := toAsk(verifier, text)
			if a == nil {
				continue
			}
			if same, _ := had.before(a.String()); !same {
				counts[a.Domain]++
			}
		}
	}
	e = newEstimate(verifier, o.Quick)
	for domain, n := range counts {
		provider, takesMail := survey.Provider(domain)
		if guessed, known := mx.Guess(domain); provider.Name == "" && known && !takesMail {
			provider, takesMail = guessed, true // DNS gave no answer
		}
		if takesMail {
			e.Add(provider, n)
		}
	}
	return e, nil
}
