"""The theorems and lemmas of the paper that numbers can decide."""
