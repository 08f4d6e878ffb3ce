package noninterference

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// switched is a copy of the code that holds many leaks at once. Each function
// that a leak changes stands there once as it is and once for each such leak,
// under names of their own, and under its old name asks the environment which is
// meant. So one binary, compiled once, has any of the leaks.
type switched struct {
	root  string
	files map[string]*switchedFile
}

// switchedFile is a file of the code with its functions, by receiver and name.
type switchedFile struct {
	text  string
	decls map[string]span
	rest  string                       // all but functions
	leaks map[string]map[string]string // by function and leak: the changed text
}

// span is where a function's text stands.
type span struct {
	from, name, to int
	decl           *ast.FuncDecl
}

// leakSwitch is the variable of the environment that names the leak.
const leakSwitch = "WEIR_LEAKING"

func newSwitched(root string) *switched {
	return &switched{root: root, files: map[string]*switchedFile{}}
}

// add takes a leak in. It reports false, and nothing is taken in, when the leak
// changes more than the inside of functions: that takes a binary of its own.
func (s *switched) add(l *leak) (bool, error) {
	texts := map[string]string{}
	for _, h := range l.hunks {
		if s.files[h.file] == nil {
			text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(h.file)))
			if err != nil {
				return false, err
			}
			f := &switchedFile{text: string(text), leaks: map[string]map[string]string{}}
			if f.decls, f.rest, err = functions(f.text); err != nil {
				return false, err
			}
			s.files[h.file] = f
		}
	}
	if err := l.apply(texts, func(file string) (string, error) { return s.files[file].text, nil }); err != nil {
		return false, err
	}
	type changed struct{ file, function, text string }
	var all []changed
	for file, text := range texts {
		f := s.files[file]
		decls, rest, err := functions(text)
		if err != nil {
			return false, err
		}
		if rest != f.rest || len(decls) != len(f.decls) {
			return false, nil
		}
		for key, d := range decls {
			was, ok := f.decls[key]
			if !ok || signature(was.decl) != signature(d.decl) {
				return false, nil
			}
			if body := text[d.from:d.to]; body != f.text[was.from:was.to] {
				if d.decl.Type.TypeParams != nil {
					return false, nil
				}
				all = append(all, changed{file, key, text[d.from:d.name] + renamed(d.decl, l.name) + text[d.name+len(d.decl.Name.Name):d.to]})
			}
		}
	}
	for _, c := range all {
		f := s.files[c.file]
		if f.leaks[c.function] == nil {
			f.leaks[c.function] = map[string]string{}
		}
		f.leaks[c.function][l.name] = c.text
	}
	return len(all) > 0, nil
}

// overlay writes the copy and gives the list of what it replaces.
func (s *switched) overlay(dir string) (string, error) {
	replace := map[string]string{}
	put := func(file, text string) error {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		replace[filepath.Join(s.root, filepath.FromSlash(file))] = copied
		return os.WriteFile(copied, []byte(text), 0o600)
	}
	packages := map[string]string{}
	for file, f := range s.files {
		text, name, err := f.written()
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if text == f.text {
			continue
		}
		if err := put(file, text); err != nil {
			return "", err
		}
		packages[filepath.ToSlash(filepath.Dir(filepath.FromSlash(file)))] = name
	}
	for folder, name := range packages {
		text := fmt.Sprintf("package %s\n\nimport leakingEnvironment \"os\"\n\nvar leaking = leakingEnvironment.Getenv(%q)\n", name, leakSwitch)
		if err := put(folder+"/leaking_switch.go", text); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

// written is the file with every version of its functions.
func (f *switchedFile) written() (text, packageName string, err error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "", f.text, parser.PackageClauseOnly)
	if err != nil {
		return "", "", err
	}
	var b strings.Builder
	at := 0
	decls, _, err := functions(f.text)
	if err != nil {
		return "", "", err
	}
	for _, key := range inOrder(decls) {
		versions := f.leaks[key]
		if len(versions) == 0 {
			continue
		}
		d := decls[key]
		b.WriteString(f.text[at:d.from])
		fork, err := dispatcher(d.decl, versions)
		if err != nil {
			return "", "", err
		}
		b.WriteString(fork + "\n\n")
		b.WriteString(f.text[d.from:d.name] + renamed(d.decl, "") + f.text[d.name+len(d.decl.Name.Name):d.to])
		for _, leak := range slices.Sorted(maps.Keys(versions)) {
			b.WriteString("\n\n" + versions[leak])
		}
		at = d.to
	}
	b.WriteString(f.text[at:])
	return b.String(), parsed.Name.Name, nil
}

// functions finds a file's functions, and what is left of it without them.
func functions(text string) (map[string]span, string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, "", err
	}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	out, rest, from := map[string]span{}, "", 0
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		fn.Doc = nil
		s := span{at(fn.Pos()), at(fn.Name.Pos()), at(fn.End()), fn}
		out[receiver(fn)+"."+fn.Name.Name] = s
		rest += text[from:s.from]
		from = s.to
	}
	return out, rest + text[from:], nil
}

