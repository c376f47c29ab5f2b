"""At p = 1, rounding alone decides whether the full form learns."""
