package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// redacted is how every secret prints.
const redacted = "***"

// Secret is a text that prints as *** wherever it may be printed, formatted,
// logged or encoded. The only way to its value is Reveal.
type Secret struct {
	value string
	set   bool
	// clear: a password stands in weir.yaml itself, beside a ${ENV} or without.
	clear bool
	file  string
	raw   string
}

// NewSecret makes a secret of a value that does not come from a file.
func NewSecret(value string) Secret { return Secret{value: value, set: value != ""} }

// Reveal gives the value. Whoever calls it answers for where it goes.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether no secret was given.
func (s Secret) IsZero() bool { return !s.set }

// String is *** for every secret, the empty one included.
func (s Secret) String() string { return redacted }

// GoString is as String, for %#v.
func (s Secret) GoString() string { return redacted }

// Format covers every other verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText is as String; encoders of every kind use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON is as String.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML is as String.
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// LogValue is as String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

var errSecretForm = errors.New("a secret is ${ENV}, a text with ${ENV} in it, or {file: path}")

// UnmarshalYAML keeps what the file says; resolve makes the value of it.
func (s *Secret) UnmarshalYAML(decode func(any) error) error {
	var text string
	if decode(&text) == nil {
		*s = Secret{raw: text, set: text != ""}
		return nil
	}
	var from map[string]string
	if decode(&from) == nil && len(from) == 1 && from["file"] != "" {
		*s = Secret{file: from["file"], set: true}
		return nil
	}
	return errSecretForm
}

// maxSecretFile bounds a secret's file, so that a mistaken path costs little.
const maxSecretFile = 64 << 10

// resolve reads the environment or the file. Errors name the variable or the
// path, never a content.
func (s *Secret) resolve(base string, env func(string) (string, bool)) error {
	switch {
	case s.file != "":
		path := s.file
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("secret file: %w", err)
		}
		if !info.Mode().IsRegular() || info.Size() > maxSecretFile {
			return fmt.Errorf("secret file %s is not a small regular file", path)
		}
		data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return fmt.Errorf("secret file: %w", err)
		}
		s.value = strings.TrimRight(strings.TrimPrefix(string(data), "\ufeff"), "\r\n")
	case s.raw != "":
		var err error
		if s.value, err = expand(s.raw, env); err != nil {
			return err
		}
		// The text with something harmless for what the environment holds.
		bare, err := expand(s.raw, func(string) (string, bool) { return fromEnvironment, true })
		if err != nil {
			return err
		}
		s.clear = holdsPassword(bare)
	}
	s.raw = ""
	switch {
	case s.set && strings.TrimSpace(s.value) == "":
		return errors.New("the secret is empty")
	case strings.ContainsFunc(s.value, unicode.IsControl) || !utf8.ValidString(s.value):
		return errors.New("the secret is not one line of text in UTF-8")
	}
	return nil
}

// fromEnvironment stands for the value of a variable where only the text around
// it is looked at.
const fromEnvironment = "weir-from-environment"

// expand replaces each ${NAME}.
func expand(text string, env func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" {
			return "", errSecretForm
		}
		value, ok := env(name)
		if !ok || value == "" {
			return "", fmt.Errorf("environment variable %s is not set", name)
		}
		// With a / or a # in it, the URL would end there, or its user be looked up as
		// the name of a host.
		if inUserinfo(b.String(), after) && !userinfo(value) {
			return "", fmt.Errorf("environment variable %s has characters that cannot stand for themselves before the @ of a URL: write them as %%XX", name)
		}
		b.WriteString(value)
		text = after
	}
}

// inUserinfo reports whether what stands between the two texts is the user or
// the password of a URL.
func inUserinfo(before, after string) bool {
	_, authority, url := strings.Cut(before, "://")
	end := strings.IndexAny(after, "@/?#")
	return url && !strings.ContainsAny(authority, "@/?#") && end >= 0 && after[end] == '@'
}

// userinfo reports whether a text is what it says when it stands there.
func userinfo(value string) bool {
	u, err := url.Parse("x://" + value + "@host")
	return err == nil && u.Host == "host" && u.User != nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}
