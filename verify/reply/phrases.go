package reply

import (
	"errors"
	"fmt"
	"strings"
)

// maxGap is how many words a lone "*" in a phrase stands for at most.
const maxGap = 6

// anyLabel in a phrase is one label of any host name.
const anyLabel = "/*"

// maxAlternatives bounds what "(a|b) (c|d)" may grow to, so that a slip in the rules cannot eat the memory.
const maxAlternatives = 4096

// errNoSet is a phrase's use of a set that [words] does not hold.
var errNoSet = errors.New("no such set of words")

// resolve puts the sets of words into a phrase that names them: "{mailbox} full" becomes "(user|mailbox) full".
func resolve(phrase string, sets map[string][]string) (string, error) {
	for {
		open := strings.IndexByte(phrase, '{')
		if open < 0 {
			return phrase, nil
		}
		end := strings.IndexByte(phrase[open:], '}')
		if end < 0 {
			return "", fmt.Errorf("phrase %q: a brace is not closed", phrase)
		}
		set, ok := sets[phrase[open+1:open+end]]
		if !ok {
			return "", fmt.Errorf("phrase %q: %w", phrase, errNoSet)
		}
		phrase = phrase[:open] + "(" + strings.Join(set, "|") + ")" + phrase[open+end+1:]
	}
}

// phraseBook finds which phrases occur in a text, all at once: a trie of words, walked from each word of the text.
// A phrase is at most some words long and a gap at most maxGap, so the work is linear in the length of the text.
type phraseBook struct {
	words    map[string]int32    // a word that some phrase holds -> its number, from 1
	prefixes map[string]int32    // the same for "word*"
	lengths  []int               // the lengths of the prefixes, each once
	edges    map[edge]int32      // node and word -> node; node 0 is the root
	ends     [][]int32           // node -> the phrases that end there
	split    map[string][]string // a word of a phrase as written -> as texts are split
}

type edge struct{ node, word int32 }

// anyWords is the word number of a gap.
const anyWords int32 = 0

func newPhraseBook() *phraseBook {
	return &phraseBook{
		words:    map[string]int32{},
		prefixes: map[string]int32{},
		edges:    map[edge]int32{},
		ends:     make([][]int32, 1),
		split:    map[string][]string{},
	}
}

// add puts a phrase under a number of the caller's into the book.
func (b *phraseBook) add(phrase string, number int32) error {
	variants, err := expand(phrase)
	if err != nil {
		return err
	}
	for _, variant := range variants {
		node := int32(0)
		pattern := b.patternWords(variant)
		if len(pattern) == 0 || pattern[0] == "*" || pattern[len(pattern)-1] == "*" {
			return fmt.Errorf("phrase %q: must begin and end with a word", phrase)
		}
		if len(pattern) == 1 && len(strings.Fields(variant)) > 1 {
			return fmt.Errorf("phrase %q: without fillers nothing is left of %q but %q", phrase, variant, pattern[0])
		}
		for _, word := range pattern {
			node = b.child(node, b.number(word))
		}
		b.ends[node] = append(b.ends[node], number)
	}
	return nil
}

func (b *phraseBook) number(word string) int32 {
	if word == "*" {
		return anyWords
	}
	next := int32(len(b.words) + len(b.prefixes) + 1)
	set := b.words
	if stem, ok := strings.CutSuffix(word, "*"); ok {
		set, word = b.prefixes, stem
		b.noteLength(len(stem))
	}
	if n, ok := set[word]; ok {
		return n
	}
	set[word] = next
	return next
}

func (b *phraseBook) noteLength(n int) {
	for _, have := range b.lengths {
		if have == n {
			return
		}
	}
	b.lengths = append(b.lengths, n)
}

func (b *phraseBook) child(node, word int32) int32 {
	if next, ok := b.edges[edge{node, word}]; ok {
		return next
	}
	next := int32(len(b.ends))
	b.edges[edge{node, word}] = next
	b.ends = append(b.ends, nil)
	return next
}

