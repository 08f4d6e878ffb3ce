package gateway

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// media is the type of an answer.
type media uint8

const (
	plainJSON    media = iota // application/json: 200 for well-formed requests
	graphQLJSON               // application/graphql-response+json: true status codes
	unacceptable              // none of the two
)

// contentType is the header's value.
func (m media) contentType() []string {
	if m == graphQLJSON {
		return []string{"application/graphql-response+json; charset=utf-8"}
	}
	return []string{"application/json; charset=utf-8"}
}

// status of a failure in this media type; wellFormed tells that the request
// reached the executor.
func (m media) status(f failure, wellFormed bool) int {
	if m == plainJSON && f.graph && wellFormed {
		return http.StatusOK
	}
	return f.status
}

// maxAccept bounds the media ranges looked at, and maxRange the bytes of one: they
// are read before anybody is known.
const (
	maxAccept = 32
	maxRange  = 256
)

// negotiate picks the media type of the answer (RFC 9110, 12.5.1): the most
// specific range decides on a type's weight, the greater weight wins, and of
// equal ones the type that was named in full; otherwise application/json.
func negotiate(accept []string) media {
	if len(accept) == 0 {
		return plainJSON
	}
	if len(accept) == 1 { // what nearly every client says
		switch accept[0] {
		case "application/json", "*/*":
			return plainJSON
		case "application/graphql-response+json":
			return graphQLJSON
		}
	}
	type weight struct {
		q        float64
		specific int
	}
	var weights [2]weight
	weights[plainJSON], weights[graphQLJSON] = weight{-1, -1}, weight{-1, -1}
	ranges, empty := 0, true
	for _, header := range accept {
		for part := range strings.SplitSeq(header, ",") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			empty = false
			if ranges++; ranges > maxAccept {
				break
			}
			name, q, ok := mediaRange(part)
			if !ok {
				continue
			}
			for m, full := range [...]string{plainJSON: "application/json", graphQLJSON: "application/graphql-response+json"} {
				specific := -1
				switch name {
				case full:
					specific = 2
				case "application/*":
					specific = 1
				case "*/*":
					specific = 0
				}
				if specific > weights[m].specific {
					weights[m] = weight{q, specific}
				}
			}
		}
	}
	if empty {
		return plainJSON
	}
	j, g := weights[plainJSON], weights[graphQLJSON]
	switch {
	case j.q <= 0 && g.q <= 0:
		return unacceptable
	case g.q > j.q, g.q == j.q && g.specific == 2:
		return graphQLJSON
	default:
		return plainJSON
	}
}

// mediaRange reads one element of Accept. Ranges with a charset other than
// UTF-8 cannot be served and count for nothing, nor do those that are too long.
func mediaRange(part string) (name string, q float64, ok bool) {
	if len(part) > maxRange {
		return "", 0, false
	}
	name, params, err := mime.ParseMediaType(part)
	if err != nil {
		return "", 0, false
	}
	q = 1
	for key, value := range params {
		switch key {
		case "q":
			if q, err = strconv.ParseFloat(value, 64); err != nil || !(q >= 0 && q <= 1) {
				return "", 0, false
			}
		case "charset":
			if !strings.EqualFold(value, "utf-8") {
				return "", 0, false
			}
		}
	}
	return name, q, true
}

// isJSONBody reports whether the request's body is declared as uncompressed
// JSON in UTF-8, once and without doubt.
func isJSONBody(h http.Header) bool {
	for _, e := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(e), "identity") {
			return false
		}
	}
	declared := h.Values("Content-Type")
	if len(declared) != 1 {
		return false
	}
	if declared[0] == "application/json" {
		return true
	}
	name, params, err := mime.ParseMediaType(declared[0])
	if err != nil || name != "application/json" {
		return false
	}
	charset, has := params["charset"]
	return !has || strings.EqualFold(charset, "utf-8")
}
