"""What V tends to, for losses that flatten as a power: the power 1 / (1 + a) of the transition matrix."""
