"""A million runs on one machine, stopped on the way and continued, and what they cost."""
