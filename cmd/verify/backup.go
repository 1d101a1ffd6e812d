package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"presend/report"
	"presend/state"
)

// closing closes a file, and joins what that says to an error.
func closing(err error, file *state.File) error { return errors.Join(err, file.Close()) }

func backupCommand(a *app) *cobra.Command {
	var path string
	var restore bool
	c := &cobra.Command{
		Use:   "backup FILE --state FILE",
		Short: "Back up a state file, or restore a backup",
		Long: `Copy the state file, as it is at this moment, into a new file. This also works while a run is under
way, when a plain copy of the file would be damaged.

With --restore, the copy replaces the state file, which is kept under its name with .before at the end. Entries that
were put on the suppression list after the copy was made are added to the restored file. No run may be under way.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if restore {
				return a.restore(c, args[0], path)
			}
			file, err := openState(c, path, state.OpenExistingShared)
			if err != nil {
				return err
			}
			defer func() { err = closing(err, file) }()
			if err := file.Backup(c.Context(), args[0]); err != nil {
				return err
			}
			a.say("copied into " + args[0])
			return nil
		},
	}
	stateFlag(c, &path)
	c.Flags().BoolVar(&restore, "restore", false, "replace the state file with the copy FILE")
	return c
}

func (a *app) restore(c *cobra.Command, from, path string) error {
	if path == "" {
		return usagef("--state is missing: the file that the copy replaces; see %s --help", c.CommandPath())
	}
	r, err := state.Restore(c.Context(), from, path)
	if err != nil {
		return err
	}
	age := "no run has finished in it"
	if !r.Last.IsZero() {
		age = fmt.Sprintf("its last run finished on %s, %s ago", r.Last.Format(time.RFC3339), inDays(time.Since(r.Last)))
	}
	a.say(fmt.Sprintf("restored %s from %s: %s", path, from, age))
	if r.Kept != "" {
		a.say(fmt.Sprintf("the file before is kept as %s; %s of its suppression list were taken over",
			r.Kept, report.Count(r.Entries, "entry", "entries")))
	}
	return nil
}

// inDays writes a duration in days, or hours where it is shorter than two days.
func inDays(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
