package searchsql

import (
	"regexp"
	"strings"
	"testing"
)

// TestLongLists asks an index for many keys: each part of the statement asks for
// a few, all of them are asked for, and what is only held against rows stays
// whole.
func TestLongLists(t *testing.T) {
	t.Parallel()
	tables := &Tables{Numbers: map[string]int16{"Task": 140}, Parts: map[int16]string{140: "res_task"}, Rest: "res_other"}
	keys := make([]int64, 250)
	for i := range keys {
		keys[i] = int64(1000 + i)
	}
	arm := Arm{Filter: Filter{Type: "Task", All: []int64{7}, Any: [][]int64{{1, 2}, keys}}, Keys: Order(nil, nil)}
	page := Page{Arms: []Arm{arm}, Limit: 5}
	paged, err := page.Statement(tables)
	if err != nil {
		t.Fatal(err)
	}
	count, ids, pointing := Count{Arms: []Arm{arm}}, IDs{Arm: arm}, Pointing{Arm: arm, Salts: []int64{9}}
	lists := regexp.MustCompile(`&& '\{(1[0-9]{3}[^}]*)\}'`)
	for name, s := range map[string]Statement{"page": paged, "count": count.Statement(tables), "ids": ids.Statement(tables), "pointing": pointing.Statement(tables)} {
		asked := 0
		for _, list := range lists.FindAllStringSubmatch(s.SQL, -1) {
			n := strings.Count(list[1], ",") + 1
			if asked += n; n > longList {
				t.Errorf("%s asks for %d keys at once", name, n)
			}
		}
		if asked != len(keys) || strings.Count(s.SQL, " UNION ") != 4 {
			t.Errorf("%s asks for %d keys: %s", name, asked, s.SQL)
		}
	}
	arm.Scan = Scan{All: []bool{true}, Any: []bool{false, false}}
	page.Arms[0] = arm
	if held, err := page.Statement(tables); err != nil || strings.Contains(held.SQL, "UNION") {
		t.Errorf("%s, %v", held.SQL, err)
	}
}
