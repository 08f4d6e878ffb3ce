package resolvers_test

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // what an attacker would try
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weir-data/weir/internal/keyring"
	"github.com/weir-data/weir/lineage"
	"github.com/weir-data/weir/resolvers"
)

// idNumber completes area, birth date and serial with the check digit (GB 11643).
func idNumber(area string, born time.Time, serial int) string {
	s := fmt.Sprintf("%s%s%03d", area, born.Format("20060102"), serial)
	weights := [...]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(s[i]-'0') * w
	}
	return s + string("10X98765432"[sum%11])
}

// TestDictionaryOpensNothing tries every ID number of one area code against all
// stand-ins in a real log, by every function that needs no key, by empty keys
// and by a key ring of the attacker's own. None is opened; with the real ring
// every one is, so the dictionary holds them.
func TestDictionaryOpensNothing(t *testing.T) {
	if os.Getenv("WEIR_SMALL") != "" {
		t.Skip("SKIPPED: WEIR_SMALL leaves out what nothing runs beside")
	}
	const area = "990006"
	years := 1
	if os.Getenv("WEIR_SOAK") != "" {
		years = 100
	}
	first := time.Date(1985, 1, 1, 0, 0, 0, 0, time.UTC)
	if years > 1 {
		first = time.Date(1926, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	end := first.AddDate(years, 0, 0)

	ring, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := keyring.Generate()
	if err != nil {
		t.Fatal(err)
	}
	persons := []string{idNumber(area, first, 7), idNumber(area, first.AddDate(0, 5, 11), 512), idNumber(area, end.AddDate(0, 0, -1), 999)}
	tags, subjects, raw := recordOf(t, ring, persons)
	for _, p := range persons {
		if bytes.Contains(raw, []byte(p)) {
			t.Fatal("an ID number stands in the log")
		}
	}
	open := func(t8 [8]byte, text string) bool { return tags[t8] || subjects[text] }

	zero, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	tried, opened, real := 0, 0, 0
	guess := func(sum []byte) {
		if open([8]byte(sum), base64.RawURLEncoding.EncodeToString(sum)) || subjects[hex.EncodeToString(sum)] ||
			subjects[base64.RawURLEncoding.EncodeToString(sum[:16])] {
			opened++
		}
	}
	for day := first; day.Before(end); day = day.AddDate(0, 0, 1) {
		for serial := 1; serial <= 999; serial++ {
			id := idNumber(area, day, serial)
			b := []byte(id)
			tried++
			s256, s1, m5 := sha256.Sum256(b), sha1.Sum(b), md5.Sum(b) //nolint:gosec // as above
			guess(s256[:])
			guess(s1[:])
			guess(m5[:])
			var block [16]byte
			copy(block[:], b)
			zero.Encrypt(block[:], block[:])
			guess(block[:])
			if serial%37 == 0 || years == 1 {
				h := hmac.New(sha256.New, nil)
				_, _ = h.Write(b)
				guess(h.Sum(nil))
				if open(mine.Tag(resolvers.TagUse, b), mine.Pseudonym(resolvers.SubjectUse, id)) {
					opened++
				}
			}
		}
	}
	for _, p := range persons {
		if tags[ring.Tag(resolvers.TagUse, []byte(p))] && subjects[ring.Pseudonym(resolvers.SubjectUse, p)] {
			real++
		}
	}
	if opened != 0 || real != len(persons) {
		t.Errorf("%d stand-ins opened without the key; %d of %d with it", opened, real, len(persons))
	}
	t.Logf("%d numbers tried against %d tags and %d pseudonyms", tried, len(tags), len(subjects))
}

// recordOf records reads by and about persons, and gives every stand-in that the
// log holds, and its bytes.
func recordOf(t *testing.T, ring *keyring.Ring, persons []string) (map[[8]byte]bool, map[string]bool, []byte) {
	t.Helper()
	dir := t.TempDir() + "/ledger"
	log, err := lineage.Open(lineage.Config{Dir: dir, Origin: "node-a", Reading: ring.Box("reading")})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range persons {
		r := &lineage.Record{Kind: "query", Subject: ring.Pseudonym(resolvers.SubjectUse, p), Status: "ok"}
		r.SetTags([]lineage.SubjectTag{ring.Tag(resolvers.TagUse, []byte(p))})
		_, ticket, err := log.Append(t.Context(), r)
		if err == nil {
			err = ticket.Wait(t.Context(), lineage.Synced)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	tags, subjects := map[[8]byte]bool{}, map[string]bool{}
	for e, err := range lineage.Read(lineage.Folder{Dir: dir, Reading: ring.Box("reading")}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		subjects[e.Record.Subject] = true
		for _, tag := range e.Record.Tags {
			tags[tag] = true
		}
	}
	raw, err := os.ReadFile(dir + "/0000000000000001.wal")
	if err != nil {
		t.Fatal(err)
	}
	return tags, subjects, raw
}
