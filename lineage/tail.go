package lineage

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/weir-data/weir/schema"
)

// TailOptions say what Tail prints.
type TailOptions struct {
	// Last is how many of the newest records to begin with; 0 for all.
	Last int
	// Follow goes on with records as they come, until the context ends.
	Follow bool
	// JSON prints one object a line instead of text.
	JSON bool
	// Levels names the ranks. Default schema.DefaultLevels.
	Levels schema.Levels
	// Poll is the pause between looks at the files with Follow. Default 200 ms.
	Poll time.Duration
	// Unfinished is told where the log ends within a frame, when Tail ends. Nil
	// for nobody.
	Unfinished func(file string, offset int64)
}

// Tail prints the records of the log in a folder for people, a line for the
// record and one for each use of a field, or as JSON. It needs no lock and may
// run beside the writer. With Follow the end of the context is not an error.
func Tail(ctx context.Context, f Folder, w io.Writer, o TailOptions) error {
	if o.Levels == nil {
		o.Levels = schema.DefaultLevels()
	}
	if o.Poll <= 0 {
		o.Poll = 200 * time.Millisecond
	}
	r := newReader(f, 0)
	defer r.close()
	if o.Last > 0 {
		end, err := nextSequence(f)
		if err != nil {
			return err
		}
		r.from = end - min(end, uint64(o.Last))
	}
	out := bufio.NewWriter(w)
	for {
		e, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			if err := out.Flush(); err != nil {
				return err
			}
			if o.Follow && sleep(ctx, o.Poll) {
				continue
			}
			if r.torn != nil && o.Unfinished != nil {
				o.Unfinished(r.torn.file, r.torn.offset)
			}
			return nil
		case err != nil:
			return errors.Join(err, out.Flush())
		case ctx.Err() != nil:
			return out.Flush()
		}
		if err := o.print(out, &e); err != nil {
			return err
		}
	}
}

