package lists

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// severalValues reports whether a text that begins with an object of JSON goes on with another one.
func severalValues(text []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var first json.RawMessage
	if decoder.Decode(&first) != nil {
		return false
	}
	token, err := decoder.Token()
	return err == nil && token == json.Delim('{')
}

// readNDJSON reads an object a line.
func readNDJSON(r io.Reader, yield func(entry) error) error {
	decoder := json.NewDecoder(r)
	for n := 1; ; n++ {
		var value json.RawMessage
		if err := decoder.Decode(&value); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		if err := yieldJSON(value, n, yield); err != nil {
			return err
		}
	}
}

// readJSON reads an array of objects or of texts, also one that is a member of an object, as services' APIs answer. An
// object without such a member is the only entry.
func readJSON(r io.Reader, yield func(entry) error) error {
	decoder := json.NewDecoder(r)
	token, err := decoder.Token()
	if err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if token == json.Delim('[') {
		return readArray(decoder, yield)
	}
	var e entry
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("it is no JSON: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("it is no JSON: %w", err)
		}
		if list := bytes.TrimSpace(value); len(list) > 1 && list[0] == '[' && bytes.TrimSpace(list[1:])[0] == '{' {
			inner := json.NewDecoder(bytes.NewReader(list))
			if _, err := inner.Token(); err != nil {
				return err
			}
			return readArray(inner, yield)
		}
		if e, err = appendJSON(e, fmt.Sprint(key), value); err != nil {
			return err
		}
	}
	if len(e) == 0 {
		return nil
	}
	return yield(e)
}

func readArray(decoder *json.Decoder, yield func(entry) error) error {
	for n := 1; decoder.More(); n++ {
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("entry %d: it is no JSON: %w", n, err)
		}
		if err := yieldJSON(value, n, yield); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return nil
}

func yieldJSON(value json.RawMessage, n int, yield func(entry) error) error {
	e, err := appendJSON(nil, "", value)
	if err != nil {
		return fmt.Errorf("entry %d: %w", n, err)
	}
	if e == nil {
		e = entry{}
	}
	return yield(e)
}

// appendJSON flattens a value: the members of an object have their names joined by dots, those of an array the same name.
func appendJSON(e entry, name string, value json.RawMessage) (entry, error) {
	value = bytes.TrimSpace(value)
	switch value[0] {
	case '{', '[':
		decoder := json.NewDecoder(bytes.NewReader(value))
		if _, err := decoder.Token(); err != nil {
			return nil, err
		}
		for decoder.More() {
			inner := name
			if value[0] == '{' {
				key, err := decoder.Token()
				if err != nil {
					return nil, err
				}
				inner = strings.TrimPrefix(name+"."+fmt.Sprint(key), ".")
			}
			var member json.RawMessage
			if err := decoder.Decode(&member); err != nil {
				return nil, err
			}
			var err error
			if e, err = appendJSON(e, inner, member); err != nil {
				return nil, err
			}
		}
		return e, nil
	}
	if name == "" {
		name = "value"
	}
	text := string(value)
	if text == "null" {
		text = ""
	}
	if value[0] == '"' {
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, err
		}
	}
	return append(e, pair{name, text}), nil
}
