//go:build !linux

package index

import (
	"testing"
	"time"
)

func processor() time.Duration { return 0 }

// forget is for Linux alone: elsewhere the first look is no colder than the
// system makes it.
func forget(t *testing.T, _ string) { t.Log("the cold looks are warm here") }
