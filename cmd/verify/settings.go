package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// load fills flags that were not given from VERIFY_* and then from verify.toml.
func (f *sharedFlags) load(c *cobra.Command) error {
	settings := map[string]any{}
	path := f.configuration
	if path == "" {
		path = os.Getenv("VERIFY_CONFIG")
	}
	optional := path == ""
	if optional {
		path = "verify.toml"
	}
	if _, err := toml.DecodeFile(path, &settings); err != nil && !(optional && errors.Is(err, os.ErrNotExist)) {
		return usagef("%s: %v", path, err)
	}
	for name := range settings {
		if !knownSetting(c.Root(), name) {
			return usagef("%s: no setting is called %q", path, name)
		}
	}
	strange, err := strangeVariables(c.Root(), os.Environ())
	if err != nil {
		return err
	}
	if len(strange) > 0 && f.verbose > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "verify: not settings of this program: %s\n", strings.Join(strange, ", "))
	}
	var failed error
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || failed != nil || flag.Name == "config" || flag.Name == "help" {
			return
		}
		variable := variableOf(flag.Name)
		if value, ok := os.LookupEnv(variable); ok {
			values := []string{value}
			if flag.Value.Type() == "stringArray" {
				values = strings.Split(value, ",")
			}
			failed = set(c, flag, variable, values)
		} else if value, ok := settings[flag.Name]; ok {
			values := []string{}
			if array, isArray := value.([]any); isArray {
				for _, v := range array {
					values = append(values, fmt.Sprint(v))
				}
			} else {
				values = append(values, fmt.Sprint(value))
			}
			failed = set(c, flag, path+": "+flag.Name, values)
		}
	})
	return failed
}

func set(c *cobra.Command, flag *pflag.Flag, where string, values []string) error {
	for _, value := range values {
		if err := c.Flags().Set(flag.Name, value); err != nil {
			return usagef("%s: %v", where, err)
		}
	}
	return nil
}

// prefix begins the names of environment variables that are settings.
const prefix = "VERIFY_"

// variableOf returns the environment variable of a flag.
func variableOf(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// strangeVariables returns the environment variables that begin as settings do and are none. One that is within two
// letters of a setting is a slip, and an error.
func strangeVariables(root *cobra.Command, environment []string) (strange []string, err error) {
	known := map[string]bool{}
	eachFlag(root, func(flag *pflag.Flag) { known[variableOf(flag.Name)] = true })
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, prefix) || known[name] {
			continue
		}
		for _, setting := range slices.Sorted(maps.Keys(known)) {
			if levenshtein.ComputeDistance(name, setting) <= 2 {
				return nil, usagef("no setting is called %s; did you mean %s?", name, setting)
			}
		}
		strange = append(strange, name)
	}
	return strange, nil
}

// eachFlag calls a function with every flag of a command and of those below it.
func eachFlag(c *cobra.Command, use func(*pflag.Flag)) {
	c.Flags().VisitAll(use)
	c.PersistentFlags().VisitAll(use)
	for _, sub := range c.Commands() {
		eachFlag(sub, use)
	}
}

// knownSetting reports whether a command or one below it has a flag of that name.
func knownSetting(c *cobra.Command, name string) (known bool) {
	eachFlag(c, func(flag *pflag.Flag) { known = known || flag.Name == name })
	return known
}
