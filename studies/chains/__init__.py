"""Where attention goes in 527 random Markov chains, on infinitely many walks and on samples, beside predictions."""
