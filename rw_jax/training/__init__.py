"""How it learns: one run as a pure function."""
