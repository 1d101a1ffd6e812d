package smtpprobe

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"presend/verify/reply"
)

func FuzzEHLO(f *testing.F) {
	for _, seed := range []string{
		"250 mx.lab\r\n", "250-mx.lab\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n", "250-\r\n250 starttls x\r\n",
		"250-mx.lab 250-PIPELINING\r\n250 SIZE\r\n", "250-a\r\n250-2.0.0 PIPELINING\r\n250 ſmtputf8\r\n",
		"250-PIPELINING\n250\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(octets), reply.MaxLine)
		answer, err := reply.Read(func() ([]byte, error) { return in.ReadSlice('\n') })
		if err != nil {
			return
		}
		got := offered(answer)
		lines := strings.Split(string(octets), "\n")[:len(answer.Lines)]
		for word, has := range map[string]bool{
			"STARTTLS": got.startTLS, "PIPELINING": got.pipelining, "SMTPUTF8": got.smtputf8,
		} {
			plain, somewhere := false, false // whether a line is the word alone, and whether one holds it at all
			for _, line := range lines[1:] {
				line = strings.Map(asciiUpper, strings.TrimRight(line, "\r"))
				plain = plain || line[3:] == " "+word || line[3:] == "-"+word
				somewhere = somewhere || strings.Contains(line, word)
			}
			if has && !somewhere || plain && !has {
				t.Errorf("%s: %v of %q", word, has, octets)
			}
		}
	})
}

func asciiUpper(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}
