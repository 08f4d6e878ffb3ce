package schema

import (
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/authz/masks"
)

// buildTypes makes a Type of every sourced object type, with the columns among
// its fields complete; relations have their targets but no fields yet.
func (l *linter) buildTypes() {
	for _, d := range l.order {
		if d.Kind == ast.Object {
			l.buildType(d)
		}
	}
	l.collectDepartments()
	l.compareLevels()
}

func (l *linter) buildType(d *ast.Definition) {
	at := place(d.Position)
	source := d.Directives.ForName("source")
	if source == nil {
		l.suggest(at, codeUnsourcedType, "say where its rows live: @source(department: …, table: …, key: […])", "type %s has no @source", d.Name)
	}
	t := Type{Name: d.Name, Description: d.Description, Position: at}
	classified := d.Directives.ForName("classified")
	if classified == nil {
		l.suggest(at, codeUnclassifiedType, "give it @classified(level: …)", "type %s has no level", d.Name)
	}
	t.Level = l.level(classified)
	t.Sharing = l.sharing(d.Directives.ForName("sharing"))
	if len(d.Fields) == 0 {
		l.errorf(at, codeEmptyType, "type %s has no fields", d.Name)
	}
	seen := map[string]bool{}
	for _, f := range d.Fields {
		if seen[f.Name] {
			l.errorf(place(f.Position), codeDuplicateField, "type %s has the field %s already", d.Name, f.Name)
			continue
		}
		seen[f.Name] = true
		l.checkDirectives(f.Directives, ast.LocationFieldDefinition)
		if field := l.buildField(&t, f, classified != nil); field != nil {
			t.Fields = append(t.Fields, field)
			l.fields[field] = f
		}
	}
	l.buildSource(&t, source)
	t.Fresh = l.fresh(&t, d.Directives.ForName("fresh"))
	l.catalogue.Types[d.Name] = NewType(t)
}

// level reads the level of a @classified; the highest when it cannot be read.
func (l *linter) level(d *ast.Directive) Rank {
	name, at := l.text(d, "level")
	rank, ok := l.settings.Levels.Rank(name)
	if ok {
		return rank
	}
	if name != "" || l.argument(d, "level") != nil {
		var known []string
		for _, level := range l.settings.Levels {
			known = append(known, level.Name)
		}
		l.suggest(at, codeUnknownLevel, "one of "+strings.Join(known, ", "), "there is no level %q", name)
	}
	return l.settings.Levels.Highest()
}

// sharing reads a @sharing. Without one a type is conditional, not
// unconditional: what its owner has not classed is not open to wildcards.
func (l *linter) sharing(d *ast.Directive) Sharing {
	mode, at := l.text(d, "mode")
	basis, _ := l.text(d, "basis")
	s := Sharing{Mode: Conditional, Basis: basis}
	switch mode {
	case "UNCONDITIONAL":
		s.Mode = Unconditional
	case "WITHHELD":
		s.Mode = WithheldSharing
		if strings.TrimSpace(basis) == "" {
			l.suggest(at, codeWithheldNoBasis, "give the provision: @sharing(mode: WITHHELD, basis: …)", "sharing is WITHHELD without a legal basis")
		}
	}
	return s
}

// shape is what a field's type says, once it is known to be well-formed.
type shape struct {
	name   string
	list   bool
	scalar Scalar
	enum   *EnumType
	object *ast.Definition // of a type, interface or union; nil for columns
}

