package ledger

import (
	"os"
	"path/filepath"
	"time"
)

// note counts an attempt and tells when things change for the worse or better.
func (l *Ledger) note(err error) {
	l.mu.Lock()
	was := l.stats.Working
	l.stats.Working = err == nil
	if err != nil {
		l.stats.Failures++
	}
	l.mu.Unlock()
	switch {
	case err != nil && was:
		l.config.Log.Error("the ledger behind the log fails; answers go on, their proofs wait", "error", err.Error())
	case err == nil && !was:
		l.config.Log.Warn("the ledger behind the log works again")
	}
}

// look finds what the newest checkpoint covers.
func (l *Ledger) look() {
	path := filepath.Join(l.files.dir, "checkpoint")
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	l.mu.Lock()
	waiting := len(l.ends) > 1 || !info.ModTime().Equal(l.stats.Checkpoint)
	l.mu.Unlock()
	if !waiting {
		return
	}
	if now := time.Now(); info.ModTime().After(now.Add(time.Second)) {
		// The clock went back. The storage waits for the file's age before it
		// makes the next checkpoint, and would wait as long as the jump.
		_ = os.Chtimes(path, now.Add(-time.Hour), now.Add(-time.Hour))
	}
	_, head, err := l.files.checkpoint(l.check)
	if err != nil {
		l.note(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Checkpoint = info.ModTime()
	for len(l.ends) > 1 && l.ends[1].size <= head.N {
		l.ends = l.ends[:copy(l.ends, l.ends[1:])]
	}
	if l.ends[0].size <= head.N {
		l.stats.Proven = l.ends[0].last
	}
}

// hurry tells when no checkpoint comes, and when one does again. The storage makes
// them by itself and keeps to itself why one fails.
func (l *Ledger) hurry() {
	l.mu.Lock()
	var waits time.Duration
	if len(l.ends) > 1 {
		waits = time.Since(l.ends[1].since)
	}
	l.mu.Unlock()
	switch late := waits > l.config.patience; {
	case late && !l.late:
		l.late = true
		l.config.Log.Error("NO CHECKPOINT IS MADE of the ledger's tree; answers go on, their proofs wait. Is its folder writable, and do as many witnesses cosign as must? At level debug the log says more",
			"folder", l.files.dir, "waiting", waits.Round(time.Millisecond).String())
	case l.late && waits < l.config.patience/2:
		l.late = false
		l.config.Log.Warn("checkpoints of the ledger's tree are made again")
	}
}
