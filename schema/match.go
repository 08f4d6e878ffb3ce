package schema

// A verification root states a row's key and the values that some of its fields
// are expected to have, and is answered with true or false.

// ExpectArgument is the argument of a RootMatch that states the expected values.
const ExpectArgument = "expect"

// Guessable says why stating a value of the field would be no verification but
// a way to learn it by trying, "" if it would not: "a Boolean", "entropy LOW".
// Such fields are in no …Expect, and no policy grants `match` on them alone.
func (f *Field) Guessable() string {
	switch {
	case f.Relation != nil:
		return ""
	case f.Kind == Boolean:
		return "a Boolean"
	case f.Kind == Enum:
		return "an enum"
	case f.Kind == Date || f.Kind == DateTime || f.Kind == Time:
		return "a date"
	case f.LowEntropy:
		return "entropy LOW"
	case f.Mask != nil && f.Mask.Name == "PSEUDONYM":
		return "beside a PSEUDONYM"
	}
	return ""
}

// Matchable reports whether a value of the field can be stated in an …Expect:
// one whole value, exactly comparable, of which there are too many to try.
func (f *Field) Matchable() bool {
	return f.comparable() && f.Guessable() == ""
}

// Expected are the fields of the type's …Expect, in SDL order: those that can be
// matched, without the key, which has arguments of its own.
func (t *Type) Expected() []*Field {
	key := map[string]bool{}
	for _, k := range t.Source.KeyFields {
		key[k] = true
	}
	var out []*Field
	for _, f := range t.Fields {
		if f.Matchable() && !key[f.Name] {
			out = append(out, f)
		}
	}
	return out
}

// expect names the input of a type's expected values, and prints it.
func (g *generator) expect(t *Type) string {
	name := t.Name + "Expect"
	var b body
	b.open("Values that a "+t.Name+" is expected to have. At least one is stated, none is null, and all must be equal.", "input "+name)
	for _, f := range t.Expected() {
		g.use(f)
		b.member("", f.Name+": "+f.TypeSDL)
	}
	g.text[name] = b.close()
	return name
}
