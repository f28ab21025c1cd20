// Package patch changes a JSON document as a client's patch asks.
//
// [JSON] applies a JSON Patch (RFC 6902). A document stays text: values that no
// operation touches are carried over byte for byte, so decimals keep their
// digits and members keep their order.
//
// The package knows JSON. It does not know what a resource is: whoever calls it
// decodes and validates the result, and sees to it that the patch did not touch
// what a client may not change. Nor does it know versions, storage or HTTP.
package patch
