package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"presend/verify/smtpprobe"
)

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			version, revision, goVersion := "(unknown)", "", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				version, goVersion = info.Main.Version, info.GoVersion
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value
					}
				}
			}
			_, err := fmt.Fprintf(a.stdout, "verify %s%s %s\n", version, revision, goVersion)
			return err
		},
	}
}

func paceCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "pace",
		Short: "Print the table of caps and rates by provider",
		Long: `Print the table of caps and rates by provider: the one in force if --pace names a file, which is checked, or else the
default one with what its columns mean, as a start for your own:

  verify pace > pace.toml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if a.flags.pace == "" {
				_, err := io.WriteString(a.stdout, smtpprobe.DefaultPace())
				return err
			}
			pace, err := smtpprobe.LoadPace(a.flags.pace)
			if err != nil {
				return err
			}
			return pace.Write(a.stdout)
		},
	}
	a.flags.registerPace(c.Flags())
	return c
}

func manCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the man pages into a directory",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return doc.GenManTree(c.Root(), &doc.GenManHeader{Title: "VERIFY", Section: "1"}, args[0])
		},
	}
}
