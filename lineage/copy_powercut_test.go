package lineage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// sentFrame is a frame as a node sends it, with the key's file that it names.
type sentFrame struct {
	bytes []byte
	hash  FrameHash
	key   KeyID
	text  []byte // nil where it names none
}

// sentLog is a log in small segments, frame by frame.
func sentLog(t *testing.T) []sentFrame {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(Config{
		Reading: testReading, Dir: dir, Origin: "node-a", SegmentSize: 900,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		r := sampleRecord()
		r.RequestID = fmt.Sprintf("power-%d", i)
		if i%5 == 4 { // in a frame of their own
			r.SetTags(somePeople(80))
		}
		_, ticket, err := l.Append(t.Context(), r)
		if err == nil {
			err = ticket.Wait(t.Context(), Synced)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	frames := NewFrames(dir, 0)
	defer frames.Close()
	var out []sentFrame
	for {
		f, err := frames.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		s := sentFrame{bytes: bytes.Clone(f.Bytes), hash: f.Hash}
		if n, id, names := f.DataKey(); names {
			s.key = id
			if s.text, _, err = KeyText(dir, n, id); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, s)
	}
}

// copyInto adds the frames behind what the copy has, a few at a time, and syncs
// now and then; synced hears of each sync.
func copyInto(c *Copy, frames []sentFrame, synced func(CopyState)) error {
	if last := c.State().Last; c.State().Origin != "" {
		for len(frames) > 0 && frames[0].hash != last {
			frames = frames[1:]
		}
		if len(frames) == 0 {
			return errors.New("the copy ends with a frame that was never sent")
		}
		frames = frames[1:]
	}
	for i := 0; len(frames) > 0; i++ {
		n := min(1+i%3, len(frames))
		var group []byte
		for _, f := range frames[:n] {
			if f.text != nil {
				if err := c.Offer(f.key, f.text, false); err != nil {
					return err
				}
			}
			group = append(group, f.bytes...)
		}
		frames = frames[n:]
		if err := c.Add("node-a", group); err != nil {
			return err
		}
		if i%2 == 1 || len(frames) == 0 {
			if err := c.Sync(); err != nil {
				return err
			}
			synced(c.State())
		}
	}
	return nil
}

// TestCopyPowerCutAtEveryWrite cuts the second machine's power before and after
// every single operation on its files, in turn: what it had acknowledged is
// there, no record is there without its key, and the copy goes on to the end of
// the node's log.
func TestCopyPowerCutAtEveryWrite(t *testing.T) {
	besideNothing(t)
	frames := sentLog(t)
	cutEverywhere(t, rounds(t, "WEIR_POWER_ROUNDS", 2, 100), 40, func(step int, rnd *rand.Rand) (bool, error) { return cutCopyAt(frames, step, rnd) })
}

// cutCopyAt copies the frames and takes what the disk may hold at one operation;
// false when there are not so many.
func cutCopyAt(frames []sentFrame, step int, rnd *rand.Rand) (bool, error) {
	files := newMemFS()
	var acknowledged, due CopyState
	cut := cutPower(files, step, rnd, func() { due = acknowledged })
	c, err := OpenCopy("copy", files)
	if err != nil {
		return false, err
	}
	err = copyInto(c, frames, func(s CopyState) { acknowledged = s })
	err = errors.Join(err, c.Close())
	dark := cut.left()
	if err != nil || dark == nil {
		return false, err
	}
	again, err := OpenCopy("copy", dark)
	if err != nil {
		return true, err
	}
	if got := again.State(); got.Sequence < due.Sequence {
		return true, errors.Join(fmt.Errorf("record %d was acknowledged, the copy ends with %d", due.Sequence, got.Sequence), again.Close())
	}
	// Every record that is there opens, so its key is there too.
	got, err := records(dark, "copy")
	if err == nil && uint64(len(got)) != again.State().Sequence {
		err = fmt.Errorf("%d records can be read, the copy ends with %d", len(got), again.State().Sequence)
	}
	if err == nil {
		err = copyInto(again, frames, func(CopyState) {})
	}
	if err = errors.Join(err, again.Close()); err != nil {
		return true, err
	}
	if got, err = records(dark, "copy"); err != nil || len(got) != 20 {
		return true, fmt.Errorf("%d records at the end: %w", len(got), err)
	}
	return true, nil
}
