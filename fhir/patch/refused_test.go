package patch_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/patch"
)

const refusedDoc = `{"a":[1,2],"o":{"x":{}},"s":"text","n":null}`

// refused are patches of refusedDoc that fail, with the class and the code and
// a part of the text of each issue, as "code: part".
var refused = []struct {
	patch string
	class fhir.Class
	want  []string
}{
	{``, fhir.BadRequest, []string{"invalid: byte 0"}},
	{`[`, fhir.BadRequest, []string{"invalid: byte 1"}},
	{`[] []`, fhir.BadRequest, []string{"invalid: byte 3"}},
	{"[{\"op\":\"\xff\"}]", fhir.BadRequest, []string{"invalid: byte"}},
	{`[{"op":"add","path":"/q","value":"\ud800"}]`, fhir.BadRequest, []string{"invalid: byte"}},
	{`null`, fhir.BadRequest, []string{"structure: array of operations"}},
	{`{"op":"remove","path":"/s"}`, fhir.BadRequest, []string{"structure: array of operations"}},
	{`[[]]`, fhir.BadRequest, []string{"structure: operation 0: an operation is a JSON object"}},
	{`[{}]`, fhir.BadRequest, []string{`required: operation 0: "op"`, `required: operation 0: "path"`}},
	{`[{"op":"remove","path":"/s"},{"op":"spam","path":"/s"},{"op":"add"},7]`, fhir.BadRequest, []string{
		`invalid: operation 1: "spam" is not an operation`, `required: operation 2: "path"`, `required: operation 2: "value"`, "structure: operation 3",
	}},
	{`[{"op":"","path":"/s"}]`, fhir.BadRequest, []string{`invalid: operation 0: "" is not`}},
	{`[{"op":"Add","path":"/s","value":1}]`, fhir.BadRequest, []string{`invalid: operation 0: "Add" is not`}},
	{`[{"op":1,"path":"/s"}]`, fhir.BadRequest, []string{`structure: operation 0: "op" is not a string`}},
	{`[{"op":"remove","path":null}]`, fhir.BadRequest, []string{`structure: operation 0: "path" is not a string`}},
	{`[{"op":"remove","path":"s"}]`, fhir.BadRequest, []string{`invalid: operation 0: "path" is "s": a JSON Pointer`}},
	{`[{"op":"remove","path":"/~"}]`, fhir.BadRequest, []string{`invalid: operation 0: "path" is "/~"`}},
	{`[{"op":"remove","path":"/~2"}]`, fhir.BadRequest, []string{`invalid: operation 0: "path" is "/~2"`}},
	{`[{"op":"copy","from":"/~","path":"/q"}]`, fhir.BadRequest, []string{`invalid: operation 0: "from" is "/~"`}},
	{`[{"op":"copy","path":"/q"},{"op":"move","path":"/q"}]`, fhir.BadRequest, []string{`required: operation 0: "from"`, `required: operation 1: "from"`}},
	{`[{"op":"move","from":"/o","path":"/o/x"}]`, fhir.BadRequest, []string{`invalid: operation 0: "/o" cannot move into itself`}},
	{`[{"op":"move","from":"","path":"/q"}]`, fhir.BadRequest, []string{`invalid: operation 0: "" cannot move into itself`}},
	{`[{"op":"add","path":"/q","value":1,"op":"remove"}]`, fhir.BadRequest, []string{`structure: operation 0: "/op" is there twice`}},
	{`[{"op":"add","path":"/q","value":1,"\u006fp":"add"}]`, fhir.BadRequest, []string{`structure: operation 0: "/op" is there twice`}},
	{`[{"op":"add","path":"/q","value":{"x":[{"y":1,"y":1}]}}]`, fhir.BadRequest, []string{`structure: operation 0: "/value/x/0/y" is there twice`}},
	{`[{"op":"test","path":"/s"},{"op":"replace","path":"/s"}]`, fhir.BadRequest, []string{`required: operation 0: "value"`, `required: operation 1: "value"`}},

	{`[{"op":"remove","path":""}]`, fhir.Unprocessable, []string{"processing: operation 0: the whole resource"}},
	{`[{"op":"test","path":"/s","value":"text"},{"op":"remove","path":"/q"}]`, fhir.Unprocessable, []string{`processing: operation 1: there is nothing at "/q"`}},
	{`[{"op":"replace","path":"/q/r","value":1}]`, fhir.Unprocessable, []string{`processing: operation 0: there is nothing at "/q"`}},
	{`[{"op":"replace","path":"/q","value":1}]`, fhir.Unprocessable, []string{`processing: operation 0: there is nothing at "/q"`}},
	{`[{"op":"add","path":"/q/r","value":1}]`, fhir.Unprocessable, []string{`processing: operation 0: there is nothing at "/q"`}},
	{`[{"op":"add","path":"/s/r","value":1}]`, fhir.Unprocessable, []string{`processing: operation 0: there is nothing at "/s/r", because "/s" is neither`}},
	{`[{"op":"add","path":"/n/r","value":1}]`, fhir.Unprocessable, []string{`processing: because "/n" is neither`}},
	{`[{"op":"add","path":"/a/3","value":1}]`, fhir.Unprocessable, []string{`processing: operation 0: "/a/3" is beyond the end`}},
	{`[{"op":"remove","path":"/a/2"}]`, fhir.Unprocessable, []string{`processing: "/a/2" is beyond the end`}},
	{`[{"op":"remove","path":"/a/99999999999999999999"}]`, fhir.Unprocessable, []string{`processing: is beyond the end`}},
	{`[{"op":"remove","path":"/a/-"}]`, fhir.Unprocessable, []string{`processing: "/a/-" is the place after the last element`}},
	{`[{"op":"add","path":"/a/-/x","value":1}]`, fhir.Unprocessable, []string{`processing: "/a/-" is the place after the last element`}},
	{`[{"op":"remove","path":"/a/01"}]`, fhir.Unprocessable, []string{`processing: "/a/01" points into an array`}},
	{`[{"op":"add","path":"/a/+1","value":1}]`, fhir.Unprocessable, []string{`processing: "/a/+1" points into an array`}},
	{`[{"op":"add","path":"/a/-1","value":1}]`, fhir.Unprocessable, []string{`processing: "/a/-1" points into an array`}},
	{`[{"op":"add","path":"/a/","value":1}]`, fhir.Unprocessable, []string{`processing: "/a/" points into an array`}},
	{`[{"op":"add","path":"/a/1e0","value":1}]`, fhir.Unprocessable, []string{`processing: "/a/1e0" points into an array`}},
	{`[{"op":"add","path":"/a/١","value":1}]`, fhir.Unprocessable, []string{`processing: "/a/١" points into an array`}},
	{`[{"op":"copy","from":"/q","path":"/r"}]`, fhir.Unprocessable, []string{`processing: there is nothing at "/q"`}},
	{`[{"op":"move","from":"/q","path":"/q"}]`, fhir.Unprocessable, []string{`processing: there is nothing at "/q"`}},
	{`[{"op":"move","from":"/s","path":"/q/r"}]`, fhir.Unprocessable, []string{`processing: there is nothing at "/q"`}},
	{`[{"op":"test","path":"/s","value":"other"}]`, fhir.Unprocessable, []string{`processing: operation 0: the value at "/s" is not the one tested for`}},
	{`[{"op":"test","path":"","value":{}}]`, fhir.Unprocessable, []string{`processing: operation 0: the value at "" is not`}},
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range refused {
		t.Run(c.patch, func(t *testing.T) {
			t.Parallel()
			_, err := patch.JSON([]byte(refusedDoc), []byte(c.patch))
			checkOutcome(t, err, c.class, c.want...)
		})
	}
}

