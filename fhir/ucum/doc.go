// Package ucum brings quantities to canonical units, so that 5.4 mg and 0.0054 g
// are one value, and says which unit codes there are and which can be compared.
//
// It reads the case-sensitive codes of the Unified Code for Units of Measure and
// knows every unit and prefix of it. https://ucum.org/ucum
//
// Factors are exact ratios of integers, as far as UCUM gives them exactly. It
// keeps no state but its table of units, which never changes.
//
// The table of units is derived from UCUM, © Regenstrief Institute, Inc. and The
// UCUM Organization, and is used under the licence at https://ucum.org/license.
package ucum
