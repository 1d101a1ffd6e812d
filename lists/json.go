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

// readNDJSON reads an object a line. One that holds a list of entries, such as a page of a service's API, and no
// address itself, is used for those.
func readNDJSON(r io.Reader, yield func(entry) error) error {
	decoder := json.NewDecoder(r)
	for n := 1; ; n++ {
		var value json.RawMessage
		if err := decoder.Decode(&value); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("object %d: it is no JSON: %w", n, err)
		}
		members, err := membersOf(value)
		if err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		if list := entriesIn(members, 0); list != nil && !holdAddress(members) {
			if err := readList(list, yield); err != nil {
				return fmt.Errorf("object %d: %w", n, err)
			}
			continue
		}
		if err := yieldJSON(value, n, yield); err != nil {
			return err
		}
	}
}

// readJSON reads an array of objects, of texts or of rows; also one that is a member of an object, as services' APIs
// answer, or an object whose members are the entries. An object without any of these is the only entry.
func readJSON(r io.Reader, yield func(entry) error) error {
	decoder := json.NewDecoder(r)
	token, err := decoder.Token()
	if err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if token == json.Delim('[') {
		return readArray(decoder, yield)
	}
	members, err := readMembers(decoder)
	if err != nil {
		return err
	}
	if list := entriesIn(members, 1); list != nil {
		return readList(list, yield)
	}
	if !holdAddress(members) {
		if list := firstList(members); list != nil {
			return readList(list, yield)
		}
		if areEntries(members) {
			return readKeyed(members, yield)
		}
	}
	var e entry
	for _, m := range members {
		if e, err = appendJSON(e, m.name, m.value); err != nil {
			return err
		}
	}
	if len(e) == 0 {
		return nil
	}
	return yield(e)
}

// member is one of an object.
type member struct {
	name  string
	value json.RawMessage
}

// readMembers reads the members of an object that was opened.
func readMembers(decoder *json.Decoder) (members []member, err error) {
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		members = append(members, member{fmt.Sprint(key), bytes.TrimSpace(value)})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	return members, nil
}

// membersOf returns the members of a value that is an object; none of another one.
func membersOf(value json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	token, err := decoder.Token()
	if err != nil || token != json.Delim('{') {
		return nil, err
	}
	return readMembers(decoder)
}

// entriesIn returns the first list among the members whose entries name addresses; nil for none. It looks into members
// of members down to a depth. What says who got a message is no list: a notification of a bounce has it.
func entriesIn(members []member, depth int) json.RawMessage {
	for _, m := range members {
		if first := firstElement(m.value); first != nil && namesAddress(m.name, first) {
			return m.value
		}
	}
	if depth == 0 {
		return nil
	}
	for _, m := range members {
		inner, err := membersOf(m.value)
		if err != nil {
			continue
		}
		if list := entriesIn(inner, depth-1); list != nil && !hasRecipients(inner) {
			return list
		}
	}
	return nil
}

func hasRecipients(members []member) bool {
	for _, m := range members {
		if strings.HasSuffix(fold(m.name), "recipients") {
			return true
		}
	}
	return false
}

// firstList returns the first member that is a list of objects; nil for none.
func firstList(members []member) json.RawMessage {
	for _, m := range members {
		if first := firstElement(m.value); first != nil && first[0] == '{' {
			return m.value
		}
	}
	return nil
}

