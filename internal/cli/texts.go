package cli

import (
	"errors"
	"net/url"
	"slices"
)

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// databaseURL leads to another database of the same server. Its errors never
// quote the URL.
func databaseURL(server, database string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("the PostgreSQL URL cannot be read")
	}
	u.Path, u.RawPath = "/"+database, ""
	return u.String(), nil
}
