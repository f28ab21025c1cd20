package bulk

import (
	"bytes"
	"strconv"

	"github.com/openconsult/openconsult/fhir"
)

// report returns what is to be told of the rejected lines of a chunk: why, and the
// lines themselves.
func (w *importWork) report(of Source, c chunk) step {
	var outcomes, rejected []byte
	for _, p := range c.lines {
		if p.wrong == nil {
			continue
		}
		w.place.Rejected++
		outcomes = append(appendOutcome(outcomes, p, of), '\n')
		if p.text != nil {
			w.place.Lines++
			rejected = append(append(rejected, bytes.TrimSpace(p.text)...), '\n')
		}
	}
	if outcomes == nil {
		return step{}
	}
	s := step{
		files:  []file{{outcomesFile, errorKind, "OperationOutcome", 0, w.place.Rejected}},
		pieces: []piece{{outcomesFile, w.place.OutcomesBytes, outcomes}},
	}
	w.place.OutcomesBytes += int64(len(outcomes))
	if rejected != nil {
		s.files = append(s.files, file{rejectedFile, rejectedKind, "", 1, w.place.Lines})
		s.pieces = append(s.pieces, piece{rejectedFile, w.place.LinesBytes, rejected})
		w.place.LinesBytes += int64(len(rejected))
	}
	return s
}

// LineURL is the extension of an OperationOutcome that says which line it is about.
const LineURL = "https://fhir.openconsult.example/StructureDefinition/import-line"

func appendOutcome(dst []byte, p *parsed, of Source) []byte {
	dst = append(dst, `{"resourceType":"OperationOutcome","extension":[{"url":"`+LineURL+`","extension":[{"url":"line","valuePositiveInt":`...)
	dst = append(strconv.AppendInt(dst, p.number, 10), '}')
	if of.URL != "" {
		dst = append(fhir.AppendString(append(dst, `,{"url":"source","valueUrl":`...), of.URL), '}')
	}
	dst = append(dst, `]}]`...)
	rest, _ := bytes.CutPrefix(p.wrong.JSON(), []byte(`{"resourceType":"OperationOutcome"`))
	return append(dst, rest...)
}
