package main

import "github.com/spf13/cobra"

// examples are what the help of each command shows, by the words that call it.
var examples = map[string]string{
	"verify list": `  verify list contacts.csv                                  writes contacts.verified.csv
  verify list contacts.csv --split parts --fail-over 2%     a file for each verdict; exit 6 if too much would bounce
  verify list contacts.csv --quick --industry               a first look, with the averages of some industries
  verify list export.csv --state crm.db -o checked.csv -q   every night: only what is new or has to be asked again`,
	"verify check": `  verify check alice@example.com
  verify check alice@example.com bob@example.org --json
  verify check alice@example.com --json -vv                 with the SMTP dialogue
  verify check alice@example.com --no-smtp                  syntax and DNS only`,
	"verify explain": `  verify explain '550 5.1.1 User unknown'
  verify explain 4.7.1
  verify explain bounce.eml
  grep status=bounced mail.log | verify explain --json -`,
	"verify demo": `  verify demo
  verify demo --dir demo                                    keeps the list, the output and the state`,
	"verify retry": `  verify retry --state crm.db
  verify retry --state crm.db --wait 30m                    waits for what can be asked again soon`,
	"verify suppress": `  verify suppress add alice@example.com --state crm.db
  verify suppress import sendgrid.csv --state crm.db`,
	"verify suppress add": `  verify suppress add alice@example.com @example.org --state crm.db
  verify suppress add alice@example.com --reason unsubscribed --state crm.db`,
	"verify suppress remove": `  verify suppress remove alice@example.com --state crm.db`,
	"verify suppress list":   `  verify suppress list --state crm.db`,
	"verify suppress import": `  verify suppress import bounces.csv unsubscribes.json --state crm.db`,
	"verify suppress export": `  verify suppress export --state crm.db -o suppress.csv`,
	"verify history":         `  verify history alice@example.com --state crm.db`,
	"verify runs": `  verify runs --state crm.db
  verify runs --state crm.db --format json`,
	"verify trend": `  verify trend --state crm.db
  verify trend --state crm.db --format csv`,
	"verify forget": `  verify forget alice@example.com --state crm.db
  verify forget @example.org --suppress-hash --state crm.db`,
	"verify backup": `  verify backup crm.backup.db --state crm.db
  verify backup crm.backup.db --restore --state crm.db`,
	"verify pace": `  verify pace > pace.toml                                   a start for your own table
  verify pace --pace pace.toml                              checks it
  verify pace --estimate contacts.csv                       how long a list takes at least`,
	"verify doctor": `  verify doctor
  verify doctor --helo verify.example.com --from check@example.com
  verify doctor --json`,
	"verify version": `  verify version`,
	"verify man":     `  verify man /usr/local/share/man/man1`,
}

// addExamples gives a command and those below it their examples.
func addExamples(c *cobra.Command) {
	c.Example = examples[c.CommandPath()]
	for _, sub := range c.Commands() {
		addExamples(sub)
	}
}
