package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// maxKeys is how many keys a set may have.
const maxKeys = 100

// ParseKeys reads a JWK Set,
// https://www.rfc-editor.org/rfc/rfc7517.html#section-5. It leaves out what
// cannot verify a signature here: keys for encryption, by use or key_ops, keys
// of unknown kinds, and keys too weak. It returns an error when the text is no
// JWK Set, has more than 100 keys, or gives a key away, that is, has a private
// or symmetric one.
func ParseKeys(data []byte) (jose.JSONWebKeySet, error) {
	if _, err := DecodeFields(data); err != nil {
		return jose.JSONWebKeySet{}, fmt.Errorf("read the JWK Set: %w", err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil || set.Keys == nil || len(set.Keys) > maxKeys {
		return jose.JSONWebKeySet{}, fmt.Errorf("it is not a JWK Set of at most %d keys", maxKeys)
	}
	var good jose.JSONWebKeySet
	for _, raw := range set.Keys {
		f, err := DecodeFields(raw)
		if err != nil {
			return jose.JSONWebKeySet{}, fmt.Errorf("read a JWK: %w", err)
		}
		if f["d"] != nil || f["k"] != nil {
			return jose.JSONWebKeySet{}, errors.New("the JWK Set has a private or symmetric key: withdraw that key, for it is no secret any more")
		}
		var key jose.JSONWebKey
		if forVerifying(f) && json.Unmarshal(raw, &key) == nil && strong(key.Key) == nil {
			good.Keys = append(good.Keys, key)
		}
	}
	return good, nil
}

// forVerifying reports whether a JWK is for verifying as far as it says.
func forVerifying(key Fields) bool {
	use, err := key.Text("use")
	if err != nil || use != "" && use != "sig" {
		return false
	}
	ops, err := key.Texts("key_ops")
	return err == nil && (ops == nil || slices.Contains(ops, "verify"))
}

// choose returns the one of keys that is called kid, if it is not empty, and is
// made for alg.
func choose(keys []jose.JSONWebKey, kid, alg string) (jose.JSONWebKey, error) {
	var found []jose.JSONWebKey
	for _, k := range keys {
		if (kid == "" || k.KeyID == kid) && (k.Use == "" || k.Use == "sig") && (k.Algorithm == "" || k.Algorithm == alg) && fits(k.Key, alg) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return jose.JSONWebKey{}, fmt.Errorf("%d keys fit its kid and algorithm, not one", len(found))
	}
	return found[0], nil
}

// fits reports whether a key is of the kind that an algorithm takes.
// https://www.rfc-editor.org/rfc/rfc7518.html#section-3.1
func fits(key any, alg string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, alg)
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256() || alg == "ES384" && k.Curve == elliptic.P384() || alg == "ES512" && k.Curve == elliptic.P521()
	case []byte:
		return slices.Contains([]string{"HS256", "HS384", "HS512"}, alg)
	}
	return false
}

// A checker says whether the signature of a token is good for a key.
type checker func(t token, key any) error

// checkSignature is the checker of this server. It knows no algorithm with a
// key that both sides hold.
func checkSignature(t token, key any) error {
	m := method(t.header.Algorithm)
	if m == nil {
		return errors.New("its signature is of an algorithm that is not accepted here")
	}
	if err := strong(key); err != nil {
		return err
	}
	if m.Verify(t.signed, t.signature, key) != nil {
		return errors.New("its signature is not good")
	}
	return nil
}

// method returns how signatures of an algorithm are made, or nil.
func method(alg string) jwt.SigningMethod {
	switch alg {
	case "RS256":
		return jwt.SigningMethodRS256
	case "RS384":
		return jwt.SigningMethodRS384
	case "RS512":
		return jwt.SigningMethodRS512
	case "PS256":
		return withSalt(jwt.SigningMethodPS256, crypto.SHA256)
	case "PS384":
		return withSalt(jwt.SigningMethodPS384, crypto.SHA384)
	case "PS512":
		return withSalt(jwt.SigningMethodPS512, crypto.SHA512)
	case "ES256":
		return jwt.SigningMethodES256
	case "ES384":
		return jwt.SigningMethodES384
	case "ES512":
		return jwt.SigningMethodES512
	}
	return nil
}

// withSalt returns m for signatures whose salt is as long as the hash, as RFC
// 7518 has it. The library takes any.
// https://www.rfc-editor.org/rfc/rfc7518.html#section-3.5
func withSalt(m *jwt.SigningMethodRSAPSS, hash crypto.Hash) jwt.SigningMethod {
	return &jwt.SigningMethodRSAPSS{SigningMethodRSA: m.SigningMethodRSA, Options: &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}}
}

// strong returns an error unless signatures of a public key are worth something
// and take little time to check.
func strong(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 || k.N.BitLen() > 8192 || k.E < 3 || k.E%2 == 0 || guessable(k.N) {
			return errors.New("the key is an RSA key that is too weak or too large")
		}
		return nil
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err != nil {
			return errors.New("the key is not on its curve")
		}
		return nil
	}
	return errors.New("the key is not a public RSA or EC key")
}

// guessable reports whether an RSA modulus looks like one of those whose primes
// are powers of 65537 to some modulus, so that they can be found
// (CVE-2017-15361): then it is such a power for each small prime. Hardly any
// other is.
func guessable(n *big.Int) bool {
	for _, p := range []int64{3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167} {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for power != rest {
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}
