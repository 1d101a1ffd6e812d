package lists

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// readLDIF reads the entries of a directory (RFC 2849). Attributes keep the names that they have first, without
// options.
func readLDIF(r io.Reader, yield func(entry) error) error {
	lines := bufio.NewReaderSize(r, 1<<16)
	names := map[string]string{} // in lower case -> as it came first
	var e entry
	number := 0
	flush := func() error {
		if len(e) == 0 {
			return nil
		}
		whole := e
		e = nil
		return yield(whole)
	}
	for {
		line, size, err := foldedLine(lines)
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d: %w", number+1, err)
		}
		if line == "" {
			if ended := flush(); ended != nil {
				return ended
			}
		} else if line[0] != '#' && !(number == 0 && hasPrefixFold([]byte(line), "version:")) {
			p, wrong := ldifPair(line)
			if wrong != nil {
				return fmt.Errorf("line %d: %w", number+1, wrong)
			}
			if hasPrefixFold([]byte(line), "version:") && len(e) == 0 {
				number += size
				continue
			}
			if first, known := names[strings.ToLower(p.name)]; known {
				p.name = first
			} else {
				names[strings.ToLower(p.name)] = p.name
			}
			e = append(e, p)
		}
		if number += size; err == io.EOF {
			return flush()
		}
	}
}

// foldedLine returns a line with those that it goes on in, and how many they are.
func foldedLine(r *bufio.Reader) (line string, size int, err error) {
	line, err = r.ReadString('\n')
	line, size = strings.TrimRight(line, "\r\n"), 1
	for err == nil && line != "" {
		next, peeked := r.Peek(1)
		if peeked != nil || next[0] != ' ' {
			break
		}
		var more string
		more, err = r.ReadString('\n')
		line, size = line+strings.TrimRight(more[1:], "\r\n"), size+1
		if len(line) > maxRecord {
			return "", size, fmt.Errorf("the line is longer than %d KiB", maxRecord>>10)
		}
	}
	return line, size, err
}

func ldifPair(line string) (pair, error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		if line == "-" {
			return pair{"change", line}, nil
		}
		return pair{}, fmt.Errorf("there is no colon in %q", line[:min(len(line), 40)])
	}
	name, _, _ = strings.Cut(name, ";")
	if encoded, is64 := strings.CutPrefix(value, ":"); is64 {
		decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			return pair{}, fmt.Errorf("the value of %s is not base64: %w", name, err)
		}
		return pair{name, utf8Text(string(decoded))}, nil
	}
	return pair{name, utf8Text(strings.TrimPrefix(value, " "))}, nil
}
