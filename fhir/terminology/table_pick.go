package terminology

import (
	"context"
	"unicode/utf8"
)

// pick combines the sets of all that is asked for, and reads the concepts of the
// page only.
func (t *table) pick(ctx context.Context, s selection) ([]concept, int, error) {
	for _, f := range s.filters {
		if _, err := t.shape.one(f); err != nil {
			return nil, 0, err
		}
	}
	if s.codes != nil {
		return t.pickCodes(ctx, s)
	}
	set := newBits(t.h.count)
	set.negate(t.h.count)
	for _, f := range s.filters {
		also, err := t.where(ctx, f)
		if err != nil {
			return nil, 0, err
		}
		set.and(also)
	}
	for _, word := range wordsOf(s.text) {
		also, err := t.spoken(ctx, word)
		if err != nil {
			return nil, 0, err
		}
		set.and(also)
	}
	if s.active {
		also, err := t.where(ctx, filter{"inactive", "=", "false"})
		if err != nil {
			return nil, 0, err
		}
		set.and(also)
	}
	found, err := t.at(ctx, set.page(s.offset, s.count))
	return found, set.count(), err
}

// spoken returns the concepts that have a word that begins with one.
func (t *table) spoken(ctx context.Context, word string) (bits, error) {
	word = wordKey(word)
	return t.remember(t.key("word", word), func() (bits, error) {
		set := newBits(t.h.count)
		return set, t.merge(ctx, set, setsFrom, wordKind, word, word+string(utf8.MaxRune))
	})
}

// pickCodes is pick for codes that are named, in that order.
func (t *table) pickCodes(ctx context.Context, s selection) ([]concept, int, error) {
	places, err := t.findAll(ctx, s.codes)
	if err != nil {
		return nil, 0, err
	}
	var found []concept
	total, text := 0, wordsOf(s.text)
	for _, p := range places {
		if p == nil || s.active && p.inactive || !text.match(&p.concept) {
			continue
		}
		ok, err := t.passes(ctx, p, s.filters)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if total >= s.offset && (s.count < 0 || len(found) < s.count) {
			found = append(found, p.concept)
		}
		total++
	}
	return found, total, nil
}
