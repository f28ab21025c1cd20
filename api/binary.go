package api

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// rawFormat is the content of a Binary as it is.
const rawFormat format = 100

// securityContext is the header that carries Binary.securityContext with raw
// content. https://hl7.org/fhir/R4/binary.html#rest
const securityContext = "X-Security-Context"

// decodeAny reads what a write sends: a resource, or for a Binary also raw
// content of any type that is not FHIR's own. The id is that of the address.
func (s *Server) decodeAny(c *gin.Context, typ, id string) (*fhir.Resource, error) {
	header := c.GetHeader("Content-Type")
	name, _, err := mime.ParseMediaType(header)
	if typ != "Binary" || err != nil || strings.HasPrefix(name, "application/fhir+") {
		return s.decode(c, typ)
	}
	content, err := s.readBody(c, s.config.Limits.Binary)
	if err != nil {
		return nil, err
	}
	return fhir.Decode("Binary", binary(id, header, c.GetHeader(securityContext), content))
}

// binary returns a Binary as JSON.
func binary(id, contentType, context string, content []byte) []byte {
	dst := make([]byte, 0, base64.StdEncoding.EncodedLen(len(content))+len(contentType)+200)
	dst = append(dst, `{"resourceType":"Binary"`...)
	if id != "" {
		dst = fmt.Appendf(dst, `,"id":%q`, id)
	}
	dst = append(fhir.AppendString(append(dst, `,"contentType":`...), contentType), `,`...)
	if context != "" {
		dst = append(fhir.AppendString(append(dst, `"securityContext":{"reference":`...), context), `},`...)
	}
	if len(content) == 0 {
		return append(dst[:len(dst)-1], '}')
	}
	dst = append(dst, `"data":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, content)
	return append(dst, `"}`...)
}

// negotiateFor returns the format for an answer with v. A Binary is its content
// unless the caller asks for the resource or for a part of it.
func negotiateFor(r *http.Request, v *store.Version) (format, error) {
	q := r.URL.Query()
	if v.Key.Type == "Binary" && q.Get("_format") == "" && !q.Has("_summary") && !q.Has("_elements") && wantsContent(r) {
		return rawFormat, nil
	}
	return negotiate(r)
}

// wantsContent reports whether no type of FHIR is asked for by name.
func wantsContent(r *http.Request) bool {
	for _, p := range parseAccept(strings.Join(r.Header.Values("Accept"), ",")) {
		if strings.HasPrefix(p.name, "application/fhir+") {
			return false
		}
	}
	return true
}

// raw answers with the content of a Binary. A browser gets it as a download and
// runs nothing in it.
func (s *Server) raw(c *gin.Context, v *store.Version) error {
	r, err := fhir.Decode("Binary", v.Stored)
	if err != nil {
		return fmt.Errorf("decode a stored Binary: %w", err)
	}
	content, err := contentOf(r.Root().Child("data"))
	if err != nil {
		return err
	}
	contentType := r.Root().Child("contentType").Text()
	if _, _, err := mime.ParseMediaType(contentType); err != nil {
		contentType = "application/octet-stream"
	}
	if context := r.Root().Child("securityContext").Child("reference"); !context.IsZero() {
		c.Header(securityContext, context.Text())
	}
	c.Header("Content-Security-Policy", "sandbox; default-src 'none'")
	c.Header("Content-Disposition", "attachment")
	c.Data(http.StatusOK, contentType, content)
	return nil
}

// contentOf decodes base64. Escapes and white space are rare in it and cost a
// copy more.
func contentOf(data fhir.Node) ([]byte, error) {
	encoded := bytes.Trim(data.Raw(), `"`)
	if bytes.ContainsAny(encoded, "\\ \t") {
		encoded = []byte(strings.Join(strings.Fields(data.Text()), ""))
	}
	content, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return nil, fmt.Errorf("decode the content of a stored Binary: %w", err)
	}
	return content, nil
}
