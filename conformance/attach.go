package conformance

// attaching says what becomes of a Binary, and of the content of Attachments.
const attaching = "What a Binary is, its content says: one that contradicts its contentType is refused. JPEG, PNG and WebP are stored without EXIF, comments and other metadata, but with their orientation and colour profile, " +
	"and without what comes behind their end; HEIC and AVIF are refused, send JPEG. The same holds for the content of Attachments in other resources. " +
	"A tag of https://fhir.openconsult.example/CodeSystem/scan-state, which only the server sets, says what a scanner has found: NOT_SCANNED is that there is no scanner. " +
	"PENDING content is answered with 409 and Retry-After, THREATS_FOUND and VALIDATION_FAILED with 403; searches, histories, the feed and exports have such resources without their content. " +
	"An earlier version stays as it was found to be then."
