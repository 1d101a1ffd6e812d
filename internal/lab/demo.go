package lab

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"strings"
)

// Demo declares the internet of `verify demo`: a domain for everything that a mail domain does, and mailboxes of
// every temper.
//
//go:embed demo.lab
var Demo string

// demoFlaws are rows as people type them, by the row of the demo's list after which they come.
var demoFlaws = map[int][3]string{
	3:   {"Anna Schmidt", "Anna.Schmidt@Northwind.lab", "Northwind"}, // twice, in another case
	9:   {"Olivia", "olivia.demo@gmial.com", "Gmail"},
	17:  {"Grace Hopper", " grace.hopper@fabrikam.lab ", "Fabrikam"}, // twice, with spaces
	26:  {"Bob", "bob.at.hollow.lab", "Hollow"},
	33:  {"Tom Baker", "Tom Baker <tom.baker@northwind.lab>", "Northwind"},
	41:  {"", "", ""},
	48:  {"Bella", "mailto:bella@bakery.lab", "Bakery"},
	55:  {"Jane and Emily", "jane@books.lab; emily@books.lab", "Books"},
	62:  {"Double Dot", "double..dot@bikes.lab", "Bikes"},
	70:  {"Liam", "liam.demo@gmail.con", "Gmail"},
	78:  {"Example", "someone@example.com", "Example"},
	86:  {"Localhost", "root@localhost", ""},
	94:  {"Robot", "robot@old-toys.lab", "Toys"},
	101: {"Rose", "rose@flowers.lab", "Flowers"}, // twice, exactly
	109: {"Two Ats", "two@ats@tiny.lab", "Tiny"},
	116: {"Noah", "noah.demo@gmail,com", "Gmail"},
	123: {"Throw Away", "throw.away@mailinator.com", ""},
	130: {"Formula", "=cmd|' /C calc'!A0", "Evil"},
}

// DemoList returns a list as people have them, of the mailboxes of Demo: a CSV file with the columns name, email and
// company, with typos, duplicates and syntax errors among the rows. It is the same each time.
func DemoList() []byte {
	w, err := Parse(Demo)
	if err != nil {
		panic(err) // the tests read the same text
	}
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	write := func(row [3]string) { _ = out.Write(row[:]) } // a Buffer never fails
	write([3]string{"name", "email", "company"})
	for i, address := range w.order {
		if flaw, ok := demoFlaws[i]; ok {
			write(flaw)
		}
		local, domain, _ := strings.Cut(address, "@")
		company, _, _ := strings.Cut(domain, ".")
		write([3]string{titled(strings.NewReplacer(".", " ", "-", " ").Replace(local)), address, titled(company)})
	}
	out.Flush()
	return b.Bytes()
}

// titled gives every word a capital.
func titled(s string) string {
	words := strings.Fields(s)
	for i, word := range words {
		first, rest := []rune(word)[:1], []rune(word)[1:]
		words[i] = strings.ToUpper(string(first)) + string(rest)
	}
	return strings.Join(words, " ")
}
