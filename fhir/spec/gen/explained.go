package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// explained are the disagreements that are known, with the reason why the
// definitions hold.
var explained = map[string]string{
	"Extension.value[x]: types only ours [Meta], only descriptor []":                                                                    "the descriptors left Meta out of the open types",
	"Extension: elements [id extension url value], descriptor [id url extension value]":                                                 "field numbers put url first; XML has it as an attribute",
	"Quantity: elements [id extension value comparator unit system code], descriptor [id extension value unit system code]":             "the descriptor of SimpleQuantity, a profile of Quantity, omits the forbidden comparator; ours has invariant sqty-1",
	"Reference: elements [id extension reference type identifier display], descriptor [id extension type reference identifier display]": "reference is a oneof, declared after type",
}

// explain returns an error that lists the disagreements without an explanation
// and the explanations without a disagreement.
func explain(found []string) error {
	var errs []error
	used := make(map[string]bool)
	for _, s := range found {
		if explained[s] == "" {
			errs = append(errs, fmt.Errorf("definitions and descriptors disagree: %s", s))
		}
		used[s] = true
	}
	for _, s := range slices.Sorted(maps.Keys(explained)) {
		if !used[s] {
			errs = append(errs, fmt.Errorf("explained disagreement did not occur: %s", s))
		}
	}
	return errors.Join(errs...)
}
