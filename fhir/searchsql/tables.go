package searchsql

// Tables says where the rows of the resource types are.
type Tables struct {
	Numbers map[string]int16 // of all resource types, as in res_type
	Parts   map[int16]string // names of the partitions of res that hold one type alone
	Rest    string           // name of the partition of all other types
}

// Of returns the name of the table that has the rows of a type, and perhaps those
// of others; the empty type stands for all.
func (t *Tables) Of(typ string) string {
	table, _ := t.from(typ)
	return table
}

// from returns the table that has the rows of a type, and the number that tells
// them apart in it, or 0 when nothing else is there. The empty type stands for
// all.
func (t *Tables) from(typ string) (table string, number int16) {
	if typ == "" {
		return "res", 0
	}
	number = t.Numbers[typ]
	if part, ok := t.Parts[number]; ok {
		return part, 0
	}
	return t.Rest, number
}
