// Command gqlgen is the other comparison: the resolvers that gqlgen generates,
// with dataloaders, and no security at all.
package main

//go:generate go run github.com/99designs/gqlgen generate