// patternWords splits a phrase as a text is split, and keeps its stars.
func (b *phraseBook) patternWords(phrase string) []string {
	var out []string
	for field := range strings.FieldsSeq(phrase) {
		words, ok := b.split[field]
		if !ok {
			words = splitField(field)
			b.split[field] = words
		}
		out = append(out, words...)
	}
	return out
}

func splitField(field string) []string {
	if field == "*" || field == anyLabel {
		return []string{field}
	}
	stem, isPrefix := strings.CutSuffix(field, "*")
	if link, ok := strings.CutPrefix(stem, "/"); ok {
		stem = "http://" + link
	}
	var out []string
	splitWords(stem, func(w []byte) { out = append(out, string(w)) })
	if isPrefix && len(out) > 0 {
		out[len(out)-1] += "*"
	}
	return out
}

// expand writes out the alternatives of a phrase: "(user|account) unknown" is two. Parentheses may be nested.
func expand(phrase string) ([]string, error) {
	open := strings.IndexByte(phrase, '(')
	if open < 0 {
		return []string{phrase}, nil
	}
	alternatives, end := splitAlternatives(phrase, open)
	if end < 0 {
		return nil, fmt.Errorf("phrase %q: a parenthesis is not closed", phrase)
	}
	rest, err := expand(phrase[end+1:])
	if err != nil {
		return nil, err
	}
	var out []string
	for _, alternative := range alternatives {
		heads, err := expand(alternative)
		if err != nil {
			return nil, err
		}
		for _, head := range heads {
			for _, tail := range rest {
				out = append(out, phrase[:open]+head+tail)
			}
		}
		if len(out) > maxAlternatives {
			return nil, fmt.Errorf("phrase %q: more than %d alternatives", phrase, maxAlternatives)
		}
	}
	return out, nil
}

// splitAlternatives splits the parenthesis that opens at open; end is where it closes, or -1.
func splitAlternatives(phrase string, open int) (alternatives []string, end int) {
	depth, from := 0, open+1
	for i := open; i < len(phrase); i++ {
		switch phrase[i] {
		case '(':
			depth++
		case '|':
			if depth == 1 {
				alternatives = append(alternatives, phrase[from:i])
				from = i + 1
			}
		case ')':
			depth--
			if depth == 0 {
				return append(alternatives, phrase[from:i]), i
			}
		}
	}
	return nil, -1
}

// seenWord is what the book knows of one word of a text: its number and those of the prefixes it begins with.
type seenWord struct {
	word     int32
	prefixes [3]int32
	end      bool
}

// find calls hit for every phrase in text, repeatedly where it occurs repeatedly.
func (b *phraseBook) find(text string, hit func(number int32)) {
	var onStack [128]seenWord
	seen := onStack[:0]
	splitWords(text, func(w []byte) { seen = append(seen, b.look(w)) })
	for i := range seen {
		b.walk(0, seen[i:], hit)
	}
}

func (b *phraseBook) look(word []byte) seenWord {
	s := seenWord{word: b.words[string(word)], end: string(word) == sentenceEnd}
	n := 0
	for _, length := range b.lengths {
		if length > len(word) || n == len(s.prefixes) {
			continue
		}
		if p := b.prefixes[string(word[:length])]; p != 0 {
			s.prefixes[n] = p
			n++
		}
	}
	return s
}

func (b *phraseBook) walk(node int32, rest []seenWord, hit func(int32)) {
	for _, number := range b.ends[node] {
		hit(number)
	}
	if len(rest) == 0 {
		return
	}
	first := rest[0]
	b.step(node, first.word, rest[1:], hit)
	for _, prefix := range first.prefixes {
		b.step(node, prefix, rest[1:], hit)
	}

	gap, ok := b.edges[edge{node, anyWords}]
	if !ok {
		return
	}
	for skip := 0; skip <= maxGap && skip < len(rest); skip++ {
		b.walk(gap, rest[skip:], hit)
		if rest[skip].end {
			return
		}
	}
}

func (b *phraseBook) step(node, word int32, rest []seenWord, hit func(int32)) {
	if word == 0 {
		return
	}
	if next, ok := b.edges[edge{node, word}]; ok {
		b.walk(next, rest, hit)
	}
}
