package schema

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, test := range []struct{ name, column, singular string }{
		{"idNumber", "id_number", "idNumber"},
		{"legalRepIdNumber", "legal_rep_id_number", "legalRepIdNumber"},
		{"BirthCertificate", "birth_certificate", "birthCertificate"},
		{"IDCard", "id_card", "idCard"},
		{"parentID", "parent_id", "parentID"},
		{"ID", "id", "id"},
		{"A", "a", "a"},
		{"line2Text", "line2_text", "line2Text"},
		{"addressLine2", "address_line2", "addressLine2"},
		{"already_snake", "already_snake", "already_snake"},
		{"a_B", "a_b", "a_B"},
		{"x__y", "x_y", "x__y"},
	} {
		if got := snake(test.name); got != test.column {
			t.Errorf("snake(%q) = %q, want %q", test.name, got, test.column)
		}
		if got := lowerFirst(test.name); got != test.singular {
			t.Errorf("lowerFirst(%q) = %q, want %q", test.name, got, test.singular)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"classified", "column", "source", "subject"}
	for _, test := range []struct{ written, want string }{
		{"clasified", "classified"},
		{"Source", "source"},
		{"soruce", "source"},
		{"entirelyElse", ""},
		{"", ""},
	} {
		got := didYouMean(test.written, known, quoted)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("didYouMean(%q) = %q, want %q", test.written, got, test.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, test := range []struct {
		kind     Scalar
		in, want string // "!" for no value of the kind
	}{
		{String, "a\x00b", "!"},
		{String, "a\xff", "!"},
		{String, "", ""},
		{Int, "2147483647", "2147483647"},
		{Int, "2147483648", "!"},
		{Int, "-0", "0"},
		{Float, "1", "1"},
		{Float, "1.50", "1.5"},
		{Float, "NaN", "!"},
		{Float, "1e400", "!"},
		{Float, "0x1p4", "!"},
		{Float, "1_0", "!"},
		{Boolean, "TRUE", "!"},
		{Date, "2024-02-29", "2024-02-29"},
		{Date, "2023-02-29", "!"},
		{Date, "2023-2-9", "!"},
		{Date, "0000-01-01", "!"},
		{DateTime, "2020-01-01T00:00:00+08:00", "2019-12-31T16:00:00Z"},
		{DateTime, "2020-01-01T00:00:00.120Z", "2020-01-01T00:00:00.12Z"},
		{DateTime, "2020-01-01T00:00:00,5Z", "!"},
		{DateTime, "2020-01-01T0:00:00Z", "!"},
		{DateTime, "2020-01-01 00:00:00Z", "!"},
		{DateTime, "0001-01-01T00:00:00+08:00", "!"},
		{Time, "09:30:00", "09:30:00"},
		{Time, "09:30:00.500", "09:30:00.5"},
		{Time, "9:30:00.5", "!"},
		{Time, "24:00:00", "!"},
		{Time, "", "!"},
		{Decimal, "+001.50", "1.50"},
		{Decimal, "-0.0", "0.0"},
		{Decimal, "-12", "-12"},
		{Decimal, "1e3", "!"},
		{Decimal, ".5", "!"},
		{Decimal, "5.", "!"},
		{Decimal, "+-5", "!"},
		{BigInt, "9223372036854775807", "9223372036854775807"},
		{BigInt, "9223372036854775808", "!"},
		{BigInt, "-007", "-7"},
		{BigInt, "", "!"},
		{BigInt, "-", "!"},
		{BigInt, "1_0", "!"},
		{UUID, "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"},
		{UUID, "{6f9619ff-8b86-d011-b42d-00cf4fc964f}", "!"},
	} {
		got, ok := test.kind.Canonical(test.in)
		if !ok {
			got = "!"
		}
		if got != test.want {
			t.Errorf("%v.Canonical(%q) = %q, want %q", test.kind, test.in, got, test.want)
		}
	}
}
