package typed

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/fhir/go/jsonformat/fhirvalidate"
	r4pb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/openconsult/openconsult/fhir"
)

const maxIssues = 100

// findings collects what the library reports. It is the library's
// errorreporter.ErrorReporter.
type findings struct {
	prefix string // of the contained resource being looked at
	list   []fhir.Issue
}

// ReportValidationError records err.
func (f *findings) ReportValidationError(_ string, err error) error {
	f.add(err)
	return nil
}

// ReportValidationWarning ignores err: the library has no warnings for R4.
func (f *findings) ReportValidationWarning(string, error) error { return nil }

// The library's error type is internal, so its text is taken apart:
// error at "Patient.name[0]": unknown field
var (
	located = regexp.MustCompile(`^error at ("(?:[^"\\]|\\.)*"): (.*)$`)
	missing = regexp.MustCompile(`^missing required field "(\w+)"$`)

	// The texts that hold no values of the resource.
	harmless = regexp.MustCompile(`^(invalid JSON|unknown field|expected [\w -]+|invalid [\w -]+|code type mismatch|` +
		`array length mismatch, expected \d+, found \d+|cannot accept multiple values for \w+ field|` +
		`invalid reference to a \w+ resource, want [\w, ]+|non-negative integer out of range [\d.,]+|` +
		`string exceeds maximum size of 1 MB|field exceeded the maximum nesting depth \d+)$`)
)

// add records err, which may hold several errors, a line each.
func (f *findings) add(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		f.addLine(line)
	}
}

func (f *findings) addLine(line string) {
	if len(f.list) >= maxIssues {
		return
	}
	path, details := "", line
	if m := located.FindStringSubmatch(line); m != nil {
		details = m[2]
		if unquoted, err := strconv.Unquote(m[1]); err == nil {
			path = unquoted
		}
	}
	is := fhir.Issue{Code: code(details), Expression: expression(f.prefix + path), Text: "The second decoder does not take this element."}
	switch m := missing.FindStringSubmatch(details); {
	case m != nil:
		is.Expression = strings.TrimPrefix(is.Expression+"."+m[1], ".")
		is.Text = m[1] + " is required here and missing."
	case harmless.MatchString(details):
		is.Text = "The second decoder does not take this element: " + details + "."
	}
	f.list = append(f.list, is)
}

func code(details string) fhir.Code {
	switch {
	case strings.HasPrefix(details, "missing required"):
		return fhir.Required
	case details == "code type mismatch":
		return fhir.CodeInvalid
	case strings.HasPrefix(details, "unknown"), strings.HasPrefix(details, "expected array"), strings.HasPrefix(details, "cannot accept"),
		strings.HasPrefix(details, "array length"), details == "invalid JSON", details == "invalid field":
		return fhir.Structure
	case strings.HasPrefix(details, "field exceeded"):
		return fhir.TooCostly
	}
	return fhir.Value
}

// issues returns what was recorded, each once. The library reports in random
// order.
func (f *findings) issues() []fhir.Issue {
	slices.SortFunc(f.list, func(a, b fhir.Issue) int {
		return cmp.Or(cmp.Compare(a.Expression, b.Expression), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(f.list)
}

// contained checks the contained resources of m, which the library leaves out.
func (f *findings) contained(m *r4pb.ContainedResource) error {
	return walk(m.ProtoReflect(), "", func(path string, m protoreflect.Message) error {
		inner, err := unpack(m)
		if inner == nil || err != nil {
			return err
		}
		f.prefix = path + "."
		if err := fhirvalidate.ValidateWithErrorReporter(inner, f); err != nil {
			return fmt.Errorf("validate a contained resource: %w", err)
		}
		return nil
	})
}

// unpack returns the resource in m when m is an Any that holds one, and nil
// otherwise.
func unpack(m protoreflect.Message) (*r4pb.ContainedResource, error) {
	packed, is := m.Interface().(*anypb.Any)
	if !is || packed.GetTypeUrl() == "" {
		return nil, nil
	}
	inner := &r4pb.ContainedResource{}
	if err := packed.UnmarshalTo(inner); err != nil {
		return nil, fmt.Errorf("unpack a contained resource: %w", err)
	}
	return inner, nil
}

// walk visits m and everything in it, through contained resources too. Paths are
// made of JSON names, like those of the library.
func walk(m protoreflect.Message, path string, visit func(string, protoreflect.Message) error) error {
	if err := visit(path, m); err != nil {
		return err
	}
	if strings.Count(path, ".") > 2*maxDepth {
		return fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "The resource is nested deeper than %d levels.", maxDepth)
	}
	inner, err := unpack(m)
	switch {
	case err != nil:
		return err
	case inner != nil:
		return walk(inner.ProtoReflect(), path, visit)
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil {
			return true
		}
		below := strings.TrimPrefix(path+"."+fd.JSONName(), ".")
		if !fd.IsList() {
			err = walk(v.Message(), below, visit)
			return err == nil
		}
		for i := 0; i < v.List().Len() && err == nil; i++ {
			err = walk(v.List().Get(i).Message(), below+"["+strconv.Itoa(i)+"]", visit)
		}
		return err == nil
	})
	return err
}

// resourceName returns the type of the resource that m is.
func resourceName(m proto.Message) string { return string(m.ProtoReflect().Descriptor().Name()) }