// shape checks the rules for the types of all fields, sourced or of interfaces.
func (l *linter) shape(owner string, f *ast.FieldDefinition) (shape, bool) {
	at, t := place(f.Type.Position), f.Type
	if at.Line == 0 {
		at = place(f.Position)
	}
	good := true
	if len(f.Arguments) > 0 {
		l.errorf(place(f.Position), codeFieldArguments, "%s.%s cannot have arguments; they are generated", owner, f.Name)
		good = false
	}
	if strings.HasPrefix(f.Name, "_") {
		l.errorf(place(f.Position), codeReservedName, "the name %s is reserved: names that begin with _ are generated", f.Name)
		good = false
	}
	if t.NonNull {
		l.suggest(at, codeNonNull, "without the last !", "%s.%s must be nullable: a reader may not see it, a department may be down", owner, f.Name)
	}
	s := shape{name: t.Name(), list: t.Elem != nil}
	if s.list {
		switch {
		case t.Elem.Elem != nil:
			l.errorf(at, codeNestedList, "%s.%s is a list of lists", owner, f.Name)
			return s, false
		case !t.Elem.NonNull:
			l.suggest(at, codeNullableElement, "["+s.name+"!]", "the elements of %s.%s must be non-null", owner, f.Name)
		}
	}
	if scalar, ok := scalarNamed(s.name); ok {
		s.scalar = scalar
		if scalar == JSON && s.list {
			l.suggest(at, codeUnsupportedType, "JSON: its value may be a list", "%s.%s cannot be a list of JSON", owner, f.Name)
			return s, false
		}
		return s, good
	}
	d := l.definitions[s.name]
	if d == nil {
		l.unknownType(at, s.name)
		return s, false
	}
	if d.Kind == ast.Enum {
		s.scalar, s.enum = Enum, l.catalogue.Enums[s.name]
		return s, good
	}
	s.object = d
	return s, good
}

// typeSDL is the type as it stands in the API: what was declared, but for the
// marks that lint has refused.
func (s shape) typeSDL() string {
	if s.list {
		return "[" + s.name + "!]"
	}
	return s.name
}

func (l *linter) buildField(t *Type, f *ast.FieldDefinition, hasDefault bool) *Field {
	at := place(f.Position)
	s, ok := l.shape(t.Name, f)
	classified := f.Directives.ForName("classified")
	if classified == nil && !hasDefault {
		l.suggest(at, codeUnclassifiedField, "give it, or the type, @classified(level: …)", "%s.%s has no level", t.Name, f.Name)
	}
	if !ok {
		return nil
	}
	field := &Field{
		Coordinate: Coordinate{Type: t.Name, Field: f.Name}, Name: f.Name, Description: f.Description,
		Kind: s.scalar, List: s.list, Enum: s.enum, TypeSDL: s.typeSDL(),
		Level: t.Level, Position: at,
	}
	entropy := ""
	if classified != nil {
		field.Level = l.level(classified)
		field.Category, _ = l.text(classified, "category")
		entropy, _ = l.text(classified, "entropy")
		field.LowEntropy = entropy == "LOW"
	}
	if s.object != nil {
		l.relationShell(field, s, f)
		return field
	}
	if r := f.Directives.ForName("relation"); r != nil {
		l.errorf(place(r.Position), codeMisplaced, "@relation does not belong on %s.%s: %s is not a type", t.Name, f.Name, s.name)
	}
	field.Column = snake(f.Name)
	if c := f.Directives.ForName("column"); c != nil {
		name, where := l.text(c, "name")
		if l.argument(c, "name") != nil && !isIdentifier(name) {
			l.errorf(where, codeInvalidColumn, "%q cannot be a column", name)
		}
		field.Column = name
	}
	l.mask(field, f.Directives.ForName("mask"))
	if d := f.Directives.ForName("dimension"); d != nil {
		field.Dimension = true
		if field.List || field.Kind == JSON {
			l.errorf(place(d.Position), codeDimensionType, "%s cannot be a dimension: rows cannot be grouped by %s", field.Coordinate, field.TypeSDL)
		}
	}
	l.pseudonym(field, f.Directives.ForName("mask"), entropy)
	return field
}

// pseudonym refuses tokens for few values: whoever knows the values, or how often
// each occurs, knows which token is which. A dimension's values are few, and
// aggregates tell both of them, so that it takes the owner's word that they are
// not.
func (l *linter) pseudonym(field *Field, mask *ast.Directive, entropy string) {
	if field.Mask == nil || field.Mask.Name != "PSEUDONYM" {
		return
	}
	_, at := l.text(mask, "with")
	switch {
	case field.LowEntropy || field.Kind == Enum || field.Kind == Boolean:
		l.errorf(at, codeMaskLowEntropy, "%s has too few values for PSEUDONYM: one can try them all", field.Coordinate)
	case field.Dimension && entropy != "HIGH":
		l.suggest(at, codeMaskLowEntropy, "another mask such as NULL, or no @dimension; entropy: HIGH in @classified where the values are too many to try",
			"%s is a dimension, which has too few values for PSEUDONYM: aggregates tell them, and how often each occurs", field.Coordinate)
	}
}

