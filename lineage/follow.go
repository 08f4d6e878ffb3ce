package lineage

// Reader walks over the records of a log, in order, also while another process
// writes it. It needs no lock. It is for one goroutine.
type Reader struct{ r reader }

// NewReader makes a reader that begins at a sequence, 0 or 1 for the first
// record. The caller closes it.
func NewReader(f Folder, from uint64) *Reader { return &Reader{r: *newReader(f, from)} }

// Next gives the next record. io.EOF says that there is none yet: Next may be
// called again later and goes on where it was. Every frame is checked against
// the one before it; any other error names the place and is final. Records share
// their uses and roles and are not to be changed.
func (r *Reader) Next() (Entry, error) { return r.r.next() }

// Close closes the segment that is open.
func (r *Reader) Close() { r.r.close() }
