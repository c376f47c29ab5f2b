"""What was done with rw_jax: studies, each with its configs, measures, claims and pictures; `python -m studies`."""
