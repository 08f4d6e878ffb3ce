package schema

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// relationShell makes a relation of a field, as far as the field alone tells.
func (l *linter) relationShell(field *Field, s shape, f *ast.FieldDefinition) {
	field.List = false
	field.Relation = &Relation{Target: s.name, Many: s.list}
	for _, name := range [...]string{"column", "mask", "dimension", "subject"} {
		if d := f.Directives.ForName(name); d != nil {
			l.errorf(place(d.Position), codeMisplaced, "@%s does not belong on %s: it is a relation", name, field.Coordinate)
		}
	}
	d := f.Directives.ForName("relation")
	if d == nil {
		l.suggest(field.Position, codeMissingRelation, "say how rows are found: @relation(fields: […], references: […])",
			"%s leads to %s and has no @relation", field.Coordinate, s.name)
		return
	}
	field.Relation.CarriesKey = l.flag(d, "carriesKey")
	if field.Relation.CarriesKey && s.list {
		at := place(l.argument(d, "carriesKey").Position)
		l.errorf(at, codeCarriesKeyToMany, "%s leads to many rows, and a key is carried to one only", field.Coordinate)
	}
}

// buildRelations completes the relations, now that all types are known.
func (l *linter) buildRelations() {
	for _, d := range l.order {
		t := l.catalogue.Types[d.Name]
		if t == nil {
			continue
		}
		for _, f := range t.Fields {
			if f.Relation == nil {
				continue
			}
			if r := l.fields[f].Directives.ForName("relation"); r != nil {
				l.buildRelation(t, f, r)
			}
		}
	}
}

func (l *linter) buildRelation(t *Type, f *Field, d *ast.Directive) {
	fields, fieldPlaces := l.texts(d, "fields")
	references, referencePlaces := l.texts(d, "references")
	if l.argument(d, "fields") == nil || l.argument(d, "references") == nil {
		return
	}
	if len(fields) == 0 || len(fields) != len(references) {
		l.errorf(place(d.Position), codeRelationArity, "%s needs as many references as fields, and at least one", f.Coordinate)
		return
	}
	f.Relation.Fields, f.Relation.References = fields, references

	near := make([]*Field, len(fields))
	for i, name := range fields {
		near[i] = l.keyField(t, name, fieldPlaces[i])
		if slices.Contains(fields[:i], name) {
			l.errorf(fieldPlaces[i], codeRelationArity, "%s names the field %s twice", f.Coordinate, name)
		}
	}
	for i, name := range references {
		if slices.Contains(references[:i], name) {
			l.errorf(referencePlaces[i], codeRelationArity, "%s names the reference %s twice", f.Coordinate, name)
		}
	}
	members := l.catalogue.MembersOf(f.Relation.Target)
	for _, name := range members {
		far := l.catalogue.Types[name]
		for i, reference := range references {
			l.compareKeys(f, near[i], far, reference, referencePlaces[i])
		}
		if !f.Relation.Many && !unique(far, references) {
			l.suggest(place(d.Position), codeToOneNotUnique, "lead to many with ["+f.Relation.Target+"!], or reference the whole key",
				"%s leads to one row, and %s may have several with the same %s", f.Coordinate, name, list(references))
		}
	}
	if far := l.catalogue.Types[f.Relation.Target]; far != nil {
		f.Relation.SameSource = far.Source.Department == t.Source.Department
	}
}

// keyField finds a field that can be compared exactly; nil, with a finding,
// when there is none.
func (l *linter) keyField(t *Type, name string, at Position) *Field {
	f := t.Field(name)
	if f == nil {
		l.unknownField(at, t, name)
		return nil
	}
	if !f.comparable() {
		l.errorf(at, codeKeyNotComparable, "%s cannot join rows: %s", f.Coordinate, f.whyIncomparable())
		return nil
	}
	return f
}

func (l *linter) unknownField(at Position, t *Type, name string) {
	// Fields that were refused are not in the type, but they were declared.
	if l.definitions[t.Name].Fields.ForName(name) != nil {
		return
	}
	var known []string
	for _, f := range t.Fields {
		known = append(known, f.Name)
	}
	l.suggest(at, codeUnknownField, didYouMean(name, known, quoted), "type %s has no field %q", t.Name, name)
}

func (l *linter) compareKeys(f, near *Field, far *Type, reference string, at Position) {
	there := l.keyField(far, reference, at)
	if near == nil || there == nil {
		return
	}
	if joinKind(near.Kind) != joinKind(there.Kind) || near.Enum != there.Enum {
		l.errorf(at, codeRelationKeyType, "%s compares %s, which is %s, with %s, which is %s", f.Coordinate, near.Coordinate, near.TypeSDL, there.Coordinate, there.TypeSDL)
	}
}

// joinKind folds the two names that GraphQL has for text.
func joinKind(s Scalar) Scalar {
	if s == ID {
		return String
	}
	return s
}

// unique reports whether at most one row of the type has given values in the
// fields: they hold the whole key, or the tie-break.
func unique(t *Type, fields []string) bool {
	columns := make([]string, 0, len(fields))
	for _, name := range fields {
		if f := t.Field(name); f != nil {
			columns = append(columns, f.Column)
		}
	}
	if t.Source.Tiebreak != "" && slices.Contains(columns, t.Source.Tiebreak) {
		return true
	}
	missing := slices.ContainsFunc(t.Source.Key, func(k string) bool { return !slices.Contains(columns, k) })
	// A key that could not be read has had its finding; an unknown reference too.
	return !missing || len(columns) < len(fields)
}

// buildSubjects reads the @subject fields with what they cover.
func (l *linter) buildSubjects() {
	for _, d := range l.order {
		t := l.catalogue.Types[d.Name]
		if t == nil {
			continue
		}
		for _, f := range t.Fields {
			s := l.fields[f].Directives.ForName("subject")
			if s == nil || f.Relation != nil {
				continue
			}
			if !identifies(f) {
				l.errorf(place(s.Position), codeSubjectType, "%s cannot identify a person: a subject is a String, ID, UUID, Int or BigInt", f.Coordinate)
			}
			subject := Subject{Field: f.Name}
			covers, places := l.texts(s, "covers")
			for i, c := range covers {
				if t.Field(c) == nil {
					l.unknownField(places[i], t, c)
				}
			}
			if l.argument(s, "covers") != nil {
				// Not nil even when empty: nil means all fields.
				subject.Covers = append([]string{}, covers...)
				if !slices.Contains(covers, f.Name) {
					subject.Covers = append(subject.Covers, f.Name)
				}
			}
			t.Subjects = append(t.Subjects, subject)
		}
	}
}

func identifies(f *Field) bool {
	if f.List {
		return false
	}
	switch f.Kind {
	case String, ID, UUID, Int, BigInt:
		return true
	default:
		return false
	}
}
