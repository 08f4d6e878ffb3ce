package gateway

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/weir-data/weir/authz"
	"github.com/weir-data/weir/authz/approval"
	"github.com/weir-data/weir/schema"
)

// Revision is one state of all that decisions depend on: schema, policy, and
// what the configuration says about them. Its digest is what officers sign.
type Revision struct {
	Schema   []schema.File    `json:"schema"`
	Policy   []schema.File    `json:"policy"`
	Settings RevisionSettings `json:"settings"`
}

// RevisionSettings are the part of a configuration that rights depend on, and who
// may approve the next revision.
type RevisionSettings struct {
	Levels              schema.Levels `json:"levels"`
	Departments         []string      `json:"departments"`
	PurposeRequiredFrom string        `json:"purposeRequiredFrom"`
	HideFrom            string        `json:"hideFrom"`
	Purposes            []string      `json:"purposes"`
	Offices             authz.Offices `json:"offices"`
	Roles               []string      `json:"roles"`
	Officers            []officerText `json:"officers"`
	// Auditors are absent where there are none, so that revisions from before
	// there were any keep their digests.
	Auditors []officerText `json:"auditors,omitempty"`
	Rights   Rights        `json:"rights"`
}

// officerText is an officer as text.
type officerText struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

// errRevision is the kind of the error of a kept revision that cannot be read.
var errRevision = errors.New("kept revision cannot be read")

// Revision reads what the folders hold now.
func (d *Folders) Revision() (*Revision, error) {
	t, err := d.read()
	if err != nil {
		return nil, err
	}
	return d.revision(t), nil
}

// revision names files by what they are called in their folder, so that it is
// the same on every machine.
func (d *Folders) revision(t *content) *Revision {
	return &Revision{Schema: bare(t.schema), Policy: bare(t.policy), Settings: d.Settings()}
}

// Settings are what the configuration of the folders says.
func (d *Folders) Settings() RevisionSettings {
	levels := d.SchemaSettings.Levels
	if levels == nil {
		levels = schema.DefaultLevels()
	}
	s := RevisionSettings{
		Levels: levels, Departments: slices.Sorted(slices.Values(d.SchemaSettings.Departments)),
		PurposeRequiredFrom: levels.Name(d.PolicySettings.PurposeRequiredFrom),
		HideFrom:            levels.Name(d.PolicySettings.HideFrom),
		Purposes:            slices.Sorted(slices.Values(d.PolicySettings.Purposes)),
		Offices:             d.PolicySettings.Offices, Roles: d.PolicySettings.Roles,
		Rights: d.Rights,
	}
	s.Officers, s.Auditors = officerTexts(d.Officers), officerTexts(d.Auditors)
	return s
}

