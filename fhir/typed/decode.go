package typed

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	r4pb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"

	"github.com/openconsult/openconsult/fhir"
)

// reserved begins the URLs of extensions that the library uses as marks of its
// own. One from a client could make it hang.
const reserved = "https://g.co/fhir/StructureDefinition/"

const maxDepth = 64

// unmarshaller is safe for concurrent use. Its time zone is that of dates, which
// have none.
var unmarshaller = sync.OnceValues(func() (*jsonformat.Unmarshaller, error) {
	u, err := jsonformat.NewUnmarshaller("UTC", fhirversion.R4)
	if err != nil {
		return nil, fmt.Errorf("set up google/fhir: %w", err)
	}
	u.MaxNestingDepth = maxDepth
	return u, nil
})

// Decode returns r as a protocol buffer. The error is a [*fhir.Outcome] when the
// library does not take r: when it has an extension from the library's own
// namespace, is or holds a Parameters with a resource in it, or has a value that
// the library rejects although R4 allows it, such as a leap second. See the
// package comment for what is lost.
func Decode(r *fhir.Resource) (*r4pb.ContainedResource, error) {
	if o := unsupported(r.Root()); o != nil {
		return nil, o
	}
	m, issues, err := parse(r.Source())
	switch {
	case err != nil:
		return nil, fmt.Errorf("decode %s with google/fhir: %w", r.Type(), err)
	case len(issues) > 0:
		return nil, &fhir.Outcome{Class: fhir.Unprocessable, Issues: issues}
	}
	return m, nil
}

// Check returns what the library has to say against r, as warnings, since
// [fhir.Decode] has the last word. What it cannot judge gets one note that says
// so.
func Check(r *fhir.Resource) []fhir.Issue {
	o := &fhir.Outcome{}
	_, err := Decode(r)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &o):
	default:
		o = fhir.Errorf(fhir.BadRequest, fhir.Exception, "", "The second decoder could not read this resource.")
	}
	for i := range o.Issues {
		o.Issues[i].Severity = fhir.Warning
		if o.Issues[i].Code == fhir.NotSupported {
			o.Issues[i].Severity = fhir.Information
		}
	}
	return o.Issues
}

// unsupported returns what keeps the library from taking n or something in it.
func unsupported(n fhir.Node) *fhir.Outcome {
	switch e := n.Element(); {
	case e != nil && e.Path == "Extension.url" && strings.HasPrefix(n.Text(), reserved):
		return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, n.Path(), "This extension is reserved for internal use; remove it.")
	case e != nil && e.Path == "Parameters.parameter.resource":
		return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, n.Path(), "Parameters that hold a resource have no typed form; read the JSON instead.")
	}
	for c := range n.Children() {
		if o := unsupported(c); o != nil {
			return o
		}
	}
	return nil
}

// parse reads src and returns what the library has against it, contained
// resources included.
func parse(src []byte) (*r4pb.ContainedResource, []fhir.Issue, error) {
	u, err := unmarshaller()
	if err != nil {
		return nil, nil, err
	}
	var found findings
	m := &r4pb.ContainedResource{}
	err = guard(func() error {
		got, err := u.UnmarshalWithErrorReporter(src, &found)
		if err != nil {
			found.add(err)
			return nil
		}
		is := false
		if m, is = got.(*r4pb.ContainedResource); !is {
			return fmt.Errorf("google/fhir returned a %T", got)
		}
		return found.contained(m)
	})
	if err != nil {
		return nil, nil, err
	}
	return m, found.issues(), nil
}

// guard runs f, and makes an error of a panic in it. The panic's own text may
// hold values of the resource.
func guard(f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("google/fhir panicked: %w", v)
		default:
			err = fmt.Errorf("google/fhir panicked with a %T", v)
		}
	}()
	return f()
}
