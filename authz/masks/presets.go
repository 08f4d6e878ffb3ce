package masks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// preset is a rule before it has arguments.
type preset struct {
	name     string
	version  int
	params   []string // argument names
	defaults []int    // nil when the arguments must be given
	kinds    []string // nil for every kind
	keyed    bool
	// idempotent: masking what is masked already changes nothing.
	idempotent bool
	summary    string
	example    string
	check      func(args []int) error
	preserves  func(args []int) Preserves
	bind       func(args []int) func(key []byte) Func
}

// presets is sorted by name.
var presets = [...]preset{
	{
		name: "ADDRESS", version: 2, idempotent: true, kinds: []string{"String"},
		summary: "keeps the province and the prefecture-level city",
		example: "广东省广州市天河区体育西路1号",
		preserves: fixed(Preserves{
			Nullness: true, First: longestRegion,
			Note: "the province and the prefecture-level city, where the address begins with their full names",
		}),
		bind: plain(maskAddress),
	},
	{
		name: "BANK_CARD", version: 1, kinds: []string{"String"},
		summary:   "keeps the last four digits of a card number",
		example:   "6222021234567890123",
		preserves: fixed(Preserves{Nullness: true, Last: 4}),
		bind:      plain(maskBankCard),
	},
	{
		name: "BUCKET", version: 1, idempotent: true, params: []string{"width"}, kinds: []string{"Int", "BigInt", "Decimal", "Float"},
		summary: "rounds down to a multiple of the width",
		example: "4711",
		check: func(a []int) error {
			if a[0] < 2 || a[0] > 1_000_000_000 {
				return errors.New("the width is from 2 to 1000000000")
			}
			return nil
		},
		preserves: func(a []int) Preserves {
			return Preserves{Nullness: true, Order: true, Note: "the value rounded down to a multiple of " + strconv.Itoa(a[0]) + "; what cannot be rounded (an exponent, beyond 2^60, from -2^31 to the multiple above it) is null"}
		},
		bind: func(a []int) func([]byte) Func { return plain(bucket(int64(a[0])))(nil) },
	},
	{
		name: "CREDIT_CODE", version: 1, kinds: []string{"String"},
		summary:   "keeps the two leading and the two last characters of a unified social credit code",
		example:   "91440101MA5CABCD1X",
		preserves: fixed(Preserves{Nullness: true, First: 2, Last: 2}),
		bind:      plain(maskCreditCode),
	},
	{
		name: "EMAIL", version: 2, idempotent: true, kinds: []string{"String"},
		summary:   "keeps the first character, and the domain where it is a large public provider's",
		example:   "zhang.san@qq.com",
		preserves: fixed(Preserves{Nullness: true, First: 1, Note: "the domain, where it is one of a fixed list of large public providers"}),
		bind:      plain(maskEmail),
	},
	{
		name: "ID_NUMBER", version: 1, params: []string{"first", "last"}, defaults: []int{1, 1}, kinds: []string{"String"},
		summary: "keeps one character at each end of an identity number of 15 or 18",
		example: "990101199003070078",
		check:   keptWithin(6, 4),
		preserves: func(a []int) Preserves {
			return Preserves{Nullness: true, First: a[0], Last: a[1]}
		},
		bind: func(a []int) func([]byte) Func { return plain(maskIDNumber(a[0], a[1]))(nil) },
	},
	{
		name: "KEEP", version: 2, params: []string{"first", "last"}, kinds: []string{"String"},
		summary: "keeps some characters at the ends, with four asterisks between",
		example: "A1234567890",
		check: func(a []int) error {
			if a[0]+a[1] == 0 {
				return errors.New("keeping nothing is REDACT")
			}
			return keptWithin(16, 16)(a)
		},
		preserves: func(a []int) Preserves {
			return Preserves{
				Nullness: true, First: a[0], Last: a[1],
				Note: "whether the value has more than " + strconv.Itoa(a[0]+a[1]+1) + " characters: shorter ones are masked wholly",
			}
		},
		bind: func(a []int) func([]byte) Func { return plain(keep(a[0], a[1]))(nil) },
	},
	{
		name: "MONTH", version: 1, idempotent: true, kinds: []string{"Date", "DateTime", "String"},
		summary:   "keeps year and month, as the first day of the month",
		example:   "1990-05-17",
		preserves: fixed(Preserves{Nullness: true, Order: true, Note: "the year and the month (UTC); what is no date is null"}),
		bind:      plain(maskMonth),
	},
	{
		name: "NAME", version: 2, idempotent: true, kinds: []string{"String"},
		summary:   "keeps the surname, and says nothing of the given name, not even its length",
		example:   "欧阳小明",
		preserves: fixed(Preserves{Nullness: true, First: 2, Note: "the surname: two characters where it is a known compound surname and a given name follows, else the first character"}),
		bind:      plain(maskName),
	},
	{
		name: "NULL", version: 1, idempotent: true,
		summary:   "always null",
		example:   "anything",
		preserves: fixed(Preserves{}),
		bind:      plain(null),
	},
	{
		name: "PHONE", version: 2, params: []string{"first", "last"}, defaults: []int{3, 4}, kinds: []string{"String"},
		summary: "keeps three leading and four last digits of a mobile or landline number, without country code and punctuation",
		example: "13812345678",
		check:   keptWithin(3, 4),
		preserves: func(a []int) Preserves {
			return Preserves{Nullness: true, First: a[0], Last: a[1], Note: "counted without country code and punctuation"}
		},
		bind: func(a []int) func([]byte) Func { return plain(maskPhone(a[0], a[1]))(nil) },
	},
	{
		name: "PLATE", version: 1, kinds: []string{"String"},
		summary:   "keeps the region of a vehicle's plate",
		example:   "粤A12345",
		preserves: fixed(Preserves{Nullness: true, First: 2}),
		bind:      plain(maskPlate),
	},
	{
		name: "PSEUDONYM", version: 1, kinds: []string{"ID", "String"}, keyed: true,
		summary:   "a token in place of the value, the same for the same value within one purpose; null without a purpose",
		example:   "990101199003070078",
		preserves: fixed(Preserves{Nullness: true, Equality: true, Note: "equality within one purpose; two purposes share no token"}),
		bind:      func([]int) func([]byte) Func { return pseudonym },
	},
	{
		name: "REDACT", version: 1, idempotent: true, kinds: []string{"String"},
		summary:   "three asterisks",
		example:   "anything",
		preserves: fixed(Preserves{Nullness: true}),
		bind:      plain(constant("***")),
	},
	{
		name: "YEAR", version: 1, idempotent: true, kinds: []string{"Date", "DateTime", "String"},
		summary:   "keeps the year, as its first day",
		example:   "1990-05-17",
		preserves: fixed(Preserves{Nullness: true, Order: true, Note: "the year (UTC); what is no date is null"}),
		bind:      plain(maskYear),
	},
}

