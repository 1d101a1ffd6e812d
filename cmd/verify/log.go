package main

import (
	"fmt"
	"log/slog"

	"presend/verify/smtpprobe"
)

// say tells what goes on, on standard error: a line, with --log-format json an object.
func (a *app) say(text string) {
	switch {
	case a.flags.quiet:
	case a.flags.logFormat == "json":
		slog.New(slog.NewJSONHandler(a.stderr, nil)).Info(text)
	default:
		fmt.Fprintln(a.stderr, text)
	}
}

// complain says what is wrong, also with -q.
func (a *app) complain(text string) {
	if a.flags.logFormat == "json" {
		slog.New(slog.NewJSONHandler(a.stderr, nil)).Error(text)
		return
	}
	fmt.Fprintln(a.stderr, "verify:", text)
}

// logger writes to standard error what -v asks for.
func (a *app) logger() (*slog.Logger, error) {
	level := slog.LevelWarn
	switch a.flags.verbose {
	case 0:
	case 1:
		level = slog.LevelDebug
	default:
		level = smtpprobe.LevelDialogue
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: nameDialogue}
	var handler slog.Handler
	switch a.flags.logFormat {
	case "text":
		handler = slog.NewTextHandler(a.stderr, options)
	case "json":
		handler = slog.NewJSONHandler(a.stderr, options)
	default:
		return nil, usagef("--log-format is text or json, not %q", a.flags.logFormat)
	}
	if a.heard != nil {
		handler = &listener{Handler: handler, all: a.heard}
	}
	return slog.New(handler), nil
}

// nameDialogue gives the level of the SMTP dialogue a name of its own.
func nameDialogue(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey &&
		level == smtpprobe.LevelDialogue {
		return slog.String(slog.LevelKey, "DIALOGUE")
	}
	return a
}