// mask reads the owner's mask rule of a column.
func (l *linter) mask(field *Field, d *ast.Directive) {
	spec, at := l.text(d, "with")
	if l.argument(d, "with") == nil {
		return
	}
	rule, err := masks.Parse(spec)
	if err != nil {
		l.errorf(at, codeUnknownMask, "%v", err)
		return
	}
	if err := rule.Fits(field.Kind.String(), field.List); err != nil {
		l.suggest(at, codeMaskType, oneOf(masks.Fitting(field.Kind.String(), field.List)), "%v", err)
	}
	if (field.Kind == ID || strings.EqualFold(field.Name, "id")) && rule.Name != "PSEUDONYM" && rule.Name != "NULL" {
		l.suggest(at, codeMaskOnID, "PSEUDONYM or NULL",
			"%s is an identity in clients' caches: with %s they would merge rows that look alike", field.Coordinate, rule.Name)
	}
	field.Mask = &MaskUse{Spec: spec, Name: rule.Name, Args: rule.Args}
}

// oneOf suggests one of some words.
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// buildSource reads a @source and checks key and tie-break against the fields.
func (l *linter) buildSource(t *Type, d *ast.Directive) {
	t.Source.TiebreakKind = BigInt
	byColumn := l.columns(t)
	if d == nil {
		return
	}
	var at Position
	t.Source.Department, at = l.text(d, "department")
	if l.argument(d, "department") != nil {
		if l.settings.Departments != nil && !slices.Contains(l.settings.Departments, t.Source.Department) || t.Source.Department == "" {
			l.suggest(at, codeUnknownDepartment, didYouMean(t.Source.Department, l.settings.Departments, quoted), "there is no department %q", t.Source.Department)
		}
	}
	t.Source.Table, at = l.text(d, "table")
	if l.argument(d, "table") != nil {
		parts := strings.Split(t.Source.Table, ".")
		if len(parts) > 2 || slices.ContainsFunc(parts, func(p string) bool { return !isIdentifier(p) }) {
			l.suggest(at, codeInvalidTable, `"table" or "schema.table"`, "%q cannot be a table", t.Source.Table)
		}
	}
	l.buildKey(t, d, byColumn)

	t.Source.Tiebreak, at = l.text(d, "tiebreak")
	if l.argument(d, "tiebreak") == nil {
		return
	}
	if !isIdentifier(t.Source.Tiebreak) {
		l.errorf(at, codeInvalidColumn, "%q cannot be a column", t.Source.Tiebreak)
	}
	if f := byColumn[t.Source.Tiebreak]; f != nil {
		t.Source.TiebreakKind = f.Kind
		if !f.comparable() {
			l.errorf(at, codeTiebreakType, "the tie-break of %s cannot be %s: %s", t.Name, f.Name, f.whyIncomparable())
		}
	}
}

// columns indexes the fields by column, and finds columns with two fields: one
// of the two would get round the other's mask and policy.
func (l *linter) columns(t *Type) map[string]*Field {
	byColumn := map[string]*Field{}
	for _, f := range t.Fields {
		if f.Relation != nil {
			continue
		}
		if first := byColumn[f.Column]; first != nil {
			l.suggest(f.Position, codeDuplicateColumn, "one of them needs @column(name: …)", "%s has the column %s, which %s has already", f.Coordinate, f.Column, first.Name)
			continue
		}
		byColumn[f.Column] = f
	}
	return byColumn
}

func (l *linter) buildKey(t *Type, d *ast.Directive, byColumn map[string]*Field) {
	a := l.argument(d, "key")
	if a == nil {
		return
	}
	columns, places := l.texts(d, "key")
	if len(columns) == 0 {
		l.errorf(place(a.Position), codeInvalidKey, "the key of %s has no columns", t.Name)
	}
	t.Source.Key = columns
	for i, c := range columns {
		switch f := byColumn[c]; {
		case !isIdentifier(c):
			l.errorf(places[i], codeInvalidColumn, "%q cannot be a column", c)
		case slices.Contains(columns[:i], c):
			l.errorf(places[i], codeInvalidKey, "the key of %s has the column %s twice", t.Name, c)
		case f == nil:
			suggestion := "declare a field over it"
			if t.fieldNamed(c) != nil {
				suggestion = "key names columns: " + quoted(t.fieldNamed(c).Column)
			}
			message := "the key column " + c + " of " + t.Name + " has no field: the type has no root by key, no root by ref and no _ref"
			if l.argument(d, "tiebreak") == nil {
				message += ", and its lists, which have no order without a tiebreak, are refused"
			}
			l.found.warn(places[i], codeKeyWithoutField, message, suggestion)
		case !f.comparable():
			l.errorf(places[i], codeKeyNotComparable, "%s cannot be part of a key: %s", f.Coordinate, f.whyIncomparable())
		default:
			t.Source.KeyFields = append(t.Source.KeyFields, f.Name)
		}
	}
	if len(t.Source.KeyFields) != len(columns) {
		t.Source.KeyFields = nil
	}
}

