package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/weir-data/weir/lineage"
)

func (s *streams) lineageReconcile() *cobra.Command {
	var w wherever
	c := &cobra.Command{
		Use: "reconcile ANSWERS", Short: "Hold answers that a client kept against the ledger", Args: cobra.ExactArgs(1),
		Long: `Reads a file of responses, one a line and unchanged as they came, and holds each
against its record: there is exactly one at the place that its receipt names, and
its digest is of these very bytes. Use it after a crash, a full disk or a restore.

Records that the file does not name are counted: what others asked, and answers
that never arrived. Exit codes: 0 each answer has its record, 6 an answer has
none or another's, 2 the file does not hold answers, 5 the ledger cannot be read.`,
		Example: "  weir lineage reconcile answers.ndjson --state state",
		RunE: func(_ *cobra.Command, args []string) error {
			folder, _, err := w.folder()
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return &exitError{ExitUsage, err, "name a file of responses, one a line"}
			}
			r, err := lineage.Reconcile(folder, file)
			switch err := errors.Join(err, file.Close()); {
			case errors.Is(err, lineage.ErrAnswers):
				return &exitError{ExitUsage, fmt.Errorf("%s: %w", args[0], err), "keep responses as they came, one a line"}
			case err != nil:
				return readError(folder.Dir, err)
			}
			return s.reconciled(r)
		},
	}
	w.flags(c)
	w.readingFlag(c)
	return c
}

// reconciled prints what came of it.
func (s *streams) reconciled(r *lineage.Reconciliation) error {
	verdict := "ok  "
	if r.Failures > 0 {
		verdict = "NOT "
	}
	s.printf("%s %s, %d with exactly one record of their own\n", verdict, count(r.Answers, "answer"), r.Answers-r.Failures)
	if r.Redacted > 0 {
		s.printf("    %s of a record that was redacted: it is there, and its digest is not any more\n", count(r.Redacted, "answer"))
	}
	if r.Refusals > 0 {
		s.printf("    %s without data and without a receipt\n", count(r.Refusals, "refusal"))
	}
	if r.Again > 0 {
		s.printf("    %s repeated to the byte\n", count(r.Again, "line"))
	}
	s.printf("    %s in the ledger, %d of them of none of these answers: of others, or never delivered\n", count(r.Records, "record"), r.Surplus)
	for _, u := range r.Unexplained {
		receipt := u.Receipt
		if receipt == "" {
			receipt = "no receipt"
		}
		s.printf("    line %d, %q: %s\n", u.Line, receipt, u.Reason)
	}
	if r.Failures > 0 {
		return tampered(fmt.Errorf("the ledger does not explain %s", count(r.Failures, "answer")))
	}
	return nil
}
