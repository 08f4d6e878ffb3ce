//go:build race

package keyring

// raceDetector tells whether this test binary runs under the race detector.
const raceDetector = true
