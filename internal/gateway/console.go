package gateway

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:generate npm --prefix graphiql ci --no-audit --no-fund
//go:generate npm --prefix graphiql run build

//go:embed assets
var packed embed.FS

// consolePolicy lets the page run its own files and talk to its own node;
// nothing is loaded from elsewhere. Styles are inline because the editor makes
// them while it runs.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; " +
	"img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ConsoleSettings are what the page is told about its node. They are public.
type ConsoleSettings struct {
	Demo bool `json:"demo"`
	// Tokens are those of demo mode, and must be empty in any other.
	Tokens []ConsoleToken `json:"tokens"`
	// Query and ControlQuery stand in the editor at first.
	Query        string `json:"query"`
	ControlQuery string `json:"controlQuery"`
}

// ConsoleToken is a fixed token with the purposes open to it.
type ConsoleToken struct {
	Token    string   `json:"token"`
	ZH       string   `json:"zh"`
	EN       string   `json:"en"`
	Purposes []string `json:"purposes"`
}

// Console serves GraphiQL from files in the program: offline, and without any
// right of its own. What it shows, its user's token opens.
type Console struct {
	files    fs.FS
	settings []byte
}

// NewConsole makes the page.
func NewConsole(s ConsoleSettings) (*Console, error) {
	if s.Tokens == nil {
		s.Tokens = []ConsoleToken{}
	}
	for i := range s.Tokens {
		if s.Tokens[i].Purposes == nil {
			s.Tokens[i].Purposes = []string{}
		}
	}
	settings, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(packed, "assets")
	if err != nil {
		return nil, err
	}
	return &Console{files: files, settings: settings}, nil
}

// ServeHTTP serves "/", its assets, and console.json.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		page(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch name {
	case "":
		name = "index.html"
	case "console.json":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(c.settings)
		return
	}
	if !fs.ValidPath(name) {
		page(w, http.StatusNotFound, "not found")
		return
	}
	file, err := fs.ReadFile(c.files, name+".gz")
	if err != nil {
		page(w, http.StatusNotFound, "not found")
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", consolePolicy)
	h.Set("Content-Type", contentType(name))
	h.Add("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // names carry a digest
	}
	if !acceptsGzip(r.Header) {
		unpacked, err := gzip.NewReader(bytes.NewReader(file))
		if err != nil {
			page(w, http.StatusInternalServerError, "internal error")
			return
		}
		_, _ = io.Copy(w, unpacked) //nolint:gosec // a file of our own
		return
	}
	h.Set("Content-Encoding", "gzip")
	_, _ = w.Write(file) //nolint:gosec // a file of our own, built from our sources
}

// contentType does not ask the machine's tables, which differ.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".ttf":
		return "font/ttf"
	case ".txt":
		return "text/plain; charset=utf-8"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

func acceptsGzip(h http.Header) bool {
	for _, v := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(v, ",") {
			name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
			if strings.TrimSpace(name) == "gzip" && strings.ReplaceAll(weight, " ", "") != "q=0" {
				return true
			}
		}
	}
	return false
}