// firstElement returns the first element of an array; nil for what is none, or empty.
func firstElement(value json.RawMessage) json.RawMessage {
	if len(value) == 0 || value[0] != '[' {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	if _, err := decoder.Token(); err != nil || !decoder.More() {
		return nil
	}
	var first json.RawMessage
	if decoder.Decode(&first) != nil {
		return nil
	}
	return bytes.TrimSpace(first)
}

// namesAddress reports whether an element of a list is an address, or has a member that names one.
func namesAddress(list string, first json.RawMessage) bool {
	e, err := appendJSON(nil, "", first)
	if err != nil {
		return false
	}
	if first[0] != '{' {
		return len(e) == 1 && IsAddress(e[0].value) && NamesAddresses(list)
	}
	for _, p := range e {
		if NamesAddresses(p.name) || IsAddress(p.value) && rankOf(p.name) == weak {
			return true
		}
	}
	return false
}

// holdAddress reports whether one of the members is an address itself.
func holdAddress(members []member) bool {
	for _, m := range members {
		if rankOf(m.name) < others && m.value[0] == '"' && IsAddress(strings.Trim(string(m.value), `"`)) {
			return true
		}
	}
	return false
}

// areEntries reports whether the members of an object are entries by their key: objects that hold an address each.
func areEntries(members []member) bool {
	for _, m := range members {
		inner, err := membersOf(m.value)
		if err != nil || !holdAddress(inner) {
			return false
		}
	}
	return len(members) > 1
}

func readKeyed(members []member, yield func(entry) error) error {
	for _, m := range members {
		e, err := appendJSON(entry{{"key", m.name}}, "", m.value)
		if err != nil {
			return err
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// readList reads an array.
func readList(list json.RawMessage, yield func(entry) error) error {
	decoder := json.NewDecoder(bytes.NewReader(list))
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return readArray(decoder, yield)
}

// readArray reads the elements of an array that was opened. Where they are arrays, the first may name the columns.
func readArray(decoder *json.Decoder, yield func(entry) error) error {
	var names []string
	for n := 1; decoder.More(); n++ {
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("entry %d: it is no JSON: %w", n, err)
		}
		if value = bytes.TrimSpace(value); value[0] == '[' {
			if n == 1 {
				if names = columnsIn(value); names != nil {
					continue
				}
			}
			if names != nil {
				if err := yieldRow(names, value, n, yield); err != nil {
					return err
				}
				continue
			}
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

// columnsIn returns the texts of an array if they name columns, one of them of addresses.
func columnsIn(value json.RawMessage) (names []string) {
	if json.Unmarshal(value, &names) != nil || !namesColumns(names) {
		return nil
	}
	return names
}

// yieldRow yields an array as the entry whose names an earlier array gave.
func yieldRow(names []string, value json.RawMessage, n int, yield func(entry) error) error {
	var cells []json.RawMessage
	if err := json.Unmarshal(value, &cells); err != nil {
		return fmt.Errorf("entry %d: it is no JSON: %w", n, err)
	}
	e := entry{}
	for i, cell := range cells {
		name := "value"
		if i < len(names) {
			name = names[i]
		}
		var err error
		if e, err = appendJSON(e, name, cell); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
	}
	return yield(e)
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

// appendJSON flattens a value: the members of an object have their names joined by dots, those of an array the same
// name. An object that is a name and a value, as in [{"Name": "email", "Value": "a@x"}], is a member of that name.
func appendJSON(e entry, name string, value json.RawMessage) (entry, error) {
	value = bytes.TrimSpace(value)
	switch value[0] {
	case '{':
		members, err := membersOf(value)
		if err != nil {
			return nil, err
		}
		if key, inner, ok := nameAndValue(members); ok {
			return appendJSON(e, strings.TrimPrefix(name+"."+key, "."), inner)
		}
		for _, m := range members {
			if e, err = appendJSON(e, strings.TrimPrefix(name+"."+m.name, "."), m.value); err != nil {
				return nil, err
			}
		}
		return e, nil
	case '[':
		decoder := json.NewDecoder(bytes.NewReader(value))
		if _, err := decoder.Token(); err != nil {
			return nil, err
		}
		for decoder.More() {
			var element json.RawMessage
			err := decoder.Decode(&element)
			if err == nil {
				e, err = appendJSON(e, name, element)
			}
			if err != nil {
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

// nameAndValue returns what an object of two members says if one is a name and the other its value.
func nameAndValue(members []member) (key string, value json.RawMessage, ok bool) {
	for _, m := range members {
		switch strings.ToLower(m.name) {
		case "name", "key", "field", "attribute":
			if json.Unmarshal(m.value, &key) != nil {
				return "", nil, false
			}
		case "value":
			value = m.value
		}
	}
	return key, value, len(members) == 2 && key != "" && value != nil
}
