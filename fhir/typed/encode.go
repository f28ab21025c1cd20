package typed

import (
	"fmt"
	"strings"
	"sync"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	r4dt "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	r4bin "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/binary_go_proto"
	r4pb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	r4par "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/parameters_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/openconsult/openconsult/fhir"
)

var marshaller = sync.OnceValues(func() (*jsonformat.Marshaller, error) {
	m, err := jsonformat.NewMarshaller(false, "", "", fhirversion.R4)
	if err != nil {
		return nil, fmt.Errorf("set up google/fhir: %w", err)
	}
	return m, nil
})

// Encode returns m, an R4 resource or a ContainedResource of one, as a resource,
// and leaves m as it is. The error is a [*fhir.Outcome] when m cannot be
// written, as a Binary, a Parameters with a resource in it or base64 in lines,
// and when [fhir.Decode] refuses the result.
func Encode(m proto.Message) (*fhir.Resource, error) {
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil, fmt.Errorf("encode with google/fhir: no message")
	}
	if !strings.HasPrefix(string(m.ProtoReflect().Descriptor().FullName()), "google.fhir.r4.core.") {
		return nil, fmt.Errorf("encode with google/fhir: a %T is no R4 resource", m)
	}
	if err := walk(m.ProtoReflect(), "", writable); err != nil {
		return nil, fmt.Errorf("encode %s with google/fhir: %w", resourceName(m), err)
	}
	src, err := marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s with google/fhir: %w", resourceName(m), err)
	}
	return fhir.Decode("", src)
}

func marshal(m proto.Message) ([]byte, error) {
	j, err := marshaller()
	if err != nil {
		return nil, err
	}
	// Marshal changes its argument.
	m = proto.Clone(m)
	var src []byte
	err = guard(func() error {
		var err error
		if c, is := m.(*r4pb.ContainedResource); is {
			src, err = j.Marshal(c)
			return err
		}
		src, err = j.MarshalResource(m)
		return err
	})
	return src, err
}

// noValue is the one mark of the library that Decode leaves in a message: on a
// primitive that has only an id or extensions.
const noValue = reserved + "primitiveHasNoValue"

// writable returns why m, one message of a resource, cannot be written.
func writable(_ string, m protoreflect.Message) error {
	switch m := m.Interface().(type) {
	case *r4bin.Binary:
		return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "A Binary has no typed form; write its JSON instead.")
	case *r4par.Parameters_Parameter:
		if m.GetResource() != nil {
			return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Parameters that hold a resource have no typed form; write their JSON instead.")
		}
	case *r4dt.Extension:
		if url := m.GetUrl().GetValue(); strings.HasPrefix(url, reserved) && url != noValue {
			return fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "An extension from the library's own namespace, as for base64 in lines, cannot be written; remove it.")
		}
	}
	return nil
}