// officerTexts are officers as text, by id.
func officerTexts(officers []approval.Officer) (out []officerText) {
	for _, o := range officers {
		out = append(out, officerText{o.ID, approval.PublicText(o.Key)})
	}
	slices.SortFunc(out, func(a, b officerText) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func bare(files []schema.File) []schema.File {
	out := make([]schema.File, len(files))
	for i, f := range files {
		out[i] = schema.File{Name: filepath.Base(f.Name), Text: f.Text}
	}
	return out
}

// Digest is the revision's name: 64 hexadecimal letters.
func (r *Revision) Digest() (string, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("revision: %w", err)
	}
	sum := sha256.Sum256(append([]byte("weir revision 1\n"), b...))
	return hex.EncodeToString(sum[:]), nil
}

// content turns it back into what folders hold.
func (r *Revision) content() *content {
	return &content{schema: r.Schema, policy: r.Policy, digest: digest(r.Schema, r.Policy)}
}

// folders are those of d, with the settings of the revision.
func (r *Revision) folders(d Folders) (Folders, error) {
	levels := r.Settings.Levels
	from, known := levels.Rank(r.Settings.PurposeRequiredFrom)
	hide, also := levels.Rank(r.Settings.HideFrom)
	if !known || !also {
		return d, fmt.Errorf("%w: it names no level", errRevision)
	}
	officers, err := r.Officers()
	if err != nil {
		return d, err
	}
	auditors, err := r.Auditors()
	if err != nil {
		return d, err
	}
	d.SchemaSettings.Levels, d.SchemaSettings.Departments = levels, r.Settings.Departments
	d.PolicySettings = authz.Settings{
		PurposeRequiredFrom: from, HideFrom: hide, Purposes: r.Settings.Purposes,
		Roles: r.Settings.Roles, Offices: r.Settings.Offices,
	}
	d.Officers, d.Auditors, d.Rights = officers, auditors, r.Settings.Rights
	return d, nil
}

// Officers are those who may approve what follows the revision.
func (r *Revision) Officers() ([]approval.Officer, error) { return parseOfficers(r.Settings.Officers) }

// Auditors are those who may sign acts of retention under the revision, each
// together with one of its officers.
func (r *Revision) Auditors() ([]approval.Officer, error) { return parseOfficers(r.Settings.Auditors) }

func parseOfficers(texts []officerText) ([]approval.Officer, error) {
	var out []approval.Officer
	for _, o := range texts {
		key, err := approval.ParsePublic(o.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: officer %q: %w", errRevision, o.ID, err)
		}
		out = append(out, approval.Officer{ID: o.ID, Key: key})
	}
	return out, nil
}

// Table compiles the revision under the rest of d, for comparisons.
func (r *Revision) Table(d Folders) (*authz.Table, error) {
	d, err := r.folders(d)
	if err != nil {
		return nil, err
	}
	catalogue, policy, found := d.parse(r.content(), authz.Check)
	if found.Failed() || catalogue == nil {
		return nil, &RefusedError{found}
	}
	return authz.Compile(policy, catalogue, d.PolicySettings)
}

// Compare tells what changes from one revision to another: in what is decided,
// in what the configuration grants beside it, and in who may approve. from and
// to are compiled under the rest of d.
func (d *Folders) Compare(from, to *Revision) (*authz.Draft, error) {
	draft := &authz.Draft{}
	for _, side := range [...]struct {
		revision *Revision
		state    *authz.State
	}{{from, &draft.Before}, {to, &draft.After}} {
		table, err := side.revision.Table(*d)
		if err != nil {
			return nil, err
		}
		*side.state = authz.State{Table: table, Applications: side.revision.Settings.Rights.Applications}
	}
	draft.Changes = authz.Diff(draft.Before.Table, draft.After.Table)
	CompareSettings(draft.Changes, &from.Settings, &to.Settings)
	return draft, nil
}

// CompareSettings adds to the changes of decisions those of rights and of
// officers.
func CompareSettings(c *authz.Changes, from, to *RevisionSettings) {
	compareOfficers(c, "officers", from.Officers, to.Officers)
	compareOfficers(c, "auditors", from.Auditors, to.Auditors)
	compareRights(c, from, to)
}

// compareOfficers tells of other officers. Whoever they are is approved by those
// there are, a leaving one too: it takes two. So it is with auditors, that nobody
// names both signers of an act of retention.
func compareOfficers(c *authz.Changes, list string, from, to []officerText) {
	was, is := map[string]string{}, map[string]string{}
	for _, o := range from {
		was[o.ID] = o.Key
	}
	for _, o := range to {
		is[o.ID] = o.Key
	}
	for _, id := range keysOf(was, is) {
		if was[id] != is[id] {
			c.Setting(fmt.Sprintf("%s.%s: key %s -> %s", list, id, orNone(was[id]), orNone(is[id])), authz.Direction{Widens: true, Narrows: true})
		}
	}
}

// pack and unpackRevision are how a revision is kept.
func (r *Revision) pack() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, fmt.Errorf("revision: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("revision: %w", err)
	}
	return b.Bytes(), nil
}

// maxRevision bounds what a kept revision unpacks to.
const maxRevision = 256 << 20

func unpackRevision(packed []byte) (*Revision, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRevision, err)
	}
	r := &Revision{}
	if err := json.NewDecoder(io.LimitReader(z, maxRevision)).Decode(r); err != nil {
		return nil, fmt.Errorf("%w: %w", errRevision, err)
	}
	return r, nil
}
