package subscription

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// readChannel reads how a Subscription wants to be told.
func (r *reading) readChannel(n fhir.Node) {
	c := &r.channel
	switch typ := n.Child("type"); {
	case !typ.Extension(typeExtension).IsZero():
		r.refuse(typ, fhir.NotSupported, "This server tells of events by rest-hook or websocket only: leave out the extension with another type of channel.")
	case typ.Text() == "rest-hook":
		r.readEndpoint(n)
	case typ.Text() == "websocket":
		c.websocket = true
	default:
		r.refuse(typ, fhir.NotSupported, "This server tells of events by rest-hook or websocket only: choose one of these types of channel.")
	}
	r.readPayload(n.Child("payload"))
	r.readHeaders(n)
	c.beat = r.seconds(n, beatExtension, leastBeat, mostBeat)
	c.timeout = r.seconds(n, timeoutExtension, 1, mostTimeout)
	c.most = max(1, r.number(n, mostExtension, 1, mostEvents))
	if r.topic == nil {
		c.most = 1
	}
	c.handle = n.Extension(handleExtension).Child("value").Text()
	if x := n.Extension(SecretExtension); !x.IsZero() {
		if c.secret = x.Child("value").Text(); len(c.secret) < leastSecret || len(c.secret) > mostSecret {
			r.refuse(x, fhir.Value, "Give a secret of %d to %d bytes as valueString.", leastSecret, mostSecret)
		}
	}
}

func (r *reading) readEndpoint(n fhir.Node) {
	endpoint := n.Child("endpoint")
	if !endpoint.HasValue() {
		r.refuse(n, fhir.Required, "Give the endpoint that is to be called.")
		return
	}
	r.channel.endpoint = endpoint.Text()
	if r.engine.Refuses(endpoint.Text()) != nil {
		r.refuse(endpoint, fhir.Value, "Give an endpoint with https at a public address that this server may call, without a user, a password or a fragment.")
	}
}

// readPayload reads what notifications say. Without a payload, those of R4
// criteria have no body.
func (r *reading) readPayload(n fhir.Node) {
	c := &r.channel
	content := n.Extension(contentExtension)
	c.content = content.Child("value").Text()
	switch {
	case r.topic == nil && !content.IsZero():
		r.refuse(content, fhir.BusinessRule, "What a notification holds can be chosen with a topic only: name one of ours in criteria.")
	case r.topic != nil && content.IsZero():
		c.content = contentID
	case r.topic != nil && !slices.Contains([]string{contentEmpty, contentID, contentFull}, c.content):
		r.refuse(content, fhir.CodeInvalid, "Choose empty, id-only or full-resource.")
	}
	c.mime = n.Text()
	switch c.mime {
	case "application/fhir+json", "application/fhir+xml":
	case "application/json", "text/json":
		c.mime = "application/fhir+json"
	case "":
		if r.topic != nil {
			c.mime = "application/fhir+json"
		}
	default:
		r.refuse(n, fhir.NotSupported, "Choose application/fhir+json or application/fhir+xml as payload.")
	}
	full := c.content == contentFull || r.topic == nil && c.mime != ""
	if full && !c.websocket && r.engine.Full != nil && !r.engine.Full(c.endpoint) {
		r.refuse(n, fhir.BusinessRule, "Whole resources may not be sent to this endpoint: choose id-only.")
	}
}
