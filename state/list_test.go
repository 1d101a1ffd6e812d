package state_test

import (
	"testing"

	"presend/state"
)

func TestAListIsKnownByItsNameWithoutDigits(t *testing.T) {
	for path, want := range map[string]string{
		"export.csv":                       "export",
		"/data/export-2026-11-24.csv":      "export",
		"export_20261124_023000.csv.gz":    "export",
		"2026-11-24 crm.leads (2).xlsx":    "crm-leads",
		"crm.customers.csv":                "crm-customers",
		"20261124.csv":                     "list",
		"contacts":                         "contacts",
		"/var/lib/verify/Mailing List.csv": "Mailing-List",
	} {
		if got := state.ListName(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
}
