package exec

import (
	"context"
	"errors"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/weir-data/weir/adapters"
	"github.com/weir-data/weir/graph/plan"
)

// sentence is the constant message of a code, as far as the executor raises it
// itself.
func sentence(code plan.Code) string {
	switch code {
	case plan.Forbidden:
		return "not allowed for this reader and purpose"
	case plan.CursorInvalid:
		return "the cursor is not valid for this reader, purpose and query, or has expired"
	case plan.LimitExceeded:
		return "the answer exceeds the limit on rows or bytes of one request"
	case plan.SourceUnavailable:
		return "a department's source is not available"
	case plan.SourceTimeout:
		return "a department's source did not answer in time"
	case plan.RateLimited:
		return "the budget of this day is spent"
	case plan.BadRequest:
		return "an argument is not valid"
	default:
		return "the operation could not be executed"
	}
}

// codeOf reduces a fetch's error to its public code. The request's own end
// counts as the source's: nobody waits for that answer any more.
func codeOf(err error) plan.Code {
	var e *adapters.Error
	switch {
	case errors.Is(err, errTooMuch):
		return plan.LimitExceeded
	case errors.Is(err, errRows), errors.Is(err, errPanic):
		return plan.Internal
	case errors.As(err, &e):
		switch e.Kind {
		case adapters.Timeout:
			return plan.SourceTimeout
		case adapters.Unsupported:
			return plan.Internal
		case adapters.Unavailable, adapters.Canceled, adapters.Invalid:
		}
	case errors.Is(err, context.DeadlineExceeded):
		return plan.SourceTimeout
	}
	return plan.SourceUnavailable
}

// element is one step of a response path: a key, or an index when key is "".
type element struct {
	key   string
	index int
}

// failure is the one error of a selection.
type failure struct {
	code  plan.Code
	field *plan.Field
	path  ast.Path // of the first affected position
	count int
}

// fail notes an error at the current position of a field, which the caller
// writes as null.
func (r *run) fail(f *plan.Field, code plan.Code) {
	for i := range r.failures {
		if e := &r.failures[i]; e.code == code && (e.field == f || e.field.Path == f.Path) {
			e.count++
			return
		}
	}
	path := make(ast.Path, 0, len(r.path)+1)
	for _, e := range r.path {
		if e.key != "" {
			path = append(path, ast.PathName(e.key))
		} else {
			path = append(path, ast.PathIndex(e.index))
		}
	}
	r.failures = append(r.failures, failure{code: code, field: f, path: append(path, ast.PathName(f.Key)), count: 1})
	if r.req.Reads.Code == "" && code != plan.Forbidden {
		r.req.Reads.Code = string(code)
	}
}

// Misfit tells of stored values in one column that are not of their field's
// kind, and of how many positions of one answer that was an error for, or the
// reason of one. It holds no value.
type Misfit struct {
	Request                  string // id
	Department, Type, Column string
	Count                    int
}

// misfit notes for operators' eyes why a value, a cursor or a merged list is an
// error: the answer does not name the column.
func (r *run) misfit(department, typeName, column string) {
	m := Misfit{Request: r.req.ID, Department: department, Type: typeName, Column: column, Count: 1}
	for i := range r.misfits {
		if have := &r.misfits[i]; have.Department == department && have.Type == typeName && have.Column == column {
			have.Count++
			return
		}
	}
	r.misfits = append(r.misfits, m)
}

// misfitOf is misfit of a field's column.
func (r *run) misfitOf(f *plan.Field) {
	if uses := r.prog.plan.Uses; f.Use >= 0 && f.Use < len(uses) {
		u := &uses[f.Use]
		r.misfit(u.Department, u.Coordinate.Type, u.Column)
	}
}

// withheld notes a position that is null by decision, for readers who asked
// for errors.
func (r *run) withheld(f *plan.Field) {
	if r.req.WithheldErrors {
		r.fail(f, plan.Forbidden)
	}
}

// errors gives the errors of the answer, one per selection.
func (r *run) errors() gqlerror.List {
	if len(r.failures) == 0 && !r.req.WithheldErrors {
		return nil
	}
	var list gqlerror.List
	for i := range r.failures {
		f := &r.failures[i]
		if f.code != plan.Forbidden {
			list = append(list, r.selectionError(f.code, f.field.Path, f.path, f.field.Locations, f.count))
		}
	}
	if !r.req.WithheldErrors {
		return list
	}
	// These come from the plan, like the entries of extensions.weir.access: also
	// where no row has shown the selection, and then without a path.
	done := make(map[string]bool, len(r.prog.plan.Access.Withheld))
	for i := range r.prog.plan.Access.Withheld {
		entry := &r.prog.plan.Access.Withheld[i]
		if done[entry.Path] {
			continue
		}
		done[entry.Path] = true
		var path ast.Path
		count := 0
		for j := range r.failures {
			if f := &r.failures[j]; f.code == plan.Forbidden && f.field.Path == entry.Path {
				path, count = f.path, f.count
			}
		}
		list = append(list, r.selectionError(plan.Forbidden, entry.Path, path, entry.Locations, count))
	}
	return list
}

func (r *run) selectionError(code plan.Code, selection string, path ast.Path, places []plan.Location, count int) *gqlerror.Error {
	return &gqlerror.Error{
		Message:   sentence(code),
		Path:      path,
		Locations: locations(places),
		Extensions: map[string]any{
			"code": string(code), "requestId": r.req.ID, "selection": selection, "count": count,
		},
	}
}

func locations(places []plan.Location) []gqlerror.Location {
	var out []gqlerror.Location
	for _, l := range places {
		out = append(out, gqlerror.Location{Line: l.Line, Column: l.Column})
	}
	return out
}

// refusals turns a plan's refusals into the errors of a whole operation.
func refusals(errs plan.Errors, requestID string) gqlerror.List {
	list := make(gqlerror.List, 0, len(errs))
	for _, e := range errs {
		out := &gqlerror.Error{
			Message:    e.Message,
			Locations:  locations(e.Locations),
			Extensions: map[string]any{"code": string(e.Code), "requestId": requestID},
		}
		if e.Path != "" {
			for key := range strings.SplitSeq(e.Path, ".") {
				out.Path = append(out.Path, ast.PathName(key))
			}
		}
		list = append(list, out)
	}
	return list
}

func refusal(code plan.Code) plan.Errors {
	return plan.Errors{{Code: code, Message: sentence(code)}}
}
