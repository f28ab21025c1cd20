package bearer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxToken is how long a token may be, in bytes.
const maxToken = 16 << 10

// maxKeyID is how long the name of a key may be, in bytes.
const maxKeyID = 128

// A Header is what the header of a JWS says. Type and URL are empty when it
// does not say them.
// https://www.rfc-editor.org/rfc/rfc7515.html#section-4
type Header struct {
	Algorithm string // alg
	KeyID     string // kid
	Type      string // typ
	URL       string // jku: where the signer says that its keys are. Nothing fetches it
}

// Verify returns what compact, a JWS in compact form, says, and its header,
// once its signature is known to be good: made by one of algs, with the only
// key of those that keys returns which fits. It knows the RS, PS and ES
// algorithms with hashes of 256, 384 and 512 bits. The bytes returned are not
// yet known to be JSON, or meant for anyone; see [DecodeFields].
//
// It is stricter than RFC 7515: a header with crit, b64, jwk, jku, x5u or x5c,
// with a member twice or in other letters ("Alg"), or with a kid of other
// characters than letters, digits and ._~- is refused, as are tokens over 16
// KiB. An error of keys is in the chain of the error returned.
func Verify(compact string, keys func(kid, alg string) ([]jose.JSONWebKey, error), algs []string) ([]byte, Header, error) {
	return VerifyWithURL(compact, "", keys, algs)
}

// VerifyWithURL is [Verify] for tokens whose header may have a jku, which must
// be url then. Who holds the keys has been told that URL before; it is not
// fetched here.
func VerifyWithURL(compact, url string, keys func(kid, alg string) ([]jose.JSONWebKey, error), algs []string) ([]byte, Header, error) {
	t, err := parse(compact)
	if err != nil {
		return nil, Header{}, err
	}
	if t.header.URL != "" && t.header.URL != url {
		return nil, Header{}, errors.New("the header names a jku that is not known")
	}
	if err := t.verify(keys, algs, checkSignature); err != nil {
		return nil, Header{}, err
	}
	return t.payload, t.header, nil
}

// Peek returns what a JWS in compact form says without looking at its
// signature: whoever sent it may have made it up. It serves to find out whose
// keys to verify it with. It refuses what [Verify] does, but for a jku.
func Peek(compact string) ([]byte, Header, error) {
	t, err := parse(compact)
	return t.payload, t.header, err
}

// A token is a JWS whose signature is still to be looked at.
type token struct {
	header    Header
	signed    string // what the signature is over
	payload   []byte
	signature []byte
}

// parse takes a compact JWS apart.
func parse(compact string) (token, error) {
	if len(compact) > maxToken {
		return token{}, fmt.Errorf("it is longer than %d bytes", maxToken)
	}
	dot := strings.LastIndexByte(compact, '.')
	if dot < 0 || strings.Count(compact, ".") != 2 {
		return token{}, errors.New("it is not three parts with a full stop between them")
	}
	signed := compact[:dot]
	head, body, _ := strings.Cut(signed, ".")
	t := token{signed: signed}
	header, err := decodePart(head)
	if err != nil {
		return token{}, err
	}
	if t.header, err = parseHeader(header); err != nil {
		return token{}, err
	}
	if t.payload, err = decodePart(body); err != nil {
		return token{}, err
	}
	if t.signature, err = decodePart(compact[dot+1:]); err != nil {
		return token{}, err
	}
	return t, nil
}

// decodePart decodes base64url without padding, of which each text has one
// spelling only.
func decodePart(s string) ([]byte, error) {
	// The decoder of the library skips these.
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("a part has a line break")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("a part is not base64url without padding")
	}
	return b, nil
}

// parseHeader reads a JOSE header.
func parseHeader(data []byte) (Header, error) {
	f, err := DecodeFields(data)
	if err != nil {
		return Header{}, fmt.Errorf("read the header: %w", err)
	}
	refused := []string{"crit", "b64", "jwk", "x5u", "x5c"}
	for _, name := range refused {
		if _, ok := f[name]; ok {
			return Header{}, fmt.Errorf("the header has %s", name)
		}
	}
	if err := f.Spelled(append(refused, "alg", "kid", "typ", "jku")...); err != nil {
		return Header{}, err
	}
	var h Header
	for name, to := range map[string]*string{"alg": &h.Algorithm, "kid": &h.KeyID, "typ": &h.Type, "jku": &h.URL} {
		if *to, err = f.Text(name); err != nil {
			return Header{}, err
		}
		if _, ok := f[name]; ok && *to == "" {
			return Header{}, fmt.Errorf("%s is empty", name)
		}
	}
	return h, checkKeyID(h.KeyID)
}

// checkKeyID returns an error unless kid is a plain name, or empty.
func checkKeyID(kid string) error {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._~-", r)
	}
	if len(kid) > maxKeyID || strings.ContainsFunc(kid, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("the kid is not %d letters, digits and ._~- at most", maxKeyID)
	}
	return nil
}

// verify checks the signature of t. The function check says whether a signature
// is good for a key that fits; there is another one in tests.
func (t token) verify(keys func(kid, alg string) ([]jose.JSONWebKey, error), algs []string, check checker) error {
	if !slices.Contains(algs, t.header.Algorithm) {
		return errors.New("its signature is of an algorithm that is not accepted here")
	}
	found, err := keys(t.header.KeyID, t.header.Algorithm)
	if err != nil {
		return fmt.Errorf("find the key: %w", err)
	}
	key, err := choose(found, t.header.KeyID, t.header.Algorithm)
	if err != nil {
		return err
	}
	return check(t, key.Key)
}
