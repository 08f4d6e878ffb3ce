package cli

import "github.com/weir-data/weir/internal/gateway"

// trusted reads the registered documents, and says which of them nobody can use.
func (n *node) trusted() (*gateway.Trusted, error) {
	d := n.cfg.Documents
	if d.Folder == "" {
		return nil, nil
	}
	t, err := gateway.OpenTrusted(d.Folder, d.Only, n.cfg.Limits.Body)
	if err != nil {
		return nil, environment(err, "name the folder of *.graphql files in weir.yaml: documents.folder")
	}
	for _, finding := range t.Invalid(n.revisions.Current()) {
		n.log.Warn("a registered document is not valid for the schema in force", "finding", finding)
	}
	return t, nil
}
