package verify

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// leastMonths is for how many months after its own the records of a month are
// kept, whatever a node's configuration says: three years.
const leastMonths = 36

// due is from when on a data key may be dropped.
func (n keyName) due() time.Time { return monthStart(n.month + 1 + leastMonths) }

func monthStart(month uint64) time.Time {
	return time.Date(int(month/12), time.Month(month%12+1), 1, 0, 0, 0, 0, time.UTC) //nolint:gosec // at most the year 10002
}

// saying is the record that stands in front of the frame of an act.
type saying struct {
	month uint64    // of its data key, which is that of its time
	time  time.Time // what it says itself; zero where it was not read
	of    [3]string // kind, operation and document; as time
}

// inTime holds the record of an act to say that act, when it could be carried
// out.
func (s *saying) inTime(n keyName, sum []byte) error {
	if s == nil {
		return &fault{reason: fmt.Sprintf("an act that dropped %s stands behind no record that says so", n)}
	}
	if !s.time.IsZero() && s.of != [3]string{"retention", n.String(), hex.EncodeToString(sum)} {
		return &fault{reason: fmt.Sprintf("the record in front of the act that dropped %s is of something else", n)}
	}
	kept := fmt.Sprintf("the records of %04d-%02d are kept until %s, and %s was dropped ", n.month/12, n.month%12+1, n.due().Format(time.DateOnly), n)
	if monthStart(s.month).Before(n.due()) {
		return &fault{reason: fmt.Sprintf("%sin %04d-%02d", kept, s.month/12, s.month%12+1)}
	}
	if !s.time.IsZero() && s.time.Before(n.due()) {
		return &fault{reason: kept + "at " + s.time.Format(time.RFC3339)}
	}
	return nil
}

// Officer is somebody who may sign acts of retention, with one of his public
// keys: 32 bytes of Ed25519 in base64. The ledger does not say who they are: their
// keys come, as the ledger's own does, by another way.
type Officer struct{ ID, Key string }

// Act is a recorded act that dropped a data key.
type Act struct {
	Month             string
	Level             int // rank, from 0
	Auditor, Security string
	// Checked: the signatures are those of officers that the options name. Else
	// the names are what the act says.
	Checked bool
}

// Offices that sign an act, one officer of each.
const (
	officeAuditor  = "auditor"
	officeSecurity = "security"
)

// officers are the keys of an office, by id: one for each time that it changed.
type officers map[string][]ed25519.PublicKey

// signatories are those whose signatures count; nil where nobody was named.
type signatories map[string]officers

func parseSignatories(auditors, security []Officer) (signatories, error) {
	if len(auditors)+len(security) == 0 {
		return nil, nil
	}
	if len(auditors) == 0 || len(security) == 0 {
		return nil, fmt.Errorf("%w: an act of retention is signed by an auditor and by a security officer: name both, all who ever signed", ErrInput)
	}
	out := signatories{officeAuditor: {}, officeSecurity: {}}
	for office, list := range map[string][]Officer{officeAuditor: auditors, officeSecurity: security} {
		for _, o := range list {
			key, err := base64.StdEncoding.Strict().DecodeString(o.Key)
			if err != nil || len(key) != ed25519.PublicKeySize || o.ID == "" {
				return nil, fmt.Errorf("%w: the key of %s %q is not 32 bytes in base64", ErrInput, office, o.ID)
			}
			out[office][o.ID] = append(out[office][o.ID], key)
		}
	}
	return out, nil
}

// readAct holds an act's text against what the log says it did, and its
// signatures against the signatories, where there are such.
func readAct(text, origin string, n keyName, id [16]byte, who signatories) (Act, error) {
	month := fmt.Sprintf("%04d-%02d", n.month/12, n.month%12+1)
	a := Act{Month: month, Level: int(n.level), Checked: who != nil}
	about := fmt.Sprintf("weir retention act 1\norigin %s\nmonth %s\nlevel %d\nkey %s\nexpires ", origin, month, n.level, hex.EncodeToString(id[:]))
	rest, ok := strings.CutPrefix(text, about)
	lines := strings.Split(rest, "\n")
	if !ok || len(lines) != 4 || lines[3] != "" {
		return a, &fault{reason: "it is not the act of two officers that drops this key"}
	}
	expires, err := time.Parse(time.RFC3339, lines[0])
	if err != nil {
		return a, &fault{reason: "it does not say when it expires"}
	}
	if due := n.due(); !expires.After(due) {
		return a, &fault{reason: fmt.Sprintf("it expired at %s, and the records of %s are kept until %s", lines[0], month, due.Format(time.DateOnly))}
	}
	above := about + lines[0] + "\n"
	var keys [2]ed25519.PublicKey
	for i, line := range lines[1:3] {
		parts := strings.Split(line, " ")
		if len(parts) != 3 {
			return a, &fault{reason: "a line of it is no signature"}
		}
		name := &a.Security
		if parts[0] == officeAuditor {
			name = &a.Auditor
		}
		signature, err := base64.StdEncoding.Strict().DecodeString(parts[2])
		if parts[0] != officeAuditor && parts[0] != officeSecurity || parts[1] == "" || *name != "" || err != nil {
			return a, &fault{reason: "it does not bear the signatures of an auditor and of a security officer"}
		}
		*name = parts[1]
		if who != nil {
			if keys[i], err = who.signed(parts[0], parts[1], above+parts[0]+" "+parts[1], signature); err != nil {
				return a, err
			}
		}
		above += line + "\n"
	}
	if a.Auditor == a.Security || who != nil && keys[0].Equal(keys[1]) {
		return a, &fault{reason: "both signatures are of one person or key"}
	}
	return a, nil
}

// signed gives the key that a signature is of.
func (s signatories) signed(office, officer, text string, signature []byte) (ed25519.PublicKey, error) {
	known := s[office][officer]
	if office == officeSecurity {
		office = "security officer"
	}
	if len(known) == 0 {
		return nil, &fault{reason: fmt.Sprintf("it is signed by %s %s, whose key was not given", office, strconv.Quote(officer))}
	}
	for _, key := range known {
		if ed25519.Verify(key, []byte(text), signature) {
			return key, nil
		}
	}
	return nil, &fault{reason: fmt.Sprintf("the signature of %s %s does not fit", office, strconv.Quote(officer))}
}
