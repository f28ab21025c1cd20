package fhirpath

import "math"

// lookup returns the function named name.
// https://hl7.org/fhirpath/N1/#functions and
// https://hl7.org/fhir/R4/fhirpath.html#functions
func lookup(name string) (function, bool) {
	for _, find := range [...]func(string) function{collectionFunction, textFunction, mathFunction, conversionFunction, fhirFunction} {
		if f := find(name); f.run != nil {
			return f, true
		}
	}
	return function{}, false
}

func collectionFunction(name string) function {
	switch name {
	case "empty":
		return function{0, 0, empty}
	case "exists":
		return function{0, 1, exists}
	case "all":
		return function{1, 1, all}
	case "allTrue", "anyTrue", "allFalse", "anyFalse":
		return function{0, 0, booleans}
	case "subsetOf", "supersetOf":
		return function{1, 1, subsetOf}
	case "count":
		return function{0, 0, count}
	case "distinct":
		return function{0, 0, distinct}
	case "isDistinct":
		return function{0, 0, isDistinct}
	case "where":
		return function{1, 1, where}
	case "select":
		return function{1, 1, project}
	case "repeat":
		return function{1, 1, repeat}
	case "aggregate":
		return function{1, 2, aggregate}
	case "sort":
		return function{0, math.MaxInt, sort}
	case "single", "first", "last", "tail":
		return function{0, 0, subset}
	case "skip", "take":
		return function{1, 1, slice}
	case "intersect", "exclude":
		return function{1, 1, intersect}
	case "union":
		return function{1, 1, merge}
	case "combine":
		return function{1, 1, combine}
	case "iif":
		return function{2, 3, iif}
	case "children":
		return function{0, 0, children}
	case "descendants":
		return function{0, 0, descendants}
	case "trace":
		return function{1, 2, trace}
	case "not":
		return function{0, 0, not}
	case "type":
		return function{0, 0, typeOf}
	case "now", "today", "timeOfDay":
		return function{0, 0, clock}
	}
	return function{}
}

func textFunction(name string) function {
	switch name {
	case "indexOf", "lastIndexOf", "startsWith", "endsWith", "contains":
		return function{1, 1, search}
	case "substring":
		return function{1, 2, substring}
	case "upper", "lower", "trim":
		return function{0, 0, transform}
	case "encode", "decode", "escape", "unescape":
		return function{1, 1, encode}
	case "length":
		return function{0, 0, length}
	case "toChars":
		return function{0, 0, toChars}
	case "split":
		return function{1, 1, split}
	case "join":
		return function{0, 1, join}
	case "replace":
		return function{2, 2, replace}
	case "matches", "matchesFull":
		return function{1, 1, matches}
	case "replaceMatches":
		return function{2, 2, replaceMatches}
	}
	return function{}
}

func mathFunction(name string) function {
	switch name {
	case "abs", "ceiling", "floor", "truncate", "exp", "ln", "sqrt":
		return function{0, 0, calculate}
	case "round":
		return function{0, 1, roundTo}
	case "log", "power":
		return function{1, 1, power}
	case "sum", "min", "max", "avg":
		return function{0, 0, summarize}
	case "lowBoundary", "highBoundary":
		return function{0, 1, boundary}
	case "precision":
		return function{0, 0, precisionOf}
	case "comparable":
		return function{1, 1, isComparable}
	}
	return function{}
}

func conversionFunction(name string) function {
	switch name {
	case "toBoolean", "toInteger", "toDecimal", "toString", "toDate", "toDateTime", "toTime":
		return function{0, 0, convert}
	case "toQuantity":
		return function{0, 1, convert}
	case "convertsToBoolean", "convertsToInteger", "convertsToDecimal", "convertsToString", "convertsToDate", "convertsToDateTime", "convertsToTime":
		return function{0, 0, converts}
	case "convertsToQuantity":
		return function{0, 1, converts}
	}
	return function{}
}

func fhirFunction(name string) function {
	switch name {
	case "extension":
		return function{1, 1, extension}
	case "hasExtension":
		return function{1, 1, hasExtension}
	case "hasValue":
		return function{0, 0, hasValue}
	case "getValue":
		return function{0, 0, getValue}
	case "resolve":
		return function{0, 0, resolve}
	case "memberOf":
		return function{1, 1, memberOf}
	case "subsumes", "subsumedBy":
		return function{1, 1, subsumes}
	case "conformsTo":
		return function{1, 1, conformsTo}
	case "htmlChecks":
		return function{0, 0, htmlChecks}
	case "checkModifiers":
		return function{0, math.MaxInt, checkModifiers}
	case "elementDefinition":
		return function{0, 0, undefined}
	case "slice":
		return function{2, 2, undefined}
	}
	return function{}
}