// fieldNamed finds a column's field while the type is not complete yet.
func (t *Type) fieldNamed(name string) *Field {
	for _, f := range t.Fields {
		if f.Name == name && f.Relation == nil {
			return f
		}
	}
	return nil
}

// comparable reports whether equal values of the field have equal bytes: only
// such a field can be a key, a reference or a tie-break. 1.0 and 1.00 are equal
// Decimals, and two Floats can be equal in one engine and not in another.
func (f *Field) comparable() bool {
	if f.Relation != nil || f.List {
		return false
	}
	switch f.Kind {
	case Float, Decimal, JSON:
		return false
	default:
		return true
	}
}

func (f *Field) whyIncomparable() string {
	switch {
	case f.Relation != nil:
		return "it is a relation"
	case f.List:
		return "it is a list"
	default:
		return "values of " + f.TypeSDL + " are not compared byte by byte"
	}
}

func (l *linter) fresh(t *Type, d *ast.Directive) *Fresh {
	if d == nil || l.argument(d, "column") == nil || l.argument(d, "within") == nil {
		return nil
	}
	column, at := l.text(d, "column")
	switch f := fieldOver(t, column); {
	case !isIdentifier(column):
		l.errorf(at, codeInvalidColumn, "%q cannot be a column", column)
	case f != nil && (f.Kind != DateTime || f.List):
		l.errorf(at, codeFreshColumn, "freshness needs a DateTime, and %s is %s", f.Coordinate, f.TypeSDL)
	case f == nil && t.fieldNamed(column) != nil:
		l.suggest(at, codeFreshColumn, quoted(t.fieldNamed(column).Column), "%s is a field of %s; freshness names a column", column, t.Name)
	}
	within, at := l.text(d, "within")
	if age, err := time.ParseDuration(within); err != nil || age <= 0 {
		l.suggest(at, codeFreshDuration, `as in "24h" or "15m"`, "%q is not a duration", within)
	}
	return &Fresh{Column: column, Within: within}
}

func fieldOver(t *Type, column string) *Field {
	for _, f := range t.Fields {
		if f.Relation == nil && f.Column == column {
			return f
		}
	}
	return nil
}

// collectDepartments lists the departments of the sources.
func (l *linter) collectDepartments() {
	seen := map[string]bool{}
	for _, t := range l.catalogue.Types {
		if t.Source.Department != "" {
			seen[t.Source.Department] = true
		}
	}
	l.catalogue.Departments = sortedKeys(seen)
}

// compareLevels finds columns that two types over one table put at different
// levels: the lower one would open what the higher one protects.
func (l *linter) compareLevels() {
	type column struct{ department, table, name string }
	first := map[column]*Field{}
	for _, d := range l.order {
		t := l.catalogue.Types[d.Name]
		if t == nil || t.Source.Table == "" {
			continue
		}
		for _, f := range t.Fields {
			if f.Relation != nil {
				continue
			}
			c := column{t.Source.Department, tableName(t.Source.Table), strings.ToLower(f.Column)}
			if other := first[c]; other == nil {
				first[c] = f
			} else if other.Level != f.Level && (other.Coordinate.Type != t.Name || other.Column != f.Column) {
				l.suggest(f.Position, codeConflictingLevels, "the stricter of the two",
					"the column %s of %s is at %s in %s and at %s here", f.Column, t.Source.Table,
					l.settings.Levels.Name(other.Level), other.Coordinate, l.settings.Levels.Name(f.Level))
			}
		}
	}
}

// tableName makes one name of those that engines take for one table: some
// ignore the case of names, and leave out the schema where it is the usual one.
func tableName(table string) string {
	table = strings.ToLower(table)
	for _, usual := range [...]string{"main.", "public."} {
		table = strings.TrimPrefix(table, usual)
	}
	return table
}
