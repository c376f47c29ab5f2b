"""The figures of the paper, each with what it reports as claims on every seed."""
