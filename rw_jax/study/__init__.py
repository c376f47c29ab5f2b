"""What is asked: the configuration of a study and the grid of its runs. Plain Python."""
