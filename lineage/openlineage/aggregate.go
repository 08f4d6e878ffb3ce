package openlineage

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-data/weir/lineage"
)

// job is one application's operation of one shape.
type job struct {
	application, operation string
	name                   string // unique among jobs
	uses                   []lineage.Use
}

// shapeKey finds a job without digesting its shape: a reader gives the records of
// one segment that have a shape in common the same uses.
type shapeKey struct {
	uses                             *lineage.Use
	n                                int
	application, operation, document string
}

// maxKeys bounds what shapeKeys keep alive; each segment has uses of its own.
const maxKeys = 10_000

// run is what a job did in one window.
type run struct {
	job                 *job
	origin              string
	records, rows, last uint64 // last: microseconds
	statuses            map[string]uint64
	purposes, consumers map[string]uint64
	counts              []tally // by use
}

// tally are the cells of a use by outcome.
type tally struct{ clear, masked, withheld uint64 }

// window is what the jobs of each node did in it.
type window map[runKey]*run

type runKey struct{ origin, job string }

type export struct {
	options *Options
	out     writer
	open    map[time.Time]window
	keys    map[shapeKey]*job
	report  Report
}

// add counts a record.
func (x *export) add(at time.Time, e *lineage.Entry) {
	r := &e.Record
	if r.Status == refused || !slices.ContainsFunc(r.Uses, ofDepartment) {
		x.report.Others++
		return
	}
	x.report.Records++
	j := x.job(r)
	runs := x.open[at]
	if runs == nil {
		runs = make(window)
		x.open[at] = runs
	}
	key := runKey{e.Position.Origin, j.name}
	n := runs[key]
	if n == nil {
		n = &run{
			job: j, origin: e.Position.Origin, counts: make([]tally, len(r.Uses)),
			statuses: make(map[string]uint64), purposes: make(map[string]uint64), consumers: make(map[string]uint64),
		}
		runs[key] = n
	}
	n.records++
	n.rows += r.Rows
	n.last = max(n.last, uint64(e.Time.UnixMicro())) //nolint:gosec // after 1970
	n.statuses[r.Status]++
	n.purposes[r.Purpose]++
	n.consumers[r.Department]++
	for i := range r.Counts {
		c := &n.counts[i]
		c.clear += uint64(r.Counts[i].Clear)
		c.masked += uint64(r.Counts[i].Masked)
		c.withheld += uint64(r.Counts[i].Withheld)
	}
}

// refused is the status of a record whose request read nothing.
const refused = "refused"

// ofDepartment leaves out the control graph's fields, and what the ledger reads
// for itself.
func ofDepartment(u lineage.Use) bool { return u.Department != "" && u.Use != lineage.Tag }

// job finds or makes the job of a record. Its name does not say what a document
// held beyond the operation's name and a digest.
func (x *export) job(r *lineage.Record) *job {
	key := shapeKey{&r.Uses[0], len(r.Uses), r.Application, r.Operation, r.Document}
	if j := x.keys[key]; j != nil {
		return j
	}
	h := sha256.New()
	var b []byte
	text := func(parts ...string) {
		for _, p := range parts {
			b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
		}
	}
	text(r.Application, r.Operation, r.Document)
	for i := range r.Uses {
		u := &r.Uses[i]
		text(u.Department, u.Table, u.Column, u.Coordinate.Type, u.Coordinate.Field)
		b = append(binary.AppendUvarint(b, uint64(u.Level)), byte(u.Use))
	}
	h.Write(b)
	j := &job{application: r.Application, operation: r.Operation, uses: r.Uses}
	j.name = strings.Join([]string{cmp.Or(r.Application, "unknown"), cmp.Or(r.Operation, "unnamed"), hex.EncodeToString(h.Sum(nil)[:8])}, "/")
	if len(x.keys) >= maxKeys {
		clear(x.keys)
	}
	x.keys[key] = j
	return j
}

// close writes a window.
func (x *export) close(at, newest time.Time) error {
	runs := x.open[at]
	delete(x.open, at)
	keys := slices.SortedFunc(maps.Keys(runs), func(a, b runKey) int {
		return cmp.Or(cmp.Compare(a.origin, b.origin), cmp.Compare(a.job, b.job))
	})
	for _, k := range keys {
		x.report.Runs++
		for _, e := range x.events(runs[k], at, newest) {
			if err := x.out.write(e); err != nil {
				return err
			}
		}
	}
	return nil
}
