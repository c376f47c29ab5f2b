"""Says, for one version, which command has taken the place of a script: each of them is a link to this file."""

import sys
from pathlib import Path

NOW = {
    "reproduce": "figures",
    "precision": "rounding",
    "lags": "where_attention_ends",
    "leaving": "where_attention_ends leaving",
    **{name: name for name in ("finite", "chains", "symmetry", "relatives", "million")},
}
"""The study that each script was."""

if __name__ == "__main__":
    name = Path(sys.argv[0]).stem
    print(f"rw_jax: scripts/{name}.py is python -m studies {NOW.get(name, '--list')} now.", file=sys.stderr)
    sys.exit(2)
