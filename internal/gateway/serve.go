package gateway

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-data/weir/internal/config"
)

// Serve answers on the listener until the context ends; then no request is
// taken any more, those under way get their answers for as long as the
// configuration grants, and Serve returns. metrics is a listener for /metrics
// alone, or nil.
func (f *Front) Serve(ctx context.Context, l, metrics net.Listener, s config.Server) error {
	servers := []*http.Server{f.server(f.Handler(), s)}
	listeners := []net.Listener{l}
	if metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("/metrics", f.cfg.Metrics.Handler())
		servers = append(servers, f.server(mux, s))
		listeners = append(listeners, metrics)
	}
	group, running := errgroup.WithContext(ctx)
	for i, server := range servers {
		group.Go(func() error {
			if err := server.Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("http: %w", err)
			}
			return nil
		})
		group.Go(func() error {
			<-running.Done()
			f.stop.Do(func() { close(f.stopping) }) // streams would never end by themselves
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ShutdownTimeout)
			defer cancel()
			if err := server.Shutdown(grace); err != nil {
				return errors.Join(fmt.Errorf("requests were cut off at shutdown: %w", err), server.Close())
			}
			return nil
		})
	}
	group.Go(func() error {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-running.Done():
				f.strangers.flush()
				return nil
			case <-tick.C:
				f.strangers.flush()
			}
		}
	})
	return group.Wait()
}

func (f *Front) server(h http.Handler, s config.Server) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadTimeout:                  s.ReadTimeout,
		ReadHeaderTimeout:            s.ReadTimeout,
		WriteTimeout:                 s.WriteTimeout,
		IdleTimeout:                  s.IdleTimeout,
		MaxHeaderBytes:               s.HeaderBytes,
		DisableGeneralOptionsHandler: true,
		// net/http logs what peers send that is no HTTP: only that it happened.
		ErrorLog: log.New(quiet{f.cfg.Log}, "", 0),
	}
}

// quiet keeps the texts of net/http, which may quote a request, out of the log.
type quiet struct{ log *slog.Logger }

func (q quiet) Write(p []byte) (int, error) {
	q.log.Warn("the HTTP server met an error on a connection")
	return len(p), nil
}