// nextSequence is the sequence that the next record will have.
func nextSequence(f Folder) (uint64, error) {
	r := newReader(f, ^uint64(0)) // the newest segment
	defer r.close()
	for {
		if _, err := r.next(); errors.Is(err, io.EOF) {
			if r.scan == nil {
				return 1, nil
			}
			return r.scan.chain.sequence, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// sleep is false when the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o TailOptions) print(w io.Writer, e *Entry) error {
	if o.JSON {
		return o.printJSON(w, e)
	}
	return o.printText(w, e)
}

const tailTime = "2006-01-02T15:04:05.000Z"

// closed says why a record's contents are not there.
func (o TailOptions) closed(e *Entry) string {
	if e.Content == Redacted {
		return "redacted"
	}
	return "sealed"
}

func (o TailOptions) printText(w io.Writer, e *Entry) error {
	if e.Content != Readable {
		_, err := fmt.Fprintf(w, "%s  %s  %s of %s\n", e.Position, o.closed(e), o.Levels.Name(e.Key.Level), e.Key.Month)
		return err
	}
	r := &e.Record
	line := []string{e.Time.UTC().Format(tailTime), e.Position.String()}
	labelled := func(label, value string) {
		if value != "" {
			line = append(line, label+" "+value)
		}
	}
	labelled("subject", shorten(plain(r.Subject)))
	labelled("app", plain(r.Application))
	labelled("of", plain(r.Department))
	labelled("as", plain(strings.Join(r.Roles, ",")))
	labelled("for", plain(r.Purpose))
	kind := plain(r.Kind)
	if r.Operation != "" {
		kind += " " + plain(r.Operation)
	}
	line = append(line, kind)
	status := plain(r.Status)
	if r.Code != "" {
		status += " " + plain(r.Code)
	}
	line = append(line, status, plural(r.Rows, "row"))
	if r.TagCount > 0 {
		line = append(line, plural(r.TagCount, "person tag")+groups(r))
	}
	if r.Sealed > 0 {
		line = append(line, "sealed until "+e.Time.Add(r.Sealed).UTC().Format(time.RFC3339))
	}
	if _, err := io.WriteString(w, strings.Join(line, "  ")+"\n"); err != nil {
		return err
	}
	// One table a record: columns line up without knowing later records.
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range r.Uses {
		u := &r.Uses[i]
		cells := []string{
			"    " + plain(u.Department), plain(u.Coordinate.String()),
			o.Levels.Name(u.Level), u.Use.name(), r.outcome(i),
		}
		if _, err := io.WriteString(t, strings.TrimRight(strings.Join(cells, "\t"), "\t")+"\n"); err != nil {
			return err
		}
	}
	for i := range r.Sources {
		if note := r.Sources[i].note(e.Time); note != "" {
			if _, err := fmt.Fprintf(t, "    %s\t%s\n", plain(r.Sources[i].Department), note); err != nil {
				return err
			}
		}
	}
	return t.Flush()
}

// outcome tells how the cells of a use fared: "masked 1", "clear 3, withheld 1",
// "absent". Uses that are counted by statement tell only that there was none.
func (r *Record) outcome(use int) string {
	if use >= len(r.Counts) {
		return ""
	}
	c := r.Counts[use]
	if r.Uses[use].Use.ByStatement() && c.Clear > 0 {
		return ""
	}
	var parts []string
	for _, p := range [...]struct {
		outcome Outcome
		n       uint32
	}{{Clear, c.Clear}, {Masked, c.Masked}, {Withheld, c.Withheld}} {
		if p.n > 0 {
			parts = append(parts, p.outcome.String()+" "+strconv.FormatUint(uint64(p.n), 10))
		}
	}
	if len(parts) == 0 && (r.Uses[use].Use == Select || r.Uses[use].Use.ByStatement()) {
		return Absent.String()
	}
	return strings.Join(parts, ", ")
}

// note says what is unusual about a source; "" for nothing.
func (s *SourceAge) note(at time.Time) string {
	var parts []string
	if s.Failed {
		parts = append(parts, "failed")
	}
	if s.Stale {
		parts = append(parts, "stale")
	}
	if len(parts) > 0 && !s.AsOf.IsZero() {
		parts = append(parts, age(at.Sub(s.AsOf))+" old")
	}
	return strings.Join(parts, ", ")
}

// age is a duration as a person says it: from two days up, in days.
func age(d time.Duration) string {
	const oneDay = 24 * time.Hour
	if d < 2*oneDay {
		return d.Round(time.Second).String()
	}
	return strconv.Itoa(int(d/oneDay)) + " days"
}

// name is the use's name also where the byte is none of this version's.
func (u UseKind) name() string {
	if int(u) < len(useNames) {
		return useNames[u]
	}
	return "use " + strconv.Itoa(int(u))
}

// groups says how many of a record's tags came from which departments.
func groups(r *Record) string {
	var parts []string
	for _, g := range r.TagGroups {
		of := r.sourcesOf(g)
		for i := range of {
			of[i] = plain(of[i])
		}
		parts = append(parts, fmt.Sprintf("%d of %s", g.Count, strings.Join(of, " and ")))
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func plural(n uint64, thing string) string {
	s := strconv.FormatUint(n, 10) + " " + thing
	if n != 1 {
		s += "s"
	}
	return s
}

// shorten keeps as much of a pseudonym as tells readers on one screen apart.
func shorten(s string) string {
	if len(s) > 8 {
		return s[:8]
	}
	return s
}

// plain keeps a name from steering the terminal or faking another column.
func plain(s string) string {
	for _, c := range s {
		if !unicode.IsPrint(c) || c == ' ' || c == '"' || c == '\uFFFD' {
			return strconv.Quote(s)
		}
	}
	return s
}

// tailEntry is the JSON of a record. Its names are those of [Record].
type tailEntry struct {
	Position    string       `json:"position"`
	Time        string       `json:"time"`
	RequestID   string       `json:"requestId,omitempty"`
	Kind        string       `json:"kind"`
	Operation   string       `json:"operation,omitempty"`
	Document    string       `json:"document,omitempty"`
	Subject     string       `json:"subject,omitempty"`
	Application string       `json:"application,omitempty"`
	Department  string       `json:"department,omitempty"`
	Roles       []string     `json:"roles"`
	Attributes  string       `json:"attributes,omitempty"`
	Purpose     string       `json:"purpose,omitempty"`
	Case        string       `json:"case,omitempty"`
	Schema      string       `json:"schema,omitempty"`
	Policy      string       `json:"policy,omitempty"`
	Level       string       `json:"level"`
	Status      string       `json:"status"`
	Code        string       `json:"code,omitempty"`
	Rows        uint64       `json:"rows"`
	Uses        []tailUse    `json:"uses"`
	Tags        []string     `json:"tags,omitempty"`
	TagCount    uint64       `json:"tagCount"`
	TagGroups   []tailTags   `json:"tagGroups,omitempty"`
	TagDigest   string       `json:"tagDigest,omitempty"`
	SealedUntil string       `json:"sealedUntil,omitempty"`
	Sources     []tailSource `json:"sources,omitempty"`
	Salt        string       `json:"salt,omitempty"`
	Answer      string       `json:"answer,omitempty"`
	Hash        string       `json:"hash"`
}

// tailTags are so many of the tags, after those of the groups before.
type tailTags struct {
	Sources []string `json:"sources"`
	Tags    int      `json:"tags"`
}

type tailUse struct {
	Department string `json:"department,omitempty"`
	Table      string `json:"table,omitempty"`
	Column     string `json:"column,omitempty"`
	Coordinate string `json:"coordinate"`
	Level      string `json:"level"`
	Use        string `json:"use"`
	Clear      uint32 `json:"clear"`
	Masked     uint32 `json:"masked"`
	Withheld   uint32 `json:"withheld"`
}

type tailSource struct {
	Department string `json:"department"`
	AsOf       string `json:"asOf,omitempty"`
	Stale      bool   `json:"stale,omitempty"`
	Failed     bool   `json:"failed,omitempty"`
}

// closedEntry is the JSON of a record that cannot be read.
type closedEntry struct {
	Position string `json:"position"`
	Content  string `json:"content"` // "sealed" or "redacted"
	Month    string `json:"month"`
	Level    string `json:"level"`
	Hash     string `json:"hash"`
}

func (o TailOptions) printJSON(w io.Writer, e *Entry) error {
	if e.Content != Readable {
		return json.NewEncoder(w).Encode(closedEntry{
			Position: e.Position.String(), Content: o.closed(e), Month: e.Key.Month.String(),
			Level: o.Levels.Name(e.Key.Level), Hash: hex.EncodeToString(e.Hash[:]),
		})
	}
	r := &e.Record
	t := tailEntry{
		Position: e.Position.String(), Time: e.Time.UTC().Format(time.RFC3339Nano),
		RequestID: r.RequestID, Kind: r.Kind, Operation: r.Operation, Document: r.Document,
		Subject: r.Subject, Application: r.Application, Department: r.Department,
		Roles: append([]string{}, r.Roles...), Attributes: hexOrNone(r.Attributes[:]),
		Purpose: r.Purpose, Case: r.Case, Schema: r.Schema, Policy: r.Policy,
		Level: o.Levels.Name(r.Level), Status: r.Status, Code: r.Code, Rows: r.Rows,
		Uses: make([]tailUse, len(r.Uses)), TagCount: r.TagCount, TagDigest: hexOrNone(r.TagDigest[:]),
		Salt: hexOrNone(r.Salt[:]), Answer: hexOrNone(r.Answer[:]), Hash: hex.EncodeToString(e.Hash[:]),
	}
	for i := range r.Uses {
		u := &r.Uses[i]
		t.Uses[i] = tailUse{
			Department: u.Department, Table: u.Table, Column: u.Column, Coordinate: u.Coordinate.String(),
			Level: o.Levels.Name(u.Level), Use: u.Use.name(),
		}
		if i < len(r.Counts) {
			t.Uses[i].Clear, t.Uses[i].Masked, t.Uses[i].Withheld = r.Counts[i].Clear, r.Counts[i].Masked, r.Counts[i].Withheld
		}
	}
	if r.Sealed > 0 {
		t.SealedUntil = e.Time.Add(r.Sealed).UTC().Format(time.RFC3339Nano)
	}
	for i := range r.Tags {
		t.Tags = append(t.Tags, hex.EncodeToString(r.Tags[i][:]))
	}
	for i := range r.Sources {
		s := tailSource{Department: r.Sources[i].Department, Stale: r.Sources[i].Stale, Failed: r.Sources[i].Failed}
		if asOf := r.Sources[i].AsOf; !asOf.IsZero() {
			s.AsOf = asOf.UTC().Format(time.RFC3339Nano)
		}
		t.Sources = append(t.Sources, s)
	}
	for _, g := range r.TagGroups {
		t.TagGroups = append(t.TagGroups, tailTags{r.sourcesOf(g), g.Count})
	}
	return json.NewEncoder(w).Encode(t)
}

// hexOrNone is the hexadecimal text, "" for all zero.
func hexOrNone(b []byte) string {
	for _, v := range b {
		if v != 0 {
			return hex.EncodeToString(b)
		}
	}
	return ""
}
