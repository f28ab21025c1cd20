package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
)

// Seal encrypts plain into an opaque word for a link. The same bytes make the
// same word, so that two answers to one request are equal. It is good until a
// restore begins a new feed.
func (db *DB) Seal(plain []byte) string { return db.secret.encrypt(plain) }

// Unseal returns what [DB.Seal] was given. A word that was changed, comes from
// another installation or is from before a restore is refused as a bad request.
func (db *DB) Unseal(word string) ([]byte, error) { return db.secret.decrypt(word) }

// Name returns an id, a UUID, that is always the same for some texts, and that nobody can tell
// who does not know the installation's secret. What names no others give.
func (db *DB) Name(what string, of ...string) string {
	var all []byte
	for _, text := range of {
		all = append(binary.AppendUvarint(all, uint64(len(text))), text...)
	}
	b := db.secret.derive("name: "+what+": ", all)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // RFC 9562, version 8
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// purposes of the keys that are derived from the cursor key.
const (
	sealKey   = "seal: key"
	sealNonce = "seal: nonce"
)

// encrypt takes the nonce from the plaintext by a key of its own: a nonce comes
// again only with the same plaintext.
func (s *secret) encrypt(plain []byte) string {
	nonce := s.derive(sealNonce, plain)[:12]
	return base64.RawURLEncoding.EncodeToString(s.aead().Seal(nonce, nonce, plain, s.sealed()))
}

func (s *secret) decrypt(word string) ([]byte, error) {
	refused := fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This page link is not valid here any more; start again from the first page.")
	b, err := base64.RawURLEncoding.Strict().DecodeString(word)
	if err != nil || len(b) < 12 {
		return nil, refused
	}
	plain, err := s.aead().Open(nil, b[:12], b[12:], s.sealed())
	if err != nil {
		return nil, refused
	}
	return plain, nil
}

func (s *secret) aead() cipher.AEAD {
	block, err := aes.NewCipher(s.derive(sealKey, nil))
	if err != nil {
		panic(fmt.Sprintf("a key of 32 bytes is one for AES: %v", err))
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("AES has the block size of GCM: %v", err))
	}
	return aead
}

func (s *secret) derive(purpose string, of []byte) []byte {
	mac := hmac.New(sha256.New, s.cursor)
	mac.Write([]byte(purpose))
	mac.Write(of)
	return mac.Sum(nil)
}

// sealed is what a word is bound to beside its content.
func (s *secret) sealed() []byte { return binary.AppendVarint([]byte{1}, s.generation) }
