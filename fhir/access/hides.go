package access

// Hides reports whether a security label can hide the resource that has it from
// somebody.
func Hides(system, code string) bool { return labelOf(system, code) != "" }
