// Package noninterference holds the proof that Weir leaks nothing: two databases
// that differ only in what a reader may not see answer him alike, to the byte.
//
// It generates schema, policies, rows, readers and sessions at random, makes a
// second database by redrawing what the reader is not cleared for, runs the same
// session over both through the real front, executor, ledger and engines, and
// compares every byte of every answer. What the reader may see is worked out by
// an oracle of its own, row by row, from the words of the design; it calls no
// part of the planner and no decision table. It does not speak about time, nor
// about aggregates below their own bar.
//
// Over the same worlds it holds the ledger to be complete: the columns that the
// databases themselves saw being read are those that the records name.
package noninterference
