package gateway

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/schema"
)

// Folders are where schema and policy come from, and what they are checked
// against.
type Folders struct {
	Schema, Policy string
	SchemaSettings schema.Settings
	PolicySettings authz.Settings
	Limits         plan.Limits
	// Documents are the registered documents, the third part of a generation.
	Documents Documents
	// Officers may propose and approve revisions that widen rights.
	Officers []approval.Officer
	// Auditors may sign acts of retention, together with an officer.
	Auditors []approval.Officer
	// Rights are what the configuration grants beside the policy.
	Rights Rights
	// CompareBudget bounds the comparison of the table with Casbin.
	CompareBudget time.Duration
}

// RefusedError is a revision that was not taken, with everything found in it.
type RefusedError struct{ Diagnostics schema.Diagnostics }

// Error lists the findings.
func (e *RefusedError) Error() string { return e.Diagnostics.Error() }

// Unwrap gives the findings.
func (e *RefusedError) Unwrap() error { return e.Diagnostics }

// content is what the folders hold at one moment.
type content struct {
	schema, policy []schema.File
	approvals      []schema.File
	documents      []schema.File
	ignored        []string          // files of the schema folder that look like SDL and are not read
	digest         [sha256.Size]byte // of all of them
}

// read takes the folders' content. Contents, not times: a swapped symlink or a
// restored backup may carry old ones.
func (d *Folders) read() (*content, error) {
	t := &content{}
	var err error
	if t.schema, err = schema.ReadFolder(d.Schema); err != nil {
		return nil, fmt.Errorf("schema folder: %w", err)
	}
	if t.ignored, err = ignoredFiles(d.Schema); err != nil {
		return nil, fmt.Errorf("schema folder: %w", err)
	}
	if t.policy, err = readPolicy(d.Policy); err != nil {
		return nil, fmt.Errorf("policy folder: %w", err)
	}
	if t.approvals, err = readFiles(d.Policy, ApprovalSuffix); err != nil {
		return nil, fmt.Errorf("policy folder: %w", err)
	}
	if t.documents, err = d.Documents.read(); err != nil {
		return nil, err
	}
	t.digest = digest(t.schema, t.policy, t.approvals, t.documents)
	return t, nil
}

// codeIgnoredFile is of a file that is not read for its name's sake. It is stable.
const codeIgnoredFile = "ignored-file"

// ignoredFiles lists the files whose names end as those of SDL elsewhere: a
// department would miss what such a file declares, and nobody would say why.
func ignoredFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext == ".graphqls" || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if slices.Contains([]string{".graphqls", ".graphql", ".gql"}, strings.ToLower(ext)) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

func digest(parts ...[]schema.File) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, files := range parts {
		_, _ = fmt.Fprintf(h, "%d;", len(files))
		for _, f := range files {
			_, _ = fmt.Fprintf(h, "%d:%s%d:%s", len(f.Name), f.Name, len(f.Text), f.Text)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// maxPolicyFile bounds one policy file.
const maxPolicyFile = 16 << 20

// ApprovalSuffix ends the names of approvals beside the policy.
const ApprovalSuffix = ".approval"

// readPolicy reads the *.csv files of a folder, sorted by name, or one file.
func readPolicy(dir string) ([]schema.File, error) {
	files, err := readFiles(dir, ".csv")
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no *.csv file: %w", dir, fs.ErrNotExist)
	}
	return files, err
}

// readFiles reads the files of a folder, or the one file, whose names end so.
func readFiles(dir, suffix string) ([]schema.File, error) {
	var entries []fs.DirEntry
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		entries, err = os.ReadDir(dir)
	default:
		entries, dir = []fs.DirEntry{fs.FileInfoToDirEntry(info)}, filepath.Dir(dir)
	}
	if err != nil {
		return nil, err
	}
	var files []schema.File
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), suffix) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		b, err := schema.ReadRegular(path, maxPolicyFile)
		if err != nil {
			return nil, err
		}
		files = append(files, schema.File{Name: path, Text: string(b)})
	}
	return files, nil
}

// Load builds a generation from the folders as they are. The error is a
// *RefusedError when the content is at fault; warnings come with a generation.
func (d *Folders) Load() (*plan.Generation, schema.Diagnostics, error) {
	t, err := d.read()
	if err != nil {
		return nil, nil, err
	}
	return d.build(t, authz.Lint)
}

// Parse reads and lints both folders without compiling them. The catalogue is
// nil, and the policy incomplete, when the findings fail.
func (d *Folders) Parse() (*schema.Catalogue, *authz.Policy, schema.Diagnostics, error) {
	t, err := d.read()
	if err != nil {
		return nil, nil, nil, err
	}
	catalogue, policy, found := d.parse(t, authz.Lint)
	return catalogue, policy, found, nil
}

// lint is authz.Lint, or authz.Check where time counts.
type lint func(*authz.Policy, *schema.Catalogue, authz.Settings) schema.Diagnostics

func (d *Folders) parse(t *content, lint lint) (*schema.Catalogue, *authz.Policy, schema.Diagnostics) {
	catalogue, found := schema.Load(t.schema, d.SchemaSettings)
	for _, path := range t.ignored {
		found = append(found, schema.Diagnostic{
			Position: schema.Position{File: path, Line: 1, Column: 1}, Code: codeIgnoredFile, Warning: true,
			Message: "the file is not read", Suggestion: "SDL stands in files whose names end in .graphqls",
		})
	}
	policy, more := authz.Parse(t.policy)
	found = append(found, more...)
	if catalogue != nil && !more.Failed() {
		found = append(found, lint(policy, catalogue, d.PolicySettings)...)
	}
	found = append(found, d.Documents.lint(t.documents, d.Limits)...)
	found.Sort()
	return catalogue, policy, found
}

func (d *Folders) build(t *content, lint lint) (*plan.Generation, schema.Diagnostics, error) {
	catalogue, policy, found := d.parse(t, lint)
	if found.Failed() || catalogue == nil {
		return nil, nil, &RefusedError{found}
	}
	table, err := authz.Compile(policy, catalogue, d.PolicySettings)
	if err != nil {
		return nil, nil, fmt.Errorf("policy: %w", err)
	}
	if err := d.compare(policy, table, catalogue, t.digest); err != nil {
		return nil, nil, err
	}
	documents, err := plan.NewDocuments(catalogue.API, d.Limits)
	if err != nil {
		return nil, nil, fmt.Errorf("schema: %w", err)
	}
	found = append(found, d.Documents.stale(t.documents, documents)...)
	return &plan.Generation{
		Catalogue: catalogue, Table: table, Policy: policy.Revision, Documents: documents,
		Registered: d.Documents.registered(t.documents),
	}, found, nil
}
