package fhir

// A Resource is one decoded resource. It does not change: what differs from it
// is decoded anew.
type Resource struct {
	tree   *tree
	top    []member
	meta   []member
	spaced bool
}

// Type returns the resource type: "Patient".
func (r *Resource) Type() string { return r.tree.nodes[0].typ.Name }

// Root returns the resource as a node.
func (r *Resource) Root() Node { return Node{r.tree, 0} }

// ID returns the logical id that the resource says it has, or "".
func (r *Resource) ID() string { return r.Root().Child("id").Text() }

// VersionID returns the meta.versionId that the resource says it has, or "".
func (r *Resource) VersionID() string {
	return r.Root().Child("meta").Child("versionId").Text()
}

// Source returns the JSON text that was decoded.
func (r *Resource) Source() []byte { return r.tree.src }

// Stored returns the stored form of r under the given id: compact, beginning
// with resourceType, id and meta, without meta.versionId and meta.lastUpdated.
// An empty id leaves it out.
func (r *Resource) Stored(id string) []byte {
	dst := make([]byte, 0, len(r.tree.src)+len(id)+32)
	dst = append(dst, `{"resourceType":"`...)
	dst = append(dst, r.Type()...)
	dst = append(dst, '"')
	if id != "" {
		dst = append(dst, `,"id":"`...)
		dst = append(dst, id...)
		dst = append(dst, '"')
	}
	dst = r.appendMeta(dst)
	for _, m := range r.top {
		switch m.name {
		case "resourceType", "id", "meta":
		default:
			dst = r.appendMember(append(dst, ','), m)
		}
	}
	return append(dst, '}')
}

// appendMeta appends meta without what the database knows better.
func (r *Resource) appendMeta(dst []byte) []byte {
	open := false
	for _, m := range r.meta {
		switch m.name {
		case "versionId", "lastUpdated", "_versionId", "_lastUpdated":
			continue
		}
		if open {
			dst = append(dst, ',')
		} else {
			dst = append(dst, `,"meta":{`...)
			open = true
		}
		dst = r.appendMember(dst, m)
	}
	if open {
		dst = append(dst, '}')
	}
	return dst
}

func (r *Resource) appendMember(dst []byte, m member) []byte {
	if !r.spaced {
		return append(dst, r.tree.src[m.lo:m.hi]...)
	}
	return appendCompact(dst, r.tree.src[m.lo:m.hi])
}
