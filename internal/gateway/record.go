package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"slices"

	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/schema"
)

// Uses of the key ring, one per kind of thing that a record keeps keyed.
const (
	useCase       = "lineage-case"
	useAttributes = "lineage-attributes"
)

// record is what the ledger keeps of an exchange. Nothing in it is a value: the
// reader, his case and his attributes arrive keyed.
func (f *Front) record(x *exchange, o *outcome) *lineage.Record {
	s, reads := x.subject, x.request.Reads
	r := &lineage.Record{
		RequestID: x.id, Kind: reads.Kind, Operation: reads.Name,
		Subject: s.pseudonym, Application: s.Application, Department: s.Department,
		Roles: s.Roles, Attributes: s.attributes, Purpose: x.request.Purpose,
		Schema: x.request.Generation.Catalogue.Revision, Policy: x.request.Generation.Policy, Document: reads.Document,
		Status: o.status, Code: string(o.code), Level: reads.Level,
		Sealed:  f.cfg.Sealed[x.request.Purpose],
		Sources: reads.Sources,
	}
	if x.request.Case != "" {
		r.Case = f.cfg.Keys.Pseudonym(useCase, x.request.Case)
	}
	if reads.Counts != nil {
		r.Uses, r.Counts, r.Rows = reads.Uses, reads.Counts, reads.Rows
	}
	r.SetGroupedTags(reads.Tags, reads.TagGroups)
	reads.Tags, reads.TagGroups = nil, nil // the record's now
	_, _ = io.ReadFull(f.cfg.Random, r.Salt[:])
	r.Answer = lineage.AnswerDigest(r.Salt[:], o.answer.data, o.answer.errors)
	return r
}

// attributes digests the reader's attributes, names and values, so that equal
// ones can be told to be equal and nothing else.
func (f *Front) attributes(attributes map[string]string) (digest [8]byte) {
	if len(attributes) == 0 {
		return digest
	}
	names := make([]string, 0, len(attributes))
	for n := range attributes {
		names = append(names, n)
	}
	slices.Sort(names)
	var text []byte
	for _, n := range names {
		text = binary.AppendUvarint(text, uint64(len(n)))
		text = append(text, n...)
		text = binary.AppendUvarint(text, uint64(len(attributes[n])))
		text = append(text, attributes[n]...)
	}
	return f.cfg.Keys.Tag(useAttributes, text)
}

// sameField reports whether a coordinate means the same in two catalogues, as
// far as an answer's protection goes: where it is read, at which level, under
// which mask, sharing and scopes.
func sameField(a, b *schema.Catalogue, c schema.Coordinate) bool {
	was, is := a.Types[c.Type], b.Types[c.Type]
	if was == nil || is == nil || was.Level != is.Level || was.Sharing != is.Sharing ||
		was.Source.Department != is.Source.Department || was.Source.Table != is.Source.Table ||
		!slices.EqualFunc(was.Scopes, is.Scopes, func(x, y *schema.Scope) bool { return x.Name == y.Name && x.Text == y.Text }) ||
		!slices.EqualFunc(was.Subjects, is.Subjects, func(x, y schema.Subject) bool {
			return x.Field == y.Field && slices.Equal(x.Covers, y.Covers)
		}) {
		return false
	}
	if c.Row() {
		return true
	}
	f, g := was.Field(c.Field), is.Field(c.Field)
	if f == nil || g == nil {
		// Not a field of the catalogue (_ref): as its row.
		return f == nil && g == nil
	}
	mask := func(m *schema.MaskUse) string {
		if m == nil {
			return ""
		}
		return m.Spec
	}
	return f.Level == g.Level && f.Column == g.Column && mask(f.Mask) == mask(g.Mask)
}

// requestID takes over a well-formed id of the caller's, so that his logs and
// ours can be laid side by side, and draws one otherwise.
func requestID(h http.Header, random io.Reader) string {
	if given := h.Values("X-Request-Id"); len(given) == 1 && wellFormedID(given[0]) {
		return given[0]
	}
	var b [12]byte
	_, _ = io.ReadFull(random, b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func wellFormedID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
