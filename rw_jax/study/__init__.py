"""What is asked: fields, the frozen Config, the grid of its runs. Plain Python; imports nothing else of rw_jax."""
