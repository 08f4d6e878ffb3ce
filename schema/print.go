package schema

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// print gives what is left of the API as the generator prints the whole.
func (p *pruning) print() string {
	c := p.catalogue
	var b strings.Builder
	for _, name := range sortedKeys(c.API.Directives) {
		if d := c.API.Directives[name]; d.Position == nil || d.Position.Src == nil || !d.Position.Src.BuiltIn {
			b.WriteString(printDirective(d))
		}
	}
	write := func(name string) { b.WriteString("\n" + p.printDefinition(c.API.Types[name])) }
	for s := Date; s < Enum; s++ {
		if p.left(s.String()) {
			write(s.String())
		}
	}
	write(c.API.Query.Name)
	var generated []string
	for _, name := range p.names {
		switch d := c.API.Types[name]; {
		case d.BuiltIn, d == c.API.Query, d.Kind == ast.Scalar, !p.left(name):
		case c.declares(name):
			write(name)
		default:
			generated = append(generated, name)
		}
	}
	for _, name := range generated {
		write(name)
	}
	return b.String()
}

func (p *pruning) left(name string) bool {
	return p.catalogue.API.Types[name] != nil && !p.gone[element{typ: name}]
}

func printDirective(d *ast.DirectiveDefinition) string {
	on := make([]string, len(d.Locations))
	for i, l := range d.Locations {
		on[i] = string(l)
	}
	text := ""
	if d.Description != "" {
		text = description("", d.Description) + "\n"
	}
	return text + "directive @" + d.Name + " on " + strings.Join(on, " | ") + "\n"
}

func (p *pruning) printDefinition(d *ast.Definition) string {
	var b body
	head := ""
	switch d.Kind {
	case ast.Scalar:
		return description("", d.Description) + "\nscalar " + d.Name + "\n"
	case ast.Union:
		text := ""
		if d.Description != "" {
			text = description("", d.Description) + "\n"
		}
		return text + "union " + d.Name + " = " + strings.Join(p.members(d.Name), " | ") + "\n"
	case ast.Enum:
		b.open(d.Description, "enum "+d.Name)
		for _, v := range d.EnumValues {
			b.member(v.Description, v.Name+deprecated(v.Directives))
		}
		return b.close()
	case ast.Object:
		head = "type "
	case ast.Interface:
		head = "interface "
	case ast.InputObject:
		head = "input "
	}
	head += d.Name
	var implements []string
	for _, name := range d.Interfaces {
		if p.left(name) {
			implements = append(implements, name)
		}
	}
	if len(implements) > 0 {
		head += " implements " + strings.Join(implements, " & ")
	}
	if d.Directives.ForName("oneOf") != nil {
		head += " @oneOf"
	}
	b.open(d.Description, head)
	for _, f := range d.Fields {
		if !strings.HasPrefix(f.Name, "__") && !p.gone[element{typ: d.Name, field: f.Name}] {
			b.member(f.Description, p.printField(d, f))
		}
	}
	return b.close()
}

func (p *pruning) printField(d *ast.Definition, f *ast.FieldDefinition) string {
	var args []string
	for _, a := range f.Arguments {
		if !p.gone[element{d.Name, f.Name, a.Name}] {
			args = append(args, a.Name+": "+a.Type.String()+printDefault(a.DefaultValue))
		}
	}
	return f.Name + arguments(args) + ": " + f.Type.String() + printDefault(f.DefaultValue) + deprecated(f.Directives)
}

func printDefault(v *ast.Value) string {
	if v == nil {
		return ""
	}
	return " = " + v.String()
}
