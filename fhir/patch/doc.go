// Package patch changes a JSON document as a client's patch asks.
//
// [JSON] applies a JSON Patch (RFC 6902), [FHIRPath] a FHIRPath Patch to a
// resource. A document stays text: values that no operation touches are carried
// over byte for byte, so decimals keep their digits and members keep their order.
//
// JSON knows no resources, and FHIRPath only what the elements of one are:
// whoever calls them decodes and validates the result, and sees to it that the
// patch did not touch what a client may not change. Nor does the package know
// versions, storage or HTTP.
package patch
