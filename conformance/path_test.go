package conformance_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var segment = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)((?:\[(?:[0-9]+|\*|[A-Za-z]+=[^\]]+)\])*)$`)

// find returns the values at a path like name[0].given[*] in a JSON tree. [*]
// means every item, [relation=next] every one with that member.
func find(tree any, path string) ([]any, error) {
	found := []any{tree}
	for seg := range strings.SplitSeq(path, ".") {
		m := segment.FindStringSubmatch(seg)
		if m == nil {
			return nil, fmt.Errorf("%q is no path like entry[0].resource.id", path)
		}
		found = members(found, m[1])
		for _, index := range strings.FieldsFunc(m[2], func(r rune) bool { return r == '[' || r == ']' }) {
			found = items(found, index)
		}
	}
	return found, nil
}

func members(from []any, name string) []any {
	var list []any
	for _, v := range from {
		object, _ := v.(map[string]any)
		if member, ok := object[name]; ok {
			list = append(list, member)
		}
	}
	return list
}

func items(from []any, index string) []any {
	var list []any
	for _, v := range from {
		array, _ := v.([]any)
		if index == "*" {
			list = append(list, array...)
			continue
		}
		if name, value, ok := strings.Cut(index, "="); ok {
			list = append(list, having(array, name, value)...)
			continue
		}
		if i, err := strconv.Atoi(index); err == nil && i < len(array) {
			list = append(list, array[i])
		}
	}
	return list
}

func having(array []any, name, value string) []any {
	var list []any
	for _, v := range array {
		if m := members([]any{v}, name); len(m) > 0 && plain(m[0]) == value {
			list = append(list, v)
		}
	}
	return list
}

// plain returns v as a script writes it: text without quotes, numbers as the
// server sent them, anything with structure as compact JSON.
func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
