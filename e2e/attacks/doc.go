// Package attacks sends hostile requests through the real front to real
// databases, a named test for each line of the threat model's tables. It holds
// tests only.
//
// It promises that a budget is measured as the process's own processor time and
// heap, so that a busy machine fails no test, and that "no SQL" is counted at the
// adapters. What an answer may depend on is not its business: that is package
// noninterference.
package attacks
