package reply

import (
	"strings"
	"time"
)

// maxWait is the longest wait that is believed; a server that names more has other troubles.
const maxWait = 72 * time.Hour

// waitIn finds the wait that a reply asks for: "try again in 300 seconds", "retry after 5 min", "Greylisted for
// 00:04:59". It is 0 where none is named.
func waitIn(text string) time.Duration {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r == ' ' || r == '\t' || strings.ContainsRune("()[]<>,;.!=\"'", r)
	})
	for i, word := range words {
		if i == 0 || !leadsToWait(words[:i]) {
			continue
		}
		if d := clock(word); d > 0 {
			return d
		}
		n, unit := leadingNumber(word)
		if n == 0 {
			continue
		}
		if unit == "" && i+1 < len(words) {
			unit = words[i+1]
		}
		if d := time.Duration(n) * unitOf(unit); d > 0 && d <= maxWait {
			return d
		}
	}
	return 0
}

// leadsToWait reports whether one of the last words before a number announces a wait.
func leadsToWait(before []string) bool {
	for _, word := range before[max(0, len(before)-3):] {
		switch word {
		case "in", "for", "after", "least", "within", "wait", "retry", "dans", "nach", "через", "dentro", "en", "tra", "za",
			"em":
			return true
		}
	}
	return false
}

func leadingNumber(word string) (n int, unit string) {
	i := 0
	for i < len(word) && i < 6 && word[i] >= '0' && word[i] <= '9' {
		n = n*10 + int(word[i]-'0')
		i++
	}
	return n, strings.Trim(word[i:], ":-")
}

func unitOf(word string) time.Duration {
	switch {
	case word == "s", strings.HasPrefix(word, "sec"), strings.HasPrefix(word, "sek"), strings.HasPrefix(word, "seg"),
		strings.HasPrefix(word, "сек"):
		return time.Second
	case word == "m", strings.HasPrefix(word, "min"), strings.HasPrefix(word, "мин"):
		return time.Minute
	case word == "h", strings.HasPrefix(word, "hour"), strings.HasPrefix(word, "hr"), strings.HasPrefix(word, "stunde"),
		strings.HasPrefix(word, "heure"), strings.HasPrefix(word, "hora"), strings.HasPrefix(word, "час"):
		return time.Hour
	}
	return 0
}

// clock reads "00:04:59" and "04:59".
func clock(word string) time.Duration {
	parts := strings.Split(word, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0
	}
	var total time.Duration
	for _, part := range parts {
		n, rest := leadingNumber(part)
		if len(part) != 2 || rest != "" || n > 59 {
			return 0
		}
		total = total*60 + time.Duration(n)*time.Second
	}
	return total
}
