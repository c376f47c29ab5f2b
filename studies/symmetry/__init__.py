"""What breaks the symmetric state of p = 0 and 1, what is learned then, and what that costs at other p."""
