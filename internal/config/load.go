package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File         string
	Line, Column int    // 0 when the place is not known
	Key          string // "departments.health.driver"; "" for the file
	Message      string
	Remedy       string // what to do, or ""
}

// String gives "file:line:column: key: message (remedy)".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString(" (" + p.Remedy + ")")
	}
	return b.String()
}

// Errors are all the problems of one configuration.
type Errors []Problem

// Error lists them, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// maxFile bounds weir.yaml.
const maxFile = 4 << 20

// Load reads a configuration, completes it with Default, and validates it. The
// error is of type Errors when the content is at fault.
func Load(path string) (*Config, error) { return load(path, os.LookupEnv) }

func load(path string, env func(string) (string, bool)) (*Config, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(data) > maxFile {
		return nil, Errors{{File: path, Message: "the file is larger than 4 MiB"}}
	}
	base, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parse(path, data, base, env)
}

// Parse is Load for a configuration that is not a file on disk: name stands in
// messages, and base is the folder that relative paths start from.
func Parse(name string, data []byte, base string) (*Config, error) {
	return parse(name, data, base, os.LookupEnv)
}

func parse(name string, data []byte, base string, env func(string) (string, bool)) (*Config, error) {
	if line, column, ok := isUTF8(data); !ok {
		return nil, Errors{{File: name, Line: line, Column: column, Message: "the file is not UTF-8", Remedy: "save the file as UTF-8"}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	c := Default()
	tokens := lexer.Tokenize(string(data))
	if err := depth(name, tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, Errors{problemOf(name, err)}
	}
	if len(file.Docs) > 1 {
		return nil, Errors{{File: name, Message: "the file holds more than one document"}}
	}
	// Of nothing at all, the library makes a configuration without defaults.
	if body := bodyOf(file); body != nil {
		if found := shapeOf(name, body); len(found) > 0 {
			return nil, found
		}
		if err := yaml.UnmarshalWithOptions(data, c, yaml.Strict()); err != nil {
			return nil, Errors{problemOf(name, err)}
		}
	}
	var problems Errors
	for _, id := range c.DepartmentIDs() {
		d := c.Departments[id]
		if err := d.URL.resolve(base, env); err != nil {
			problems = append(problems, Problem{Key: "departments." + id + ".url", Message: err.Error()})
		}
		c.Departments[id] = d
	}
	if err := c.Ledger.Index.URL.resolve(base, env); err != nil {
		problems = append(problems, Problem{Key: "ledger.index.url", Message: err.Error()})
	}
	c.complete(base)
	problems = append(problems, c.problems()...)
	if len(problems) > 0 {
		for i := range problems {
			problems[i].File = name
			problems[i].Line, problems[i].Column = place(file, problems[i].Key)
		}
		return nil, problems
	}
	return c, nil
}

// bodyOf is what a file holds, nil where that is nothing but comments.
func bodyOf(file *ast.File) ast.Node {
	if len(file.Docs) == 0 {
		return nil
	}
	switch body := file.Docs[0].Body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil
	default:
		return body
	}
}

// isUTF8 reports whether a file is UTF-8, and if not, where the first byte is
// that is not. The YAML library takes whatever comes.
func isUTF8(data []byte) (line, column int, ok bool) {
	line, column = 1, 1
	for len(data) > 0 {
		c, n := utf8.DecodeRune(data)
		if c == utf8.RuneError && n == 1 {
			return line, column, false
		}
		data = data[n:]
		column++
		if c == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column, true
}

// problemOf takes position and message from the YAML library's error and leaves
// its excerpt of the source behind, which could show a secret.
func problemOf(name string, err error) Problem {
	p := Problem{File: name, Message: "not valid YAML"}
	var located yaml.Error
	if errors.As(err, &located) {
		p.Message = located.GetMessage()
		if t := located.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

// place finds the line of a dotted key, or of its nearest ancestor.
func place(file *ast.File, key string) (line, column int) {
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return 0, 0
	}
	node := file.Docs[0].Body
	line, column = 1, 1
	for _, part := range strings.Split(key, ".") {
		value := child(node, part)
		if value == nil {
			break
		}
		if t := value.Key.GetToken(); t != nil && t.Position != nil {
			line, column = t.Position.Line, t.Position.Column
		}
		node = value.Value
	}
	return line, column
}

func child(node ast.Node, key string) *ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingValueNode:
		if n.Key.GetToken() != nil && n.Key.GetToken().Value == key {
			return n
		}
	case *ast.MappingNode:
		for _, v := range n.Values {
			if t := v.Key.GetToken(); t != nil && t.Value == key {
				return v
			}
		}
	}
	return nil
}
