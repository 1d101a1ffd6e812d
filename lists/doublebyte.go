package lists

import (
	"cmp"
	"slices"
	"strings"

	"github.com/saintfish/chardet"
)

// guess is an encoding that a text may have.
type guess struct {
	name       Encoding
	named      bool    // a word for addresses is in the text
	confidence int     // the detector's
	common     float64 // the share of pairs of bytes that are characters in common use
	typical    int     // more: it looks more like the encoding's language
}

// detectDoubleByte tells the encoding of text whose characters have several bytes. Of few characters the detector
// cannot tell much; then a column's name does, and how common the characters are.
func detectDoubleByte(text []byte) (Encoding, bool) {
	found, err := chardet.NewTextDetector().DetectAll(text)
	if err != nil {
		return "", false // nothing fits
	}
	var guesses []guess
	for _, f := range found {
		name, ok := doubleByte[f.Charset]
		if !ok {
			continue
		}
		decoded, whole := decodes(text, codecs[name])
		if !whole {
			continue
		}
		folded := fold(string(decoded[:min(len(decoded), maxRecord)]))
		named := slices.ContainsFunc(nameWords().parts, func(part string) bool { return strings.Contains(folded, part) })
		guesses = append(guesses, guess{name, named, f.Confidence, commonShare(text, name), typical(text, name)})
	}
	if len(guesses) == 0 {
		return "", false
	}
	slices.SortFunc(guesses, func(a, b guess) int {
		if a.named != b.named {
			if a.named {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(b.common, a.common),
			cmp.Compare(b.typical, a.typical), cmp.Compare(a.name, b.name))
	})
	return guesses[0].name, true
}

// commonLeads are the first bytes of the characters in common use: kana and the first level of JIS X 0208, of GB 2312
// and of Big5, the syllables of KS X 1001.
var commonLeads = map[Encoding]string{
	ShiftJIS: "\x82\x83\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97",
	EUCJP:    "\xa4\xa5" + leads(0xb0, 0xcf), GB18030: leads(0xb0, 0xd7), Big5: leads(0xa4, 0xc6),
	EUCKR: leads(0xb0, 0xc8),
}

func leads(from, to byte) string {
	var all []byte
	for b := from; b <= to; b++ {
		all = append(all, b)
	}
	return string(all)
}

// typical tells apart the encodings of the EUC family, whose characters have the same bytes: Korean is written in its
// syllables alone, and Japanese hardly without kana.
func typical(text []byte, name Encoding) int {
	kana, syllables := false, true
	for i := 0; i < len(text); i++ {
		if text[i] < 0x80 {
			continue
		}
		kana = kana || text[i] == 0xa4 || text[i] == 0xa5
		syllables = syllables && text[i] >= 0xb0 && text[i] <= 0xc8
		i++
	}
	switch {
	case name == EUCKR && syllables, name == EUCJP && kana:
		return 2
	case name == GB18030:
		return 1
	}
	return 0
}

// commonShare is the share of the characters of two bytes that are in common use.
func commonShare(text []byte, name Encoding) float64 {
	all, common := 0, 0
	for i := 0; i < len(text); i++ {
		if text[i] < 0x80 {
			continue
		}
		all++
		if strings.IndexByte(commonLeads[name], text[i]) >= 0 {
			common++
		}
		i++
	}
	if all == 0 {
		return 0
	}
	return float64(common) / float64(all)
}
