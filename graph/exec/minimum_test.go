package exec

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/weir-data/weir/internal/keyring"
)

// settle gives n people of a district and band with this income.
func settle(people []citizen, n int, district, band, income string) []citizen {
	for range n {
		people = append(people, citizen{id: strconv.Itoa(1000 + len(people)), district: district, band: band, income: income})
	}
	return people
}

// counted lists the districts that are shown, and of them those with a sum.
func counted(groups []map[string]any) (shown, summed []string) {
	for _, g := range groups {
		district := g["group"].(map[string]any)["district"].(string)
		shown = append(shown, district)
		if sum, ok := g["sum"].(map[string]any); ok && sum["income"] != nil {
			summed = append(summed, district)
		}
	}
	return shown, summed
}

// How many persons a number is over at least is its level's: for the rows (the
// second level) another than for a field of the third. A level that the list
// does not reach has ten, and none has fewer than three.
func TestMinimumIsOfTheLevel(t *testing.T) {
	var people []citizen
	for i, n := range []int{4, 40, 40, 40} {
		people = settle(people, n, string(rune('A'+i)), "0", "100")
	}
	w := census(t, people, nil)
	const query = "{ a: peopleAggregate { group { district } count sum { income } } }"
	for _, test := range []struct {
		minimum       []int
		shown, summed string
	}{
		// Four in A: enough for the count. The sum leaves out A, and B with it.
		{[]int{3, 3, 10}, "ABCD", "CD"},
		{[]int{50, 3, 3}, "ABCD", "ABCD"},
		{[]int{3, 5, 3}, "CD", "CD"},
		{[]int{3, 3}, "ABCD", "CD"},
		{nil, "CD", "CD"},
	} {
		w.executor.aggregates.Minimum = test.minimum
		shown, summed := counted(w.groups(t, "statistician", query))
		if !slices.Equal(shown, runes(test.shown)) || !slices.Equal(summed, runes(test.summed)) {
			t.Errorf("%v: shown %v, summed %v, want %s and %s", test.minimum, shown, summed, test.shown, test.summed)
		}
	}
	w = census(t, settle(settle(settle(people, 2, "E", "0", "100"), 40, "F", "0", "100"), 40, "G", "0", "100"), nil)
	w.executor.aggregates.Minimum = []int{0, 1, 2}
	if shown, _ := counted(w.groups(t, "statistician", query)); !slices.Equal(shown, runes("ABCDG")) {
		t.Errorf("two persons, and the next group, are left out whatever the minimum: %v", shown)
	}
}

func runes(s string) []string {
	out := make([]string, 0, len(s))
	for _, r := range s {
		out = append(out, string(r))
	}
	return out
}

// A small cell is not given away by its row of the table, nor by its column: in
// each at least one more is left out.
func TestComplementsOfEveryDimension(t *testing.T) {
	var people []citizen
	for _, district := range runes("ABC") {
		for band := range 3 {
			n := 20
			if district == "B" && band == 1 {
				n = 2
			}
			people = settle(people, n, district, strconv.Itoa(band), "100")
		}
	}
	rows, columns := map[string]int{}, map[string]int{}
	for _, g := range census(t, people, nil).groups(t, "statistician", "{ a: peopleAggregate { group { district band } count } }") {
		of := g["group"].(map[string]any)
		rows[of["district"].(string)]++
		columns[strconv.Itoa(int(of["band"].(float64)))]++
	}
	if rows["B"] > 1 || columns["1"] > 1 || rows["A"]+rows["B"]+rows["C"] < 5 {
		t.Errorf("by district %v, by band %v", rows, columns)
	}
}

