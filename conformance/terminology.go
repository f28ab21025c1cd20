package conformance

import "slices"

// A CodeSystem is one that comes with the server.
type CodeSystem struct {
	URL     string
	Version string // may be empty
	Listed  bool   // its codes are a list rather than made by a grammar
}

// terminologyCapabilities says what is known of codes.
// https://hl7.org/fhir/R4/terminologycapabilities.html
type terminologyCapabilities struct {
	header
	CodeSystem   []knownSystem `json:"codeSystem,omitempty"`
	Expansion    *expansion    `json:"expansion,omitempty"`
	CodeSearch   string        `json:"codeSearch,omitempty"`
	ValidateCode *validateCode `json:"validateCode,omitempty"`
	Translation  *translation  `json:"translation,omitempty"`
}

type knownSystem struct {
	URI         string          `json:"uri"`
	Version     []systemVersion `json:"version,omitempty"`
	Subsumption bool            `json:"subsumption"`
}

type systemVersion struct {
	Code          string `json:"code,omitempty"`
	IsDefault     bool   `json:"isDefault,omitempty"`
	Compositional bool   `json:"compositional,omitempty"`
}

type expansion struct {
	Hierarchical bool                 `json:"hierarchical"`
	Paging       bool                 `json:"paging"`
	Incomplete   bool                 `json:"incomplete"`
	Parameter    []expansionParameter `json:"parameter"`
	TextFilter   string               `json:"textFilter"`
}

type expansionParameter struct {
	Name          string `json:"name"`
	Documentation string `json:"documentation,omitempty"`
}

type validateCode struct {
	Translations bool `json:"translations"`
}

type translation struct {
	NeedsMap bool `json:"needsMap"`
}

const (
	knownCodes = "codeSystem lists what comes with the server. What is stored as CodeSystem, ValueSet or ConceptMap is known from the moment that it is stored; GET [base]/CodeSystem lists it."
	textFilter = "Every word of the filter has to begin a word of the display, of a designation or of the code. Case and accents do not matter."
)

// terminology returns the TerminologyCapabilities. It claims what there are operations
// for.
func (s *Statements) terminology(base string) terminologyCapabilities {
	t := terminologyCapabilities{header: s.header("TerminologyCapabilities", base)}
	has := func(path string) bool { return slices.Contains(s.served.Operations, path) }
	if len(s.served.CodeSystems) > 0 {
		t.Description = knownCodes
	}
	for _, c := range s.served.CodeSystems {
		k := knownSystem{URI: c.URL, Subsumption: c.Listed && has("/CodeSystem/$subsumes")}
		if c.Version != "" || !c.Listed {
			k.Version = []systemVersion{{Code: c.Version, IsDefault: c.Version != "", Compositional: !c.Listed}}
		}
		t.CodeSystem = append(t.CodeSystem, k)
	}
	if has("/ValueSet/$expand") {
		t.CodeSearch = "all"
		t.Expansion = &expansion{Paging: true, TextFilter: textFilter}
		for _, name := range s.served.Expansion {
			t.Expansion.Parameter = append(t.Expansion.Parameter, expansionParameter{Name: name})
		}
	}
	if has("/ValueSet/$validate-code") {
		t.ValidateCode = &validateCode{}
	}
	if has("/ConceptMap/$translate") {
		t.Translation = &translation{NeedsMap: true}
	}
	return t
}
