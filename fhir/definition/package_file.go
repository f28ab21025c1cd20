package definition

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/openconsult/openconsult/fhir"
)

// A packing is a Package that is being read.
type packing struct {
	Package
	room    room
	files   int
	bytes   int64
	dropped int // problems that are not listed
}

// count notes one more file of some bytes. The error is an Outcome.
func (p *packing) count(size int) error {
	p.files++
	p.bytes += int64(size)
	switch {
	case p.files > p.room.files:
		return fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "", "The package has more than %d files; split it.", p.room.files)
	case p.bytes > p.room.unpacked:
		return p.tooMuch()
	}
	return nil
}

func (p *packing) tooMuch() error {
	return fhir.Errorf(fhir.TooLarge, fhir.TooCostly, "", "The package unpacks to more than %d MB; split it.", p.room.unpacked>>20)
}

// add reads a file. The error is an Outcome or one of r.
func (p *packing) add(name string, r io.Reader) error {
	src, err := io.ReadAll(io.LimitReader(r, p.room.file+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := p.count(len(src)); err != nil {
		return err
	}
	switch {
	case int64(len(src)) > p.room.file:
		p.leaveOut(name, "The file is larger than %d MB and left out; split it.", p.room.file>>20)
	case path.Base(name) == "package.json":
		p.manifest(name, src)
	default:
		p.resource(name, src)
	}
	return nil
}

// manifest reads what the package says of itself; a package.json elsewhere is another's.
func (p *packing) manifest(name string, src []byte) {
	if name != "package.json" && name != "package/package.json" {
		return
	}
	var m struct {
		Name         string
		Version      string
		Dependencies map[string]string
		FHIRVersions []string
	}
	if err := json.Unmarshal(src, &m); err != nil {
		p.leaveOut(name, "The file does not say what the package is: its JSON is malformed, or of another form; mend it.")
		return
	}
	p.Name, p.Version = m.Name, m.Version
	for _, n := range slices.Sorted(maps.Keys(m.Dependencies)) {
		p.Dependencies = append(p.Dependencies, Dependency{n, m.Dependencies[n]})
	}
	if len(m.FHIRVersions) > 0 && !slices.ContainsFunc(m.FHIRVersions, isR4) {
		p.warn(name, "The package is for another version of FHIR, and was read as R4 (4.0.1); look for the one for R4.")
	}
}

func isR4(version string) bool { return version == "4.0" || strings.HasPrefix(version, "4.0.") }

// resource reads a file that should hold a resource.
func (p *packing) resource(name string, src []byte) {
	decode := fhir.Decode
	if strings.EqualFold(path.Ext(name), ".xml") {
		decode = fhir.DecodeXML
	} else if !bytes.Contains(src, []byte(`"resourceType"`)) {
		p.warn(name, "The file holds no resource and is left out.")
		return
	}
	r, err := decode("", src)
	if err != nil {
		for _, i := range fhir.AsOutcome(err).Issues {
			p.problem(name, i)
		}
		return
	}
	f := File{Name: name, ID: r.ID(), Resource: r}
	if canonicalOf(r) == "" || isExample(name) {
		p.Examples = append(p.Examples, f)
		return
	}
	p.Contents = append(p.Contents, f)
}

// canonicalOf returns the canonical URL of a definition, "" for everything else.
func canonicalOf(r *fhir.Resource) string {
	if r.Type() == "Contract" || r.Root().Type().Element("status") == nil {
		return ""
	}
	return r.Root().Child("url").Text()
}

// leaveOut notes why a file is not read.
func (p *packing) leaveOut(name, format string, args ...any) {
	p.problem(name, fhir.Issue{Code: fhir.Processing, Text: fmt.Sprintf(format, args...)})
}

func (p *packing) warn(name, text string) {
	p.problem(name, fhir.Issue{Severity: fhir.Warning, Code: fhir.Informational, Text: text})
}

// problem notes an issue of a file.
func (p *packing) problem(name string, i fhir.Issue) {
	if len(p.Problems) >= maxProblems {
		p.dropped++
		return
	}
	i.Text = printable(name) + ": " + i.Text
	p.Problems = append(p.Problems, i)
}

// printable returns the end of a name that fits into a message.
func printable(name string) string {
	const length = 200
	if len(name) > length {
		name = "…" + strings.ToValidUTF8(name[len(name)-length:], "")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.QuoteToASCII(name)
	}
	return name
}

// finish puts everything into its order.
func (p *packing) finish() *Package {
	byName := func(a, b File) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(p.Examples, byName)
	slices.SortFunc(p.Contents, func(a, b File) int {
		return cmp.Or(cmp.Compare(rank(a.Resource.Type()), rank(b.Resource.Type())), cmp.Compare(a.Resource.Type(), b.Resource.Type()), byName(a, b))
	})
	p.Contents = p.single()
	if p.dropped > 0 {
		p.Problems = append(p.Problems, fhir.Issue{Code: fhir.Processing, Text: fmt.Sprintf("There are %d further problems; they are not listed.", p.dropped)})
	}
	return &p.Package
}

// rank orders the types by what they build on.
func rank(typ string) int {
	order := []string{"CodeSystem", "ValueSet", "ConceptMap", "StructureDefinition", "SearchParameter", "Questionnaire"}
	if i := slices.Index(order, typ); i >= 0 {
		return i
	}
	return len(order)
}

// single returns the contents without those that are there twice, as JSON and as XML,
// and gives each an id of its own.
func (p *packing) single() []File {
	seen, taken := make(map[string]string), make(map[fhir.Key]bool)
	var kept []File
	for _, f := range p.Contents {
		typ, url := f.Resource.Type(), canonicalOf(f.Resource)
		canonical := url + "|" + f.Resource.Root().Child("version").Text()
		if other := seen[typ+" "+canonical]; other != "" {
			p.warn(f.Name, "The file defines the same URL and version as "+printable(other)+" and is left out.")
			continue
		}
		seen[typ+" "+canonical] = f.Name
		if f.ID == "" || taken[fhir.Key{Type: typ, ID: f.ID}] {
			f.ID = deriveID(url, canonical)
		}
		taken[fhir.Key{Type: typ, ID: f.ID}] = true
		kept = append(kept, f)
	}
	return kept
}

// deriveID returns the end of a URL made an id, with a hash of what it has to be
// distinct for.
func deriveID(url, canonical string) string {
	const longest = 64 // https://hl7.org/fhir/R4/datatypes.html#id
	sum := sha256.Sum256([]byte(canonical))
	hash := hex.EncodeToString(sum[:8])
	tail := strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '.') {
			return r
		}
		return '-'
	}, path.Base(url))
	tail = strings.TrimLeft(tail, "-.")
	if len(tail) > longest-len(hash)-1 {
		tail = tail[:longest-len(hash)-1]
	}
	return strings.TrimLeft(tail+"-"+hash, "-")
}
