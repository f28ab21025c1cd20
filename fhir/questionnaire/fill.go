package questionnaire

import (
	"cmp"
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// A filling is what is to be written into a response.
type filling struct {
	src   []byte // the response
	lists map[*place]*[]*fill
	edits []edit
}

// A fill is a new item.
type fill struct {
	item    *item
	answers []filledAnswer
	items   []*fill
}

// An edit writes text at an offset.
type edit struct {
	offset int
	text   []byte
}

// add returns a new item for p. If p is a group that was left out it is new, too.
func (f *filling) add(p *place, it *item) *fill {
	list := f.list(p)
	for _, one := range *list {
		if one.item == it {
			return one
		}
	}
	one := &fill{item: it}
	*list = append(*list, one)
	return one
}

func (f *filling) list(p *place) *[]*fill {
	if p.node.IsZero() {
		return &f.add(p.outer, p.of).items
	}
	if f.lists[p] == nil {
		f.lists[p] = new([]*fill)
	}
	return f.lists[p]
}

// answer writes answers into an entry without any.
func (f *filling) answer(e *entry, answers []filledAnswer) {
	f.append(e.node, appendAnswers(nil, answers))
}

// append writes members at the end of an object that has some.
func (f *filling) append(object fhir.Node, members []byte) {
	raw := object.Raw()
	f.edits = append(f.edits, edit{f.offset(raw) + len(raw) - 1, members})
}

// offset returns where a part of f.src begins: it shares the memory up to its end.
func (f *filling) offset(part []byte) int { return cap(f.src) - cap(part) }

// apply returns the response with everything in it.
func (f *filling) apply() []byte {
	for p, list := range f.lists {
		slices.SortFunc(*list, func(a, b *fill) int { return cmp.Compare(a.item.at, b.item.at) })
		f.place(p, *list)
	}
	slices.SortStableFunc(f.edits, func(a, b edit) int { return cmp.Compare(a.offset, b.offset) })
	dst := make([]byte, 0, len(f.src)+256*len(f.edits))
	done := 0
	for _, e := range f.edits {
		dst = append(append(dst, f.src[done:e.offset]...), e.text...)
		done = e.offset
	}
	return append(dst, f.src[done:]...)
}

// place writes new items between those that p has, in the order of the form.
func (f *filling) place(p *place, list []*fill) {
	first := p.node.Child("item")
	if first.IsZero() {
		f.append(p.node, appendItems([]byte{']'}, itemsOf(list))[1:])
		return
	}
	for _, one := range list {
		text := appendItems([]byte{'{'}, itemsOf([]*fill{one}))
		text = text[len(`{"item":[`) : len(text)-1]
		if before := lastBefore(p, one.item); !before.IsZero() {
			raw := before.Raw()
			f.edits = append(f.edits, edit{f.offset(raw) + len(raw), append([]byte{','}, text...)})
			continue
		}
		f.edits = append(f.edits, edit{f.offset(first.Raw()), append(text[:len(text):len(text)], ',')})
	}
}

// lastBefore returns the last item of p that the form has before another.
func lastBefore(p *place, it *item) fhir.Node {
	for i := len(p.entries) - 1; i >= 0; i-- {
		if e := p.entries[i]; e.fault == "" && e.item.at < it.at {
			return e.node
		}
	}
	return fhir.Node{}
}

func itemsOf(list []*fill) []filledItem {
	items := make([]filledItem, len(list))
	for i, one := range list {
		slices.SortFunc(one.items, func(a, b *fill) int { return cmp.Compare(a.item.at, b.item.at) })
		items[i] = filledItem{linkID: one.item.linkID, answers: one.answers, items: itemsOf(one.items)}
	}
	return items
}
