package search

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"peter", "peter"}, {"Peter James", "peter james"}, {"  a \t\r\n b  ", "a b"}, {" ", ""}, {"a ", "a"}, {" a", "a"}, {"a  b", "a b"},
		{"a\u00a0b\u2003", "a b"}, {"José", "jose"}, {"JOSE\u0301", "jose"}, {"Müller", "muller"}, {"Straße", "strasse"}, {"STRASSE", "strasse"},
		{"ẞ", "ss"}, {"Ørsted", "orsted"}, {"Æsir", "aesir"}, {"œuvre", "oeuvre"}, {"Łódź", "lodz"}, {"Đặng", "dang"}, {"İstanbul", "istanbul"},
		{"ısı", "isi"}, {"ﬁn", "fin"}, {"Ｆｕｌｌ", "full"}, {"ſ", "s"}, {"ΣΊΣΥΦΟΣ", "σισυφοσ"}, {"ς", "σ"}, {"Ёлка", "елка"}, {"Кий", "кии"},
		{"שָׁלוֹם", "שלום"}, {"مُحَمَّد", "محمد"}, {"नमस्ते", "नमस्ते"}, {"が", "か\u3099"}, {"K", "k"}, {"²", "2"}, {"soft\u00adhyphen", "softhyphen"},
		{"\u200bzero", "zero"}, {"a\x00b\x1fc\x7f", "a b c"}, {"\x1e", ""}, {"O'Brien-Smith", "o'brien-smith"}, {"\xff", "\ufffd"},
	} {
		if got := Fold(c.in); got != c.want {
			t.Errorf("Fold(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestFoldAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { Fold("already folded text") }); n > 0 {
		t.Errorf("folding what is folded allocates %v times", n)
	}
	if n := testing.AllocsPerRun(10, func() { dateRange("2024-03-04T10:05:06.123+01:00") }); n > 0 {
		t.Errorf("reading a date allocates %v times", n)
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "Peter", "José  Ñandú", "ẞ", "\xff\xfe", "a\u0301\u0327", "ﷺ", "İı", "ǅ", "\u1fb3", "ϓ", "\u0345Α"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := Fold(s)
		if again := Fold(folded); again != folded {
			t.Errorf("Fold(%q) = %q, and that folds to %q", s, folded, again)
		}
		if strings.TrimSpace(folded) != folded || strings.Contains(folded, "  ") || strings.IndexFunc(folded, unicode.IsControl) >= 0 {
			t.Errorf("Fold(%q) = %q has superfluous space", s, folded)
		}
		if len(folded) > 20*len(s)+8 {
			t.Errorf("Fold made %d bytes of %d", len(folded), len(s))
		}
		FoldContact(s)
		for _, w := range SplitWords(s) {
			if len(w) > maxWord || w == "" || !slices.Equal(SplitWords(w), []string{w}) {
				t.Errorf("%q has the word %q, which has %q", s, w, SplitWords(w))
			}
		}
	})
}

func TestFoldContact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"(03) 5555 6473", "0355556473"}, {"+44 (0)20-7946.0958", "+4402079460958"}, {"Jim@Example.org", "jim@example.org"},
		{"555 1234 ext 5", "555 1234 ext 5"}, {"12", "12"}, {"", ""}, {"1+23", "1+23"}, {"http://A.org/x", "http://a.org/x"}, {"020\u00a07946", "0207946"},
	} {
		if got := FoldContact(c.in); got != c.want {
			t.Errorf("FoldContact(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	res := decoded(t, `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p title='no'>Li&#233;<b>ge</b> &amp; Co.</p><!-- <p>not</p> --><ul><li>one</li><li>Two</li></ul></div>"},
		"gender":"male","name":[{"family":"O'Neil","given":["Élodie","one"]}],
		"maritalStatus":{"coding":[{"system":"http://x/y","code":"M","display":"Never-Married"}]},"contained":[{"resourceType":"Organization","id":"o","name":"Clinic"}]}`)
	same(t, "narrative", WordsOf(res.Root(), true), []string{"co", "liege", "one", "two"})
	same(t, "content", WordsOf(res.Root(), false), []string{"clinic", "co", "elodie", "liege", "married", "neil", "never", "o", "one", "two"})
	long := strings.Repeat("é", 100)
	same(t, "a long word", SplitWords(long), []string{strings.Repeat("e", maxWord)})
	same(t, "no words", SplitWords(" -- . "), []string{})
}

func BenchmarkWords(b *testing.B) {
	root := sample(b, "communication").Root()
	b.ReportAllocs()
	for b.Loop() {
		WordsOf(root, false)
	}
}