func inOrder(decls map[string]span) []string {
	return slices.SortedFunc(maps.Keys(decls), func(a, b string) int { return cmp.Compare(decls[a].from, decls[b].from) })
}

func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	return node(fn.Recv.List[0].Type)
}

// signature is a function's head.
func signature(fn *ast.FuncDecl) string { return receiver(fn) + " " + node(fn.Type) }

func node(n any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil {
		return err.Error()
	}
	return b.String()
}

// renamed is a version's own name, of the original for "".
func renamed(fn *ast.FuncDecl, leak string) string {
	if leak == "" {
		leak = "original"
	}
	return fn.Name.Name + "_" + strings.ReplaceAll(leak, "-", "_")
}

// dispatcher is the function under its old name, which calls the version that
// is meant. It names what the original leaves without a name.
func dispatcher(fn *ast.FuncDecl, versions map[string]string) (string, error) {
	set := token.NewFileSet()
	again, err := parser.ParseFile(set, "", "package p\n"+node(&ast.FuncDecl{Recv: fn.Recv, Name: fn.Name, Type: fn.Type}), parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	head, ok := again.Decls[0].(*ast.FuncDecl)
	if !ok {
		return "", fmt.Errorf("%s is no function", fn.Name.Name)
	}
	call := ""
	if head.Recv != nil {
		names(head.Recv, "self", new(int))
		call = head.Recv.List[0].Names[0].Name + "."
	}
	arguments := strings.Join(names(head.Type.Params, "given", new(int)), ", ")
	give := ""
	if head.Type.Results != nil {
		var results []*ast.Field
		for _, r := range head.Type.Results.List {
			for range max(len(r.Names), 1) {
				results = append(results, &ast.Field{Type: r.Type}) // a parameter's name may not be used twice
			}
		}
		head.Type.Results.List = results
		give = "return "
	}
	var b strings.Builder
	b.WriteString(node(head) + " {\n\tswitch leaking {\n")
	for _, leak := range slices.Sorted(maps.Keys(versions)) {
		fmt.Fprintf(&b, "\tcase %q:\n\t\t%s%s%s(%s)\n", leak, give, call, renamed(fn, leak), arguments)
		if give == "" {
			b.WriteString("\t\treturn\n")
		}
	}
	fmt.Fprintf(&b, "\t}\n\t%s%s%s(%s)\n}", give, call, renamed(fn, ""), arguments)
	return b.String(), nil
}

// names gives every parameter of a list a name and lists them as a call has them.
func names(list *ast.FieldList, prefix string, n *int) []string {
	var out []string
	for _, f := range list.List {
		if len(f.Names) == 0 {
			f.Names = []*ast.Ident{ast.NewIdent("_")}
		}
		for _, id := range f.Names {
			if id.Name == "_" {
				*n++
				id.Name = prefix + strconv.Itoa(*n)
			}
			name := id.Name
			if _, variadic := f.Type.(*ast.Ellipsis); variadic {
				name += "..."
			}
			out = append(out, name)
		}
	}
	return out
}
