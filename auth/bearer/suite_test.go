package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// suiteRow is a row of jws.jsonl.
type suiteRow struct {
	ID, Comment, Result string
	Key                 json.RawMessage
	JWS                 json.RawMessage
	Flags               []string
}

// suiteExceptions says of which rows the verdict is the other one on purpose.
var suiteExceptions = map[string]string{
	"json_web_signature#345": "its kid has an @",
	"json_web_signature#346": "its kid has an @, and the key says another alg",
	"json_web_signature#347": "its kid has an @, and the key says an alg that there is not",
	"json_web_signature#349": "its kid has an @",
	"json_web_signature#350": "its kid has an @, and the key says another alg",
	"json_web_signature#351": "its kid has an @, and the key says an alg that there is not",
	"json_web_signature#367": "it is the token of #357, which is valid",
	"json_web_signature#370": "it is the token of #357, which is valid",
	"json_web_signature#372": "it has a character in it that is not base64url",
	"json_web_signature#373": "it has a character in it that is not base64url",
}

func readSuite(t *testing.T) []suiteRow {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "suites", "jws.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the suites are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var rows []suiteRow
	for line := range bytes.Lines(data) {
		var r suiteRow
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// token returns the JWS; one that is an object stands for its text.
func (r suiteRow) token() string {
	var s string
	if json.Unmarshal(r.JWS, &s) != nil {
		return string(r.JWS)
	}
	return s
}

// set returns the keys as a JWK Set.
func (r suiteRow) set() []byte {
	if bytes.Contains(r.Key, []byte(`"keys"`)) {
		return r.Key
	}
	return slices.Concat([]byte(`{"keys":[`), r.Key, []byte(`]}`))
}

// TestSuite holds Verify against the signatures of Project Wycheproof.
// Algorithms with a key that both sides hold are refused whatever the token;
// TestSuiteSymmetric has those.
func TestSuite(t *testing.T) {
	t.Parallel()
	algs := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"}
	rows, valid := readSuite(t), 0
	for _, r := range rows {
		keys := func(string, string) ([]jose.JSONWebKey, error) {
			set, err := ParseKeys(r.set())
			return set.Keys, err
		}
		_, _, err := Verify(r.token(), keys, algs)
		want := (r.Result == "valid") != (suiteExceptions[r.ID] != "") && !bytes.Contains(r.Key, []byte(`"oct"`))
		if (err == nil) != want {
			t.Errorf("%s %s %v: %v, want it %s", r.ID, r.Comment, r.Flags, err, r.Result)
		}
		if want {
			valid++
		}
	}
	if len(rows) != 476 || valid != 33 {
		t.Errorf("%d rows, of which %d are valid and have a public key; want 476 and 33", len(rows), valid)
	}
}

// TestSuiteSymmetric runs the rows with symmetric keys, which the server never
// has, through the same parser and the same choice of the key, so that their
// verdicts are about the token rather than the algorithm.
func TestSuiteSymmetric(t *testing.T) {
	t.Parallel()
	algs := []string{"HS256", "HS384", "HS512"}
	checked := map[string]int{}
	for _, r := range readSuite(t) {
		keys := symmetricKeys(r.set())
		if len(keys) == 0 {
			continue
		}
		tok, err := parse(r.token())
		if err == nil {
			err = tok.verify(func(string, string) ([]jose.JSONWebKey, error) { return keys, nil }, algs, checkHMAC)
		}
		if want := (r.Result == "valid") != (suiteExceptions[r.ID] != ""); (err == nil) != want {
			t.Errorf("%s %s %v: %v, want it %s", r.ID, r.Comment, r.Flags, err, r.Result)
		}
		checked[r.Result]++
	}
	if checked["valid"] != 16 || checked["invalid"] < 40 {
		t.Errorf("rows by result: %v", checked)
	}
}

// symmetricKeys returns the keys of a set that has symmetric ones only.
func symmetricKeys(set []byte) []jose.JSONWebKey {
	var s struct{ Keys []json.RawMessage }
	if json.Unmarshal(set, &s) != nil {
		return nil
	}
	var keys []jose.JSONWebKey
	for _, raw := range s.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) != nil {
			continue
		}
		if _, ok := k.Key.([]byte); !ok {
			return nil
		}
		keys = append(keys, k)
	}
	return keys
}

// checkHMAC is a checker for symmetric keys.
func checkHMAC(t token, key any) error {
	secret := key.([]byte)
	m := jwt.GetSigningMethod(t.header.Algorithm).(*jwt.SigningMethodHMAC)
	if len(secret) < m.Hash.Size() {
		return errors.New("the key is too short")
	}
	return m.Verify(t.signed, t.signature, secret)
}
