package fhir

// A fault is a kind of structural problem.
type fault uint8

// The faults of what is sent as a whole, and of its syntax.
const (
	badEncoding fault = iota
	emptyBody
	noObject
	moreAfterEnd
	malformedJSON
	malformedXML
	tooDeep
	tooManyElements
	tooManyAttributes
	tooManyNamespaces
	unsupportedXML
	doctypeRefused
	instructionRefused
	moreProblems
)

// The faults of elements, in either form.
const (
	wrongType fault = iota + moreProblems + 1
	noType
	unknownType
	emptyElement
	emptyArray
	emptyValue
	givenTwice
	arrayRefused
	arrayRequired
	twoVariants
	unevenArrays
	wrongJSON
	missingElement
	strayNull
	unknownElement
	unknownVariant
	invalidValue
	invalidReference
	wrongTarget
	valueTooLong
	codeNotBound
	badNarrative
	foreignMarkup
)

// The faults of elements in XML only.
const (
	noResource fault = iota + foreignMarkup + 1
	twoResources
	wrongNamespace
	strayText
	unknownAttribute
	attributeAsElement
	wrongOrder
)

// The faults of an entry of a Submission.
const (
	noRequest fault = iota + wrongOrder + 1
	versionedURL
)

// issue returns the Issue that f is, with its codes only.
func (f fault) issue() Issue {
	return [...]Issue{
		badEncoding:        {Code: Structure, Detail: "invalid-utf8"},
		emptyBody:          {Code: Structure, Detail: "empty-body"},
		noObject:           {Code: Structure, Detail: "body-not-an-object"},
		moreAfterEnd:       {Code: Structure, Detail: "content-after-end"},
		malformedJSON:      {Code: Structure, Detail: "malformed-json"},
		malformedXML:       {Code: Structure, Detail: "malformed-xml"},
		tooDeep:            {Code: TooCostly, Detail: "nested-too-deeply"},
		tooManyElements:    {Code: TooCostly, Detail: "too-many-elements"},
		tooManyAttributes:  {Code: TooCostly, Detail: "too-many-attributes"},
		tooManyNamespaces:  {Code: TooCostly, Detail: "too-many-namespaces"},
		unsupportedXML:     {Code: NotSupported, Detail: "unsupported-xml"},
		doctypeRefused:     {Code: Security, Detail: "doctype-refused"},
		instructionRefused: {Code: Structure, Detail: "processing-instruction-refused"},
		moreProblems:       {Code: Processing, Detail: "further-problems"},

		wrongType:        {Code: Invalid, Detail: "wrong-resource-type"},
		noType:           {Code: Required, Detail: "missing-resource-type"},
		unknownType:      {Code: Value, Detail: "unknown-resource-type"},
		emptyElement:     {Code: Structure, Detail: "empty-element"},
		emptyArray:       {Code: Structure, Detail: "empty-array"},
		emptyValue:       {Code: Value, Detail: "empty-value"},
		givenTwice:       {Code: Structure, Detail: "duplicate-property"},
		arrayRefused:     {Code: Structure, Detail: "array-not-allowed"},
		arrayRequired:    {Code: Structure, Detail: "array-required"},
		twoVariants:      {Code: Structure, Detail: "choice-with-two-types"},
		unevenArrays:     {Code: Structure, Detail: "uneven-arrays"},
		wrongJSON:        {Code: Structure, Detail: "wrong-json-type"},
		missingElement:   {Code: Required, Detail: "missing-element"},
		strayNull:        {Code: Structure, Detail: "stray-null"},
		unknownElement:   {Code: Structure, Detail: "unknown-element"},
		unknownVariant:   {Code: Structure, Detail: "unknown-choice-type"},
		invalidValue:     {Code: Value, Detail: "invalid-value"},
		invalidReference: {Code: Value, Detail: "invalid-reference"},
		wrongTarget:      {Code: Value, Detail: "reference-type-not-allowed"},
		valueTooLong:     {Code: TooLong, Detail: "value-too-long"},
		codeNotBound:     {Code: CodeInvalid, Detail: "code-not-in-value-set"},
		badNarrative:     {Code: Value, Detail: "invalid-narrative"},
		foreignMarkup:    {Code: Structure, Detail: "invalid-narrative"},

		noResource:         {Code: Required, Detail: "missing-resource"},
		twoResources:       {Code: Structure, Detail: "several-resources"},
		wrongNamespace:     {Code: Structure, Detail: "wrong-namespace"},
		strayText:          {Code: Structure, Detail: "text-between-elements"},
		unknownAttribute:   {Code: Structure, Detail: "unknown-attribute"},
		attributeAsElement: {Code: Structure, Detail: "attribute-as-element"},
		wrongOrder:         {Code: Structure, Detail: "wrong-element-order"},

		noRequest:    {Code: Required, Detail: "missing-request"},
		versionedURL: {Code: Invariant, Detail: "versioned-full-url"},
	}[f]
}