// checkOutcome wants err to be an Outcome of the class with these issues, each
// "code: part of the text".
func checkOutcome(t *testing.T, err error, class fhir.Class, want ...string) {
	t.Helper()
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != class || len(o.Issues) != len(want) {
		t.Errorf("got %v, want class %d with %q", err, class, want)
		return
	}
	for i, is := range o.Issues {
		code, part, _ := strings.Cut(want[i], ": ")
		if string(is.Code) != code || !strings.Contains(is.Text, part) || is.Expression != "" {
			t.Errorf("issue %d is %+v, want %s", i, is, want[i])
		}
	}
}

func operations(n int, operation string) []byte {
	return []byte("[" + strings.TrimSuffix(strings.Repeat(operation+",", n), ",") + "]")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const add = `{"op":"add","path":"/a/0","value":0}`
	megabyte := `{"s":"` + strings.Repeat("x", 1<<20) + `"}`
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	value := func(v string) []byte { return fmt.Appendf(nil, `[{"op":"add","path":"","value":%s}]`, v) }
	wide := value(`{"a":[` + strings.Repeat("0,", 200_000) + `0]}`)
	cases := []struct {
		name  string
		doc   string
		patch []byte
		class fhir.Class
		want  string // empty when the patch is applied
	}{
		{"operations", refusedDoc, operations(1000, add), 0, ""},
		{"too many operations", refusedDoc, operations(1001, add), fhir.BadRequest, "too-costly: more than 1000 operations"},
		{"value nested", `{}`, value(nested(64)), 0, ""},
		{"value nested too deep", `{}`, value(nested(65)), fhir.BadRequest, `too-costly: operation 0: "value" is nested`},
		{"patch nested very deep", `{}`, value(nested(20_000)), fhir.BadRequest, "invalid: "},
		{"result nested too deep", `[[]]`, fmt.Appendf(nil, `[{"op":"add","path":"/0/0","value":%s}]`, nested(63)), fhir.Unprocessable, "too-costly: nested deeper"},
		{"copy nested", nested(40), fmt.Appendf(nil, `[{"op":"copy","from":"","path":"%s/-"}]`, strings.Repeat("/0", 23)), 0, ""},
		{"copy nested too deep", nested(40), fmt.Appendf(nil, `[{"op":"copy","from":"","path":"%s/-"}]`, strings.Repeat("/0", 24)), fhir.Unprocessable, "too-costly: operation 0: the copy at"},
		{"move nested too deep", `{"a":` + nested(40) + `,"b":` + nested(40) + `}`, fmt.Appendf(nil, `[{"op":"move","from":"/a","path":"/b%s/-"}]`, strings.Repeat("/0", 23)), fhir.Unprocessable, "too-costly: nested deeper"},
		{"copies that double", megabyte, operations(10, `{"op":"copy","from":"","path":"/t"}`), fhir.TooLarge, "too-long: copies more than"},
		{"copies that replace each other", megabyte, operations(10, `{"op":"copy","from":"/s","path":"/t"}`), fhir.TooLarge, "too-long: copies more than"},
		{"copies", megabyte, operations(8, `{"op":"copy","from":"/s","path":"/t"}`), 0, ""},
		{"result", `{"s":"` + strings.Repeat("x", 9<<20) + `"}`, value(megabyte), 0, ""},
		{"result too large", `{"s":"` + strings.Repeat("x", 9<<20) + `"}`, []byte(`[{"op":"add","path":"/t","value":` + megabyte + `}]`), fhir.TooLarge, "too-long: larger than"},
		{"much shifted", `{}`, bytes.Replace(operations(500, add), []byte("["), append(wide[:len(wide)-1], ','), 1), fhir.BadRequest, "too-costly: too much work"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := patch.JSON([]byte(c.doc), c.patch)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "":
				checkOutcome(t, err, c.class, c.want)
			}
		})
	}
}

// A pointer of the caller's is cut when it is repeated in a text.
func TestLongPointer(t *testing.T) {
	t.Parallel()
	_, err := patch.JSON([]byte(`{}`), []byte(`[{"op":"remove","path":"/`+strings.Repeat("é", 5000)+`"}]`))
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues[0].Text) > 400 || !strings.Contains(o.Issues[0].Text, `éé…"`) {
		t.Errorf("got %v", err)
	}
}
