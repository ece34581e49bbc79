"""What classifiers say of a turn: the class rule, the memory of verdicts, and the judge who always has an answer."""
