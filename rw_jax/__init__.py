"""rw_jax: grids of one-layer transformers trained on random walks, in one compiled program.

Reproduces Shi and Cao, "Towards Understanding Transformers in Learning Random Walks"
(NeurIPS 2025, arXiv:2511.23239).

Shape alphabet, used as a suffix of array names everywhere (`tokens_BxL` is walks by tokens). Tasks and people
have walks first; the model and the metrics have walks last.

  C  cells of the grid (runs)
  B  walks
  N  slots the softmax runs over, N = walk length: N - 1 tokens and the empty query slot
  L  tokens of one walk that the model sees, L = N - 1
  K  nodes of the circle, or words of the vocabulary
  M  width of a positional embedding
  D  width of a token with its position, D = K + M
  T  recorded steps
  S  recorded steps with parameters
"""

from rw_jax.analysis.run_dir import Run, load_run

__all__ = ["Run", "load_run"]
