"""How training on samples comes to that on infinitely many walks."""
