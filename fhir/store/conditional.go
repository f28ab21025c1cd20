package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// Criteria say which resources a conditional write is about.
// https://hl7.org/fhir/R4/http.html#ccreate
type Criteria struct {
	Type  string
	Where []search.Condition // all of them must hold

	Generation int // of the [search.Registry] that Where was made by

	// Grant is who asks: nothing is found that it does not show. The zero Grant
	// finds nothing.
	Grant access.Grant
}

// ErrParametersMoved means that criteria were made by other search parameters than
// those in force. [DB.Registry] has the new ones, to make them anew.
var ErrParametersMoved = errors.New("the search parameters have changed")

// A Tx is a transaction.
type Tx struct {
	db      *DB
	session *session
	moved   int            // generation of criteria that were made by other search parameters than those in force
	held    map[int64]bool // locks that it has, see Hold
}

// Read does what [DB.Read] does.
func (tx *Tx) Read(ctx context.Context, k fhir.Key) (*Version, error) {
	return tx.db.held(ctx, tx.session.statement(ctx, tx.db.prepared.read), k)
}

// lockKey returns the key of an advisory lock. Locks are known all over a
// database, which may hold several installations.
func (db *DB) lockKey(name string) int64 { return db.secret.Body([]byte(name)) }

// canonical returns a text that is equal for conditions that differ only in the
// order of their parts.
func canonical(c search.Condition) string {
	switch c := c.(type) {
	case search.And:
		return canonicalAll("and", c)
	case search.Or:
		return canonicalAll("or", c)
	case search.Not:
		return sorted("not", canonical(c.Condition))
	case *search.Test:
		return fmt.Sprintf("test %q %d %t %s", c.Param.URL+" "+c.Param.Code, c.Modifier, c.Missing, canonicalValues(c.Values))
	case *search.Chain:
		return fmt.Sprintf("chain %q %q %s", c.Param.URL, c.Target, canonical(c.Where))
	case *search.Has:
		return fmt.Sprintf("has %q %q %s", c.Source, c.Param.URL, canonical(c.Where))
	case search.IDs:
		return sorted("ids", c...)
	case search.Updated:
		return "updated " + canonicalValues(c.Values)
	}
	return fmt.Sprintf("%#v", c)
}

func canonicalAll(name string, all []search.Condition) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = canonical(c)
	}
	return sorted(name, texts...)
}

func canonicalValues(values []search.Asked) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = canonicalValue(v)
	}
	return sorted("of", texts...)
}

func canonicalValue(v search.Asked) string {
	switch v := v.(type) {
	case search.AskedToken:
		kind := ""
		if v.Kind != nil {
			kind = canonicalValue(*v.Kind)
		}
		v.Kind = nil
		return fmt.Sprintf("%#v %s", v, kind)
	case search.AskedReference:
		token := ""
		if v.Token != nil {
			token = canonicalValue(*v.Token)
		}
		v.Token = nil
		return fmt.Sprintf("%#v %s", v, token)
	case search.AskedComposite:
		texts := make([]string, len(v))
		for i, part := range v {
			texts[i] = canonicalValue(part)
		}
		return fmt.Sprintf("%q", texts)
	}
	return fmt.Sprintf("%#v", v)
}

// sorted writes texts so that no two lists of different texts look alike.
func sorted(name string, texts ...string) string {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return fmt.Sprintf("%s%q", name, slices.Compact(texts))
}
