package bearer

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTrapJSON holds DecodeFields against what encoding/json lets pass: the
// last of two members wins there, in whatever letters.
func TestTrapJSON(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`{"sub":"a"}`:                         true,
		`{"sub":"a","x":{"sub":"b"}}`:         true,
		`{"sub":"a","sub":"b"}`:               false,
		`{"sub":"a","Sub":"b"}`:               false,
		"{\"sub\":\"a\",\"\u017Fub\":\"b\"}":  false, // long s
		`{"sub":"a","\u0073ub":"b"}`:          false,
		`{"x":[{"a":1,"A":2}]}`:               false,
		`{"sub":"a"} {"sub":"b"}`:             false,
		`{"sub":"a"}x`:                        false,
		`{"sub":"a",}`:                        false,
		`{"sub":"\ud800"}`:                    false,
		`{"exp":1e999}`:                       false,
		`{"exp":01}`:                          false,
		`{'sub':'a'}`:                         false,
		`null`:                                false,
		``:                                    false,
		`{"a":` + strings.Repeat(`{"a":`, 17): false,
	} {
		if _, err := DecodeFields([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: error %v", text, err)
		}
	}
	var trapped struct {
		Sub string `json:"sub"`
	}
	if err := json.Unmarshal([]byte(`{"sub":"a","Sub":"b"}`), &trapped); err != nil || trapped.Sub != "b" {
		t.Errorf("encoding/json reads %q, %v: the trap is gone", trapped.Sub, err)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	f, err := DecodeFields([]byte(`{"s":"x","n":1.9,"l":["a","b"],"m":["a",1],"o":{},"big":1e15,"neg":-1}`))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Text("s"); s != "x" || err != nil {
		t.Errorf("Text: %q, %v", s, err)
	}
	if s, err := f.Text("none"); s != "" || err != nil {
		t.Errorf("Text of nothing: %q, %v", s, err)
	}
	if l, err := f.Texts("l"); !slices.Equal(l, []string{"a", "b"}) || err != nil {
		t.Errorf("Texts: %q, %v", l, err)
	}
	if l, err := f.Texts("s"); !slices.Equal(l, []string{"x"}) || err != nil {
		t.Errorf("Texts of one: %q, %v", l, err)
	}
	if at, err := f.Time("n"); !at.Equal(time.Unix(1, 0)) || err != nil {
		t.Errorf("Time: %v, %v", at, err)
	}
	for _, name := range []string{"n", "l", "o"} {
		if s, err := f.Text(name); err == nil {
			t.Errorf("Text of %s: %q", name, s)
		}
	}
	for _, name := range []string{"n", "m", "o"} {
		if l, err := f.Texts(name); err == nil {
			t.Errorf("Texts of %s: %q", name, l)
		}
	}
	for _, name := range []string{"s", "l", "big", "neg"} {
		if at, err := f.Time(name); err == nil {
			t.Errorf("Time of %s: %v", name, at)
		}
	}
}

// FuzzFields holds DecodeFields against the decoder of the library: what it
// accepts, that one reads too, and finds the same in it.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"A":2}`, `{"sub":"a","aud":["b",{"c":null}],"exp":1.5e3}`, `{"a":"\u0061"}`, `{"a":true}x`, `[[`, "{\"\u212A\":1,\"k\":2}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeFields(data)
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("the library refuses it: %v", err)
		}
		if !reflect.DeepEqual(plain(got), any(want)) {
			t.Errorf("read %v, the library %v", got, want)
		}
		if err := got.Spelled("iss", "sub"); err == nil {
			for name := range got {
				if strings.EqualFold(name, "iss") && name != "iss" {
					t.Errorf("%q passes for iss", name)
				}
			}
		}
	})
}

// plain returns v with maps as the library makes them.
func plain(v any) any {
	switch v := v.(type) {
	case Fields:
		m := map[string]any{}
		for name, inner := range v {
			m[name] = plain(inner)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	}
	return v
}

// FuzzClaims has any payload read as claims of each kind of token.
func FuzzClaims(f *testing.F) {
	f.Add(newClock().claims(f, nil))
	f.Add(newClock().claims(f, map[string]any{"aud": []string{testBase, "x"}, "context": map[string]any{"patient": "Patient/1"}}))
	f.Add(`{"exp":null,"iat":{},"scope":[1]}`)
	now := newClock().now()
	f.Fuzz(func(t *testing.T, payload string) {
		fields, err := DecodeFields([]byte(payload))
		if err != nil {
			return
		}
		if c, err := ownClaims(Header{Type: "at+jwt"}, fields, []string{testBase}, now); err == nil {
			if c.Grant == "" || c.Client == "" || !slices.Equal(c.Audience, []string{testBase}) || !c.Expires.After(now.Add(-ownSkew)) {
				t.Errorf("%s is accepted as %+v", payload, c)
			}
		}
		if c, err := (Issuer{}).claims(Header{Type: "at+jwt"}, fields, []string{testBase}, now); err == nil {
			if c.Client == "" || c.OwnIssuer || c.Grant != "" || !slices.Equal(c.Audience, []string{testBase}) {
				t.Errorf("%s is accepted as %+v", payload, c)
			}
		}
	})
}
