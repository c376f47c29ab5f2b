"""The theorem report is `python -m studies theorems`; for one version this says so."""

import sys

if __name__ == "__main__":
    print("rw_jax: python -m rw_jax.verify is python -m studies theorems now.", file=sys.stderr)
    sys.exit(2)
