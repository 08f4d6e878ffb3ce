package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/graph/plan"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
	"github.com/weir-data/weir/schema"
)

// Ledger takes the records of reads. *lineage.Log is one, see [LedgerOf].
type Ledger interface {
	// Append gives the record its position, at once; a full queue blocks until
	// the context ends.
	Append(ctx context.Context, r *lineage.Record) (lineage.Position, Ticket, error)
	// Healthy is nil while records can be written.
	Healthy() error
}

// Ticket waits for a record to be where the level demands it.
type Ticket interface {
	Wait(ctx context.Context, d lineage.Durability) error
}

// gate is the release gate of one exchange and the only writer of its body. It
// promises that a body with data leaves only after the record of its reads is
// as durable as the highest level touched demands, and only if the reader still
// holds what the plan relied on.
type gate struct {
	w     http.ResponseWriter
	front *Front

	// events makes each answer an event of a stream, see stream.go; last that
	// nothing comes after it.
	events, last bool
	opened       bool // the stream has begun
	broken       bool // the reader does not take it any more

	// What left, for metrics and logs.
	left    bool
	status  int
	code    plan.Code
	receipt string
	bytes   int
}

func newGate(w http.ResponseWriter, f *Front) *gate { return &gate{w: w, front: f} }

// challenge says how to come back with a token (RFC 6750).
func (g *gate) challenge() { g.w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`) }

// allow names the methods there are (RFC 9110, 15.5.6).
func (g *gate) allow(methods string) { g.w.Header().Set("Allow", methods) }

// turnAway answers somebody who is nobody yet: a constant, and no record, so
// that strangers cannot fill the disk.
func (g *gate) turnAway(x *exchange, why *refusal) {
	g.code = why.code
	g.send(x.media.status(failureOf(why.code), false), x.media.contentType(), answer{
		errors: refusalErrors(why.code, why.text(), x.id), extensions: weir(x.id, "", "", nil),
	})
}

// refuse answers a known reader whose request was turned down before it ran.
// The refusal is a record too.
func (g *gate) refuse(x *exchange, why *refusal) {
	errs := refusalErrors(why.code, why.text(), x.id)
	x.request.Reads.Kind = "refused"
	g.settle(x, outcome{status: "refused", code: why.code, answer: answer{errors: errs}})
}

// outcome is what is to leave, if the gate lets it.
type outcome struct {
	status string // of the record: "ok", "partial", "refused", "failed"
	code   plan.Code
	answer answer
	// wellFormed: the executor saw the request.
	wellFormed bool
	// executed: there may be data, so that rights are compared again.
	executed bool
}

// release takes what an executor made of a request.
func (g *gate) release(x *exchange, r *graphql.Response) {
	reads := x.request.Reads
	errs, code := translate(r.Errors, x.id)
	o := outcome{wellFormed: true, code: code, status: "ok", answer: answer{data: r.Data, errors: errs}}
	switch {
	case r.Data == nil && errs == nil:
		// An executor that gives nothing at all is at fault.
		o.code, o.status = plan.Internal, "failed"
		o.answer.errors = constantErrors(plan.Internal, x.id)
	case r.Data == nil:
		o.status = "refused"
		if reads.Kind == "" || reads.Counts == nil {
			reads.Kind = "refused"
		}
		if failed(code) {
			o.status = "failed"
		}
	case errs != nil:
		o.status, o.executed = "partial", true
		if string(r.Data) == "null" && failed(code) {
			o.status = "failed"
		}
	default:
		o.executed = true
	}
	if reads.Kind == "" {
		reads.Kind = x.kind
	}
	g.settle(x, o)
}

// failed tells what went wrong on our side from what was refused.
func failed(code plan.Code) bool {
	switch code {
	case plan.Internal, plan.SourceUnavailable, plan.SourceTimeout, plan.DataTooOld, plan.Overloaded:
		return true
	default:
		return false
	}
}

// settle writes what is left of an outcome once it may leave.
func (g *gate) settle(x *exchange, o outcome) {
	if !g.granted(x, &o) {
		return
	}
	o.answer.extensions = weir(x.id, g.receipt, x.request.Generation.Policy, extension(x.request.Reads, o))
	g.code = o.code
	g.send(x.media.status(failureStatus(o), o.wellFormed), x.media.contentType(), o.answer)
}

// granted is the one order in which things happen before anything is written:
// still granted, recorded, durable, still granted. What is not becomes a refusal,
// and the receipt is of what leaves. It is false when a record failed, and the
// reader has been told.
func (g *gate) granted(x *exchange, o *outcome) bool {
	if code := g.lost(x, *o); code != "" {
		*o = lostOutcome(code, x.id)
	}
	position, err := g.recorded(x, o)
	if code := g.lost(x, *o); err == nil && code != "" {
		// The record says what would have left; that it did not is harmless. What
		// leaves instead is of other bytes, and has one of its own.
		*o = lostOutcome(code, x.id)
		x.request.Reads = &resolvers.ReadSet{Kind: "refused", Name: x.request.Reads.Name, Document: x.request.Reads.Document}
		position, err = g.recorded(x, o)
	}
	if err != nil {
		g.unrecorded(x, err)
		return false
	}
	g.receipt = position.String()
	return true
}

// failureStatus: an answer with data is a success, whatever some of its fields
// came to.
func failureStatus(o outcome) failure {
	if o.answer.data != nil || o.code == "" {
		return failure{status: http.StatusOK}
	}
	return failureOf(o.code)
}

func lostOutcome(code plan.Code, id string) outcome {
	return outcome{status: "refused", code: code, answer: answer{errors: constantErrors(code, id)}}
}

// extension is what the executor says of its answer; nothing when the answer
// does not leave.
func extension(r *resolvers.ReadSet, o outcome) []byte {
	if !o.executed {
		return nil
	}
	return r.Extension
}

// lost compares at the moment of release: the token may have expired or been
// revoked, its key withdrawn, and the rights narrowed, while the request ran.
func (g *gate) lost(x *exchange, o outcome) plan.Code {
	if !o.executed {
		return ""
	}
	return x.lost(x.request.Reads.Coordinates)
}

// lost is what the reader has lost since the request began, if anything: his
// token, or a right on one of the coordinates.
func (x *exchange) lost(coordinates []schema.Coordinate) plan.Code {
	f := x.front
	if !x.proven() {
		return plan.Unauthenticated
	}
	current := f.cfg.Generations.Current()
	if current == x.request.Generation {
		return ""
	}
	profile := x.subject.Profile(x.request.Purpose)
	if current == nil || !f.apart(current, x.subject) || narrower(x.request.Generation, current, profile, coordinates) {
		return plan.PolicyChanged
	}
	if x.name == controlName && fewerRoles(x.request.Generation, current, profile) {
		return plan.PolicyChanged
	}
	return ""
}

// fewerRoles reports whether the reader has lost a role. Offices and ownership
// are roles, and what the control graph shows hangs on them.
func fewerRoles(old, current *plan.Generation, p authz.Profile) bool {
	is := current.Table.View(p).Roles()
	for _, role := range old.Table.View(p).Roles() {
		if !slices.Contains(is, role) {
			return true
		}
	}
	return false
}

// narrower reports whether the new generation holds back anything that the old
// one's decisions on the coordinates let through.
func narrower(old, current *plan.Generation, p authz.Profile, coordinates []schema.Coordinate) bool {
	was, is := old.Table.View(p), current.Table.View(p)
	for _, c := range coordinates {
		before, after := was.Grants(c), is.Grants(c)
		if !after.Covers(before) || exists(before) && !exists(after) {
			return true
		}
		if old.Catalogue.Revision != current.Catalogue.Revision && !sameField(old.Catalogue, current.Catalogue, c) {
			return true
		}
	}
	return false
}

// exists reports whether the reader may learn that the coordinate exists.
func exists(g *authz.Grants) bool { return g != nil && !g.Hidden }

// unrecorded is the answer when the ledger failed: nothing is served.
func (g *gate) unrecorded(x *exchange, err error) {
	g.front.cfg.Metrics.unrecorded()
	g.front.cfg.Log.Error("a read could not be recorded and was not served", "requestId", x.id, "error", err.Error())
	g.code = plan.LedgerUnavailable
	g.send(failureOf(plan.LedgerUnavailable).status, x.media.contentType(), answer{
		errors: constantErrors(plan.LedgerUnavailable, x.id), extensions: weir(x.id, "", "", nil),
	})
}

// text answers with a document that is no GraphQL response, such as the SDL;
// recorded and waited for like every other.
func (g *gate) text(x *exchange, contentType string, body []byte) {
	o := outcome{status: "ok", executed: true, answer: answer{data: body}}
	x.request.Reads.Kind = "introspection"
	if !g.granted(x, &o) {
		return
	}
	if o.code != "" {
		o.answer.extensions = weir(x.id, g.receipt, x.request.Generation.Policy, nil)
		g.code = o.code
		g.send(failureOf(o.code).status, x.media.contentType(), o.answer)
		return
	}
	g.w.Header().Set("X-Weir-Receipt", g.receipt)
	g.write(http.StatusOK, []string{contentType}, body)
}

// answer is a body in its parts; data and errors are JSON as they were recorded.
type answer struct {
	data, errors, extensions []byte
}

// room is what an answer needs beside its parts.
const room = len(`{"data":,"errors":,"extensions":}`)

// smallAnswer is up to what size an answer's parts are copied together, so that
// it leaves in one piece.
const smallAnswer = 8 << 10

// send puts the parts together. What stands behind large data is appended to
// them where they are: they are the executor's buffer, which is this exchange's
// alone until it is released.
func (g *gate) send(status int, contentType []string, a answer) {
	if len(a.data) > smallAnswer {
		g.write(status, contentType, []byte(`{"data":`), a.appendTail(a.data, true))
		return
	}
	b := g.front.answers.take()
	b = slices.Grow(b, room+len(a.data)+len(a.errors)+len(a.extensions))
	if a.data != nil {
		b = append(append(b, `{"data":`...), a.data...)
	}
	b = a.appendTail(b, a.data != nil)
	g.write(status, contentType, b)
	g.front.answers.keep(b)
}

// appendTail appends errors, extensions and the closing brace; led tells that
// data stand before them.
func (a answer) appendTail(b []byte, led bool) []byte {
	opening := byte('{')
	if led {
		opening = ','
	}
	if a.errors != nil {
		b = append(append(append(b, opening), `"errors":`...), a.errors...)
		opening = ','
	}
	if a.extensions != nil {
		b = append(append(append(b, opening), `"extensions":`...), a.extensions...)
	}
	return append(b, '}')
}

// write is the only place where a graph's body is written, at most once.
func (g *gate) write(status int, contentType []string, parts ...[]byte) {
	if g.left && !g.events || g.last {
		return
	}
	g.left, g.status = true, status
	for _, p := range parts {
		g.bytes += len(p)
	}
	if g.events {
		g.open()
		g.event(parts)
		return
	}
	h := g.w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(g.bytes)}
	g.w.WriteHeader(status)
	for _, p := range parts {
		if _, err := g.w.Write(p); err != nil {
			return // the reader went away; the record stands
		}
	}
}

// open begins a stream; the status of its answers is in the events.
func (g *gate) open() {
	if g.opened {
		return
	}
	g.opened = true
	g.w.Header().Set("Content-Type", eventStream+"; charset=utf-8")
	g.w.WriteHeader(http.StatusOK)
}

// event writes an answer as one event. JSON of ours has no line break outside
// of strings, where it is escaped.
func (g *gate) event(parts [][]byte) {
	g.flush(append(append([][]byte{[]byte("event: next\ndata: ")}, parts...), []byte("\n\n"))...)
}

// beat is a comment, which keeps an idle stream from being taken for dead.
func (g *gate) beat() {
	if g.events && !g.last {
		g.open()
		g.flush([]byte(":\n\n"))
	}
}

// complete ends a stream.
func (g *gate) complete() {
	if g.events && g.opened && !g.broken {
		g.flush([]byte("event: complete\ndata:\n\n"))
	}
	g.last = true
}

// ended reports that nothing more may or can be sent.
func (g *gate) ended() bool { return g.last || g.broken || g.left && !g.events }

// flush sends at once, and gives up a reader who does not take it in time.
func (g *gate) flush(parts ...[]byte) {
	control := http.NewResponseController(g.w)
	_ = control.SetWriteDeadline(time.Now().Add(eventPatience))
	for _, p := range parts {
		if _, err := g.w.Write(p); err != nil {
			g.broken = true
			return
		}
	}
	if err := control.Flush(); err != nil {
		g.broken = true
	}
}

// shownRevision is how much of a revision's digest an answer shows.
const shownRevision = 12

// weir is the extensions member of every answer.
func weir(id, receipt, policy string, more []byte) []byte {
	b := make([]byte, 0, 96+len(id)+len(receipt)+len(policy)+len(more))
	b = append(b, `{"weir":{"requestId":"`...)
	b = append(b, id...)
	b = append(b, '"')
	if receipt != "" {
		policy = policy[:min(len(policy), shownRevision)]
		b = append(b, `,"receipt":"`...)
		b = append(b, receipt...)
		b = append(b, `","policy":"`...)
		b = append(b, policy...)
		b = append(b, '"')
	}
	if len(more) > 0 {
		b = append(b, ',')
		b = append(b, more...)
	}
	return append(b, "}}"...)
}