func find(name string) (*preset, bool) {
	i, ok := slices.BinarySearchFunc(presets[:], name, func(p preset, n string) int { return strings.Compare(p.name, n) })
	if !ok {
		return nil, false
	}
	return &presets[i], true
}

func (p *preset) usage() string {
	if len(p.params) == 0 {
		return p.name
	}
	return p.name + "(" + strings.Join(p.params, ",") + ")"
}

// parseArgs reads the arguments, all by place or all by name.
func (p *preset) parseArgs(inner string) ([]int, error) {
	parts := strings.Split(inner, ",")
	if len(p.params) == 0 || len(parts) != len(p.params) {
		return nil, fmt.Errorf("%w: %q is not of the form %s", ErrInvalid, p.name+"("+inner+")", p.usage())
	}
	args := make([]int, len(parts))
	named := strings.Contains(parts[0], ":")
	seen := make([]bool, len(parts))
	for i, part := range parts {
		at, text := i, part
		if name, value, ok := strings.Cut(part, ":"); ok != named {
			return nil, fmt.Errorf("%w: %s: arguments are all named or all not", ErrInvalid, p.usage())
		} else if ok {
			at, text = slices.Index(p.params, strings.TrimSpace(name)), value
			if at < 0 || seen[at] {
				return nil, fmt.Errorf("%w: %s: no argument %q, or given twice", ErrInvalid, p.usage(), strings.TrimSpace(name))
			}
		}
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %q is not a whole number", ErrInvalid, p.usage(), strings.TrimSpace(text))
		}
		args[at], seen[at] = int(n), true //nolint:gosec // at most 31 bits
	}
	return args, nil
}

func keptWithin(first, last int) func([]int) error {
	return func(a []int) error {
		if a[0] > first || a[1] > last {
			return fmt.Errorf("at most %d characters can be kept at the start and %d at the end", first, last)
		}
		return nil
	}
}

// fixed is for presets that preserve the same whatever their arguments.
func fixed(p Preserves) func([]int) Preserves { return func([]int) Preserves { return p } }

// plain is for presets without arguments and without a key.
func plain(f Func) func([]int) func([]byte) Func {
	return func([]int) func([]byte) Func {
		return func([]byte) Func { return f }
	}
}
