package smtpprobe

import "testing"

func TestTheLimitsOfEHLOAreReadOrIgnoredAsAWhole(t *testing.T) {
	for text, want := range map[string]ServerLimits{
		" MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1": {Transactions: 5, Recipients: 20, Domains: 1},
		" rcptmax=2":                            {Recipients: 2},
		" RCPTMAX=999999":                       {Recipients: 999999},
		" RCPTMAX=3 X-OTHER=a,b NEW":            {Recipients: 3},
		"":                                      {},
		" RCPTMAX=3 MAILMAX=":                   {},
		" RCPTMAX=3 MAILMAX":                    {},
		" RCPTMAX=3 MAILMAX=0":                  {},
		" RCPTMAX=03":                           {},
		" RCPTMAX=1000000":                      {},
		" RCPTMAX=-1":                           {},
		" RCPTMAX=3 X-OTHER=a;b":                {},
		" RCPTMAX=3 =4":                         {},
		" RCPTMAX=3 ;":                          {},
	} {
		if got := serverLimits(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func FuzzServerLimits(f *testing.F) {
	f.Add(" MAILMAX=5 RCPTMAX=20")
	f.Fuzz(func(t *testing.T, text string) {
		if l := serverLimits(text); min(l.Transactions, l.Recipients, l.Domains) < 0 {
			t.Errorf("%+v", l)
		}
	})
}
