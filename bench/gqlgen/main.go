package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/weir-data/weir/bench/gqlgen/graph"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	pool := flag.Int("pool", 16, "connections per database")
	flag.Parse()
	debug.SetGCPercent(400) // weir, whose memory is held to a budget, has 300
	if err := run(*listen, *pool); err != nil {
		fmt.Fprintln(os.Stderr, "gqlgen:", err)
		os.Exit(1)
	}
}

func run(listen string, connections int) error {
	resolver := &graph.Resolver{}
	for _, p := range []struct {
		to  **pgxpool.Pool
		env string
	}{{&resolver.People, "BENCH_PUBLIC_SECURITY"}, {&resolver.Insurance, "BENCH_SOCIAL_SECURITY"}} {
		config, err := pgxpool.ParseConfig(os.Getenv(p.env))
		if err != nil {
			return err
		}
		config.MaxConns = int32(connections)
		if *p.to, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
			return err
		}
	}
	server := handler.New(graph.NewExecutableSchema(graph.Config{Resolvers: resolver}))
	server.AddTransport(transport.POST{})
	server.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return (&http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			server.ServeHTTP(w, r.WithContext(resolver.WithLoaders(r.Context())))
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}).Serve(l)
}
