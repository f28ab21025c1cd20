package attachment

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// The details of what is refused.
const (
	DetailType   = "attachment-type"   // it is not what it says, or of a type that is not taken
	DetailBroken = "attachment-broken" // an image that is cut off or damaged
	DetailLarge  = "attachment-too-large"
)

// The bounds of an image, far above what cameras make.
const (
	maxSide   = 1 << 16
	maxPixels = 1 << 28
)

// Clean returns content, which is of the type found by Sniff, as it may be stored and
// shown to others: a JPEG, PNG or WebP without metadata and without what comes behind
// it, all else as it is. An image that had nothing to remove is returned itself. The
// error is an *fhir.Outcome of class Unprocessable without an Expression: with
// [DetailType] for what cannot be cleaned, [DetailBroken] for an image that is not whole
// and [DetailLarge] for one of too many pixels.
func Clean(found string, content []byte) ([]byte, error) {
	switch found {
	case JPEG:
		return cleanJPEG(content)
	case PNG:
		return cleanPNG(content)
	case WebP:
		return cleanWebP(content)
	case HEIC, AVIF:
		return nil, refuse(fhir.NotSupported, DetailType, "Pictures in %s can tell where they were taken, and that cannot be removed here; send a JPEG.", strings.ToUpper(strings.TrimPrefix(found, "image/")))
	}
	return content, nil
}

// Cleans reports whether Clean can return something else than it is given, or refuse it.
func Cleans(found string) bool {
	return found == JPEG || found == PNG || found == WebP || found == HEIC || found == AVIF
}

// Contradiction returns the Outcome about content that is not what it is declared to be.
func Contradiction(declared, found string) *fhir.Outcome {
	if found == Text || found == Unknown {
		return refuse(fhir.Value, DetailType, "This content is no %s; send it with the content type that it has.", shown(declared))
	}
	return refuse(fhir.Value, DetailType, "This content is %s and no %s; send it with the content type that it has.", found, shown(declared))
}

// shown returns a content type as far as it can be one: it is the client's word.
func shown(declared string) string {
	is := plain(declared)
	for _, c := range is {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("/.+-", c) || len(is) > 80 {
			return "such type"
		}
	}
	return is
}

func refuse(code fhir.Code, detail, format string, args ...any) *fhir.Outcome {
	o := fhir.Errorf(fhir.Unprocessable, code, "", format, args...)
	o.Issues[0].Detail = detail
	return o
}

// truncated is said of an image that ends too early.
func truncated(kind string) error {
	return refuse(fhir.Structure, DetailBroken, "The %s is cut off before its end; send the whole file again.", kind)
}

// broken is said of an image that has something wrong in the middle.
func broken(kind, what string) error {
	return refuse(fhir.Structure, DetailBroken, "The %s is damaged: %s. Send the file again, or save it anew first.", kind, what)
}

// sized returns an Outcome unless an image of some size can be shown.
func sized(kind string, width, height uint64) error {
	switch {
	case width == 0 || height == 0:
		return broken(kind, "it says that it has no width or no height")
	case width > maxSide || height > maxSide || width*height > maxPixels:
		return refuse(fhir.TooLong, DetailLarge, "The %s has %d by %d pixels, which are too many to be shown; send it smaller.", kind, width, height)
	}
	return nil
}
