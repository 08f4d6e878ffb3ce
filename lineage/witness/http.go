package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Handler answers POST /add-checkpoint as C2SP tlog-witness says, and
// GET /checkpoint/ORIGIN with the checkpoint that was cosigned last, which is an
// anchor for `weir lineage verify`. What it tells is signed and no secret.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.add)
	mux.HandleFunc("GET /checkpoint/{origin}", w.show)
	return mux
}

func (w *Witness) add(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, fmt.Sprintf("the body has more than %d bytes or ends early", maxRequest), http.StatusBadRequest)
		return
	}
	line, err := w.Cosign(body)
	var behind *BehindError
	switch {
	case err == nil:
		_, _ = rw.Write(line)
	case errors.As(err, &behind):
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(rw, "%d\n", behind.Size)
	default:
		status := statusOf(err)
		text := err.Error()
		if status == http.StatusInternalServerError {
			w.cfg.Log.Error("a checkpoint cannot be kept and is not cosigned", "error", text)
			text = "the witness cannot keep the checkpoint"
		}
		http.Error(rw, text, status)
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrRequest):
		return http.StatusBadRequest
	case errors.Is(err, ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, ErrSignature):
		return http.StatusForbidden
	case errors.Is(err, errRoots):
		return http.StatusConflict
	case errors.Is(err, ErrFork):
		return http.StatusUnprocessableEntity
	default:
		return http.StatusInternalServerError
	}
}

func (w *Witness) show(rw http.ResponseWriter, r *http.Request) {
	text := w.Last(r.PathValue("origin"))
	if text == nil {
		http.Error(rw, "nothing was cosigned for this origin", http.StatusNotFound)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write(text)
}
