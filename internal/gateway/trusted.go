package gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// Documents say where the registered documents of the data graph come from:
// those that a request may name by the SHA-256 of their text instead of sending
// it. They come from a folder that the operator fills, and from nowhere else: no
// request registers anything.
type Documents struct {
	// Folder holds them, a *.graphql file each; the hash is that of the file's
	// bytes. "" for none.
	Folder string
	// Only serves no other document on the data graph.
	Only bool
	// MaxBytes bounds a file, as a request's body is bounded.
	MaxBytes int
}

// Codes of findings in registered documents. They are stable.
const (
	codeBadDocument   = "bad-document"
	codeStaleDocument = "stale-document"
)

// hashScheme stands before the hash in a documentId.
const hashScheme = "sha256:"

// read takes the folder's content. A file is read up to just beyond the limit:
// the finding names it.
func (d *Documents) read() ([]schema.File, error) {
	if d.Folder == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(d.Folder)
	if err != nil {
		return nil, fmt.Errorf("folder of registered documents: %w", err)
	}
	var files []schema.File
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".graphql") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(d.Folder, e.Name())
		text, err := d.readFile(path)
		if err != nil {
			return nil, fmt.Errorf("folder of registered documents: %w", err)
		}
		files = append(files, schema.File{Name: path, Text: text})
	}
	if d.Only && len(files) == 0 {
		return nil, fmt.Errorf("folder of registered documents: %s holds no *.graphql file, and no other document would be served", d.Folder)
	}
	return files, nil
}

// readFile cuts what is too long one byte beyond the limit.
func (d *Documents) readFile(path string) (string, error) {
	text, err := schema.ReadRegular(path, int64(d.MaxBytes))
	if errors.Is(err, schema.ErrTooLarge) {
		return strings.Repeat(" ", d.MaxBytes+1), nil
	}
	return string(text), err
}

// lint finds the documents that could be served under no schema at all.
func (d *Documents) lint(files []schema.File, limits plan.Limits) schema.Diagnostics {
	var out schema.Diagnostics
	for _, f := range files {
		switch {
		case len(f.Text) > d.MaxBytes:
			out = append(out, finding(f, codeBadDocument, fmt.Sprintf("the document is longer than %d bytes, which no request may send", d.MaxBytes)))
		case !utf8.ValidString(f.Text):
			d := finding(f, codeBadDocument, "the document is not UTF-8")
			d.Position, _ = f.UTF8()
			out = append(out, d)
		default:
			if _, errs := plan.ReadQuery(f.Text, limits); errs != nil {
				out = append(out, refusedDocument(f, codeBadDocument, errs[0]))
			}
		}
	}
	return out
}

// stale finds those that are valid for nobody under the generation. That is no
// fault of the generation: what a schema takes away must not wait for documents.
func (d *Documents) stale(files []schema.File, documents *plan.Documents) schema.Diagnostics {
	var out schema.Diagnostics
	for _, f := range files {
		if _, errs := documents.Get(f.Text); errs != nil {
			found := refusedDocument(f, codeStaleDocument, errs[0])
			found.Warning, found.Suggestion = true, "requests that name it are refused; mend or remove it"
			out = append(out, found)
		}
	}
	return out
}

func finding(f schema.File, code, message string) schema.Diagnostic {
	return schema.Diagnostic{Position: schema.Position{File: f.Name, Line: 1, Column: 1}, Code: code, Message: message}
}

func refusedDocument(f schema.File, code string, e *plan.Error) schema.Diagnostic {
	out := finding(f, code, e.Message)
	if len(e.Locations) > 0 {
		out.Line, out.Column = e.Locations[0].Line, e.Locations[0].Column
	}
	return out
}

// registered are the documents of files that were found good.
func (d *Documents) registered(files []schema.File) *plan.Registered {
	if d.Folder == "" {
		return nil
	}
	texts := make([]string, len(files))
	for i, f := range files {
		texts[i] = f.Text
	}
	return plan.NewRegistered(texts, d.Only)
}

// resolve puts a registered document's text into the parameters that name it,
// and turns down what is not registered where nothing else is served.
func resolve(registered *plan.Registered, p *params) *refusal {
	if p.query == "" {
		text, ok := registered.Text(p.hash)
		if !ok {
			return &refusal{code: plan.DocumentNotFound}
		}
		p.query = text
		return nil
	}
	if !registered.Serves(p.query) {
		return &refusal{plan.DocumentNotFound, "only registered documents are served"}
	}
	return nil
}
