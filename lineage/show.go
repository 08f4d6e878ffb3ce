package lineage

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/weir-data/weir/schema"
)

// ErrUnknown is that the log has no such record.
var ErrUnknown = errors.New("no such record")

// Find gives one record of the log in a folder; ErrUnknown where there is none
// at the position.
func Find(f Folder, at Position) (Entry, error) {
	for e, err := range Read(f, at.Sequence) {
		if err != nil {
			return e, err
		}
		if e.Position == at {
			return e, nil
		}
		if e.Position.Sequence > at.Sequence {
			return Entry{}, fmt.Errorf("%w: %s", ErrArchived, at)
		}
		break
	}
	return Entry{}, fmt.Errorf("%w: %s", ErrUnknown, at)
}

// Show prints one record as [Tail] does. Only Levels and JSON of the options
// count.
func Show(f Folder, at Position, w io.Writer, o TailOptions) error {
	e, err := Find(f, at)
	if err != nil {
		return err
	}
	if o.Levels == nil {
		o.Levels = schema.DefaultLevels()
	}
	out := bufio.NewWriter(w)
	return errors.Join(o.print(out, &e), out.Flush())
}
