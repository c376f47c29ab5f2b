"""Where attention ends on infinitely many walks, over nodes, lengths and long trainings, beside predictions."""