// What is left out of the count is left out of every sum: else a sum over the
// same group would be over others than are counted.
func TestSumsAreOverWhatIsCounted(t *testing.T) {
	people := settle(settle(settle(nil, 2, "A", "0", ""), 200, "A", "1", "100"), 200, "A", "2", "100")
	got := census(t, people, nil).groups(t, "statistician", "{ a: peopleAggregate(where: {band: {_gte: 0}}) { group { district } count sum { income } } }")
	if len(got) != 1 {
		t.Fatal(got)
	}
	count, err := strconv.Atoi(got[0]["count"].(string))
	if err != nil || count < 190 || count > 210 {
		t.Errorf("%v are counted, of 200 beside two and their complement", got[0]["count"])
	}
	// 20,000, within ten standard deviations of the noise.
	sum, err := strconv.ParseFloat(got[0]["sum"].(map[string]any)["income"].(string), 64)
	if err != nil || math.Abs(sum-20_000) > 9_000 {
		t.Errorf("their incomes are %v", got[0]["sum"])
	}
}

// To a sum each person adds noise of his own, so that it grows with the group:
// what the set alone adds is never more than six contributions.
func TestPersonsAddNoiseToSums(t *testing.T) {
	const groups, each, income = 40, 150, 100
	var people []citizen
	for i := range groups {
		people = settle(people, each, "D"+strconv.Itoa(100+i), "0", strconv.Itoa(income))
	}
	far, squares := 0, 0.0
	for _, g := range census(t, people, nil).groups(t, "statistician", "{ a: peopleAggregate { group { district } sum { income } } }") {
		sum, err := strconv.ParseFloat(g["sum"].(map[string]any)["income"].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		off := sum/income - each
		squares += off * off
		if math.Abs(off) > 6 {
			far++
		}
	}
	// Two of the set and half of one for each of 150: 6.4.
	if deviation := math.Sqrt(squares / groups); far == 0 || deviation < 3.5 || deviation > 11 {
		t.Errorf("%d of %d sums are off by more than six, standard deviation %.1f", far, groups, deviation)
	}
}

// Two types, and two fields of one, have noise of their own: the difference of
// two numbers over the same persons is not exact.
func TestNoiseIsOfTypeAndField(t *testing.T) {
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	persons, names := map[uint32]*contribution{}, []string{}
	for i := range uint32(40) {
		persons[i] = &contribution{rows: 1}
		persons[i].sum.n.SetInt64(1_000_000)
		names = append(names, strconv.Itoa(int(i)))
	}
	one := noise{ring, "police\x00Person"}
	seen := map[string]bool{}
	for _, n := range []number{
		one.protected("income", names, contributors{persons}, sumOf, true),
		one.protected("debt", names, contributors{persons}, sumOf, true),
		noise{ring, "police\x00Visit"}.protected("income", names, contributors{persons}, sumOf, true),
		noise{ring, "health\x00Person"}.protected("income", names, contributors{persons}, sumOf, true),
	} {
		seen[n.n.String()] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different sums of four", len(seen))
	}
}

// Who contributes more than the third largest contribution is cut to it, to
// whichever side.
func TestContributionsAreCut(t *testing.T) {
	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	for _, far := range []int64{1_000_000, -1_000_000} {
		persons, names := map[uint32]*contribution{}, []string{}
		for i := range uint32(40) {
			persons[i] = &contribution{rows: 1}
			persons[i].sum.n.SetInt64(100)
			names = append(names, strconv.Itoa(int(i)))
		}
		persons[0].sum.n.SetInt64(far)
		persons[1].sum.n.SetInt64(far)
		got := noise{ring, "police\x00Person"}.protected("income", names, contributors{persons}, sumOf, false)
		want := int64(4_000)
		if far < 0 {
			want = 3_600 // two at -100
		}
		// The set adds at most six contributions; two cut to the wrong side would
		// be four, so that the middle of many sets tells.
		sum := got.n.Int64() - want
		for round := range int64(200) {
			persons[2].sum.n.SetInt64(100 - round%2)
			names[3] = "other " + strconv.FormatInt(round, 10)
			n := noise{ring, "police\x00Person"}.protected("income", names, contributors{persons}, sumOf, false)
			sum += n.n.Int64() - want
		}
		if mean := sum / 201; mean > 100 || mean < -100 {
			t.Errorf("two at %d: off by %d on the mean", far, mean)
		}
	}
}
