"""Tests of rw_jax, one file per module."""
