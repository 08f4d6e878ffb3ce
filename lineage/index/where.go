package index

import (
	"strconv"
	"strings"
)

// where collects conditions; % stands for the next argument.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(condition string, args ...any) {
	var b strings.Builder
	for _, c := range condition {
		if c != '%' {
			b.WriteRune(c)
			continue
		}
		b.WriteString(w.arg(args[0]))
		args = args[1:]
	}
	w.parts = append(w.parts, b.String())
}

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) text() string { return strings.Join(w.parts, " AND ") }

func (w *where) clause() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + w.text()
}
