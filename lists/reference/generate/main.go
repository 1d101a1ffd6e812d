// Command generate makes the reference data out of npm packages at fixed versions. It needs npm and its registry:
//
//	go generate ./lists/reference
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// npmPackage is a package at a fixed version, and the day on which that version was published.
type npmPackage struct{ name, version, date string }

func (p npmPackage) String() string { return p.name + "@" + p.version }

// The packages. NOTICE names them too.
var (
	disposableDomains = npmPackage{"disposable-email-domains", "1.0.62", "2024-12-07"}
	mailchecker       = npmPackage{"mailchecker", "6.0.21", "2026-07-18"}
	freeDomains       = npmPackage{"free-email-domains", "1.12.6", "2026-09-23"}
	roleNames         = npmPackage{"role-based-email-addresses", "3.1.0", "2026-07-30"}
)

func main() {
	if err := generate("data"); err != nil {
		log.Fatal("generate: ", err)
	}
}

func generate(directory string) error {
	known, err := readNames(filepath.Join(directory, "known.txt"))
	if err != nil {
		return err
	}
	personal, err := readNames(filepath.Join(directory, "personal.txt"))
	if err != nil {
		return err
	}
	disposable, err := disposableNames(known)
	if err != nil {
		return err
	}
	free, err := freeNames(known, disposable)
	if err != nil {
		return err
	}
	roles, err := roles(personal)
	if err != nil {
		return err
	}
	files := []file{
		{
			"disposable.txt", "Domains of throw-away addresses, without known.txt.",
			disposable,
			[]npmPackage{disposableDomains, mailchecker},
		},
		{
			"free.txt", "Domains of free mailbox providers: known.txt, and others without disposable.txt.",
			free,
			[]npmPackage{freeDomains},
		},
		{
			"roles.txt", "Local parts that name a role, with those of RFC 2142 and without personal.txt.",
			roles,
			[]npmPackage{roleNames},
		},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(directory, f.name), []byte(f.text()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// file is a data file to write.
type file struct {
	name, about string
	names       map[string]bool
	sources     []npmPackage
}

// text returns the file: what it is and where it is from, then a name a line in order.
func (f file) text() string {
	var sources, versions, dates []string
	for _, p := range f.sources {
		sources = append(sources, "https://www.npmjs.com/package/"+p.name)
		versions, dates = append(versions, p.version), append(dates, p.date)
	}
	return "# " + f.about + " Made by go generate; do not edit.\n#\n" +
		"# Source:  " + strings.Join(sources, ", ") + "\n" +
		"# Version: " + strings.Join(versions, ", ") + "\n" +
		"# Date:    " + strings.Join(dates, ", ") + "\n\n" +
		strings.Join(slices.Sorted(maps.Keys(f.names)), "\n") + "\n"
}

func readNames(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			names[line] = true
		}
	}
	return names, nil
}

func disposableNames(known map[string]bool) (map[string]bool, error) {
	files, err := fetch(disposableDomains)
	if err != nil {
		return nil, err
	}
	lists := [][]string{}
	for _, name := range []string{"package/index.json", "package/wildcard.json"} {
		var list []string
		if err := json.Unmarshal(files[name], &list); err != nil {
			return nil, fmt.Errorf("%s of %s: %w", name, disposableDomains, err)
		}
		lists = append(lists, list)
	}
	if files, err = fetch(mailchecker); err != nil {
		return nil, err
	}
	found := regexp.MustCompile(`new Set\((\[[^\]]*\])\)`).FindSubmatch(files["package/platform/node/index.js"])
	if found == nil {
		return nil, fmt.Errorf("%s holds no list where it used to", mailchecker)
	}
	var list []string
	if err := json.Unmarshal(found[1], &list); err != nil {
		return nil, fmt.Errorf("%s: %w", mailchecker, err)
	}
	all := domains(append(slices.Concat(lists...), list...))
	for name := range all {
		if underKnown(name, known) {
			delete(all, name)
		}
	}
	return all, nil
}

// underKnown reports whether a domain is a known provider's or below one.
func underKnown(name string, known map[string]bool) bool {
	for {
		if known[name] {
			return true
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return false
		}
		name = name[dot+1:]
	}
}

// misspelt are names in the package under which nobody has a mailbox: they are those of large providers, misspelt.
var misspelt = map[string]bool{
	"hotmail.co": true, "outiook.com": true, "sbcglbal.net": true, "vahoo.com": true, "yahoo.co": true,
}

func freeNames(known, disposable map[string]bool) (map[string]bool, error) {
	files, err := fetch(freeDomains)
	if err != nil {
		return nil, err
	}
	var list []string
	if err := json.Unmarshal(files["package/domains.json"], &list); err != nil {
		return nil, fmt.Errorf("%s: %w", freeDomains, err)
	}
	free := domains(list)
	maps.DeleteFunc(free, func(name string, _ bool) bool { return disposable[name] || misspelt[name] })
	maps.Copy(free, known)
	return free, nil
}

// rfc2142 are the mailbox names of RFC 2142.
var rfc2142 = []string{
	"info", "marketing", "sales", "support", "abuse", "noc", "security", "postmaster", "hostmaster", "usenet", "news",
	"webmaster", "www", "uucp", "ftp",
}

func roles(personal map[string]bool) (map[string]bool, error) {
	files, err := fetch(roleNames)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	quoted := regexp.MustCompile(`(?m)^\s+'([a-z0-9][a-z0-9._-]*)'`)
	for _, found := range quoted.FindAllSubmatch(files["package/src/index.js"], -1) {
		all[string(found[1])] = true
	}
	if len(all) < 100 {
		return nil, fmt.Errorf("%s holds %d names, where there used to be hundreds", roleNames, len(all))
	}
	for _, name := range rfc2142 {
		all[name] = true
	}
	maps.DeleteFunc(all, func(name string, _ bool) bool {
		return personal[name] || strings.Trim(name, "0123456789") == ""
	})
	return all, nil
}

// domains returns the domains of a list as A-labels in lower case, and leaves out what is no domain.
func domains(list []string) map[string]bool {
	all := map[string]bool{}
	for _, name := range list {
		ascii, err := idna.Lookup.ToASCII(strings.ToLower(strings.Trim(name, " .")))
		if err == nil && strings.Contains(ascii, ".") && !strings.ContainsAny(ascii, "#*/ ") {
			all[ascii] = true
		}
	}
	return all
}

// fetch returns the files of an npm package.
func fetch(p npmPackage) (files map[string][]byte, err error) {
	directory, err := os.MkdirTemp("", "reference-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	pack := exec.Command("npm", "pack", "--silent", p.String())
	pack.Dir, pack.Stderr = directory, os.Stderr
	out, err := pack.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", p, err)
	}
	archive, err := os.ReadFile(filepath.Join(directory, strings.TrimSpace(string(out))))
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for reader := tar.NewReader(unpacked); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[header.Name], err = io.ReadAll(io.LimitReader(reader, 16<<20)); err != nil {
			return nil, err
		}
	}
}
