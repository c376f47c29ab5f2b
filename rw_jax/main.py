"""The command line.

python -m rw_jax.main --config=configs/sweep.py [--workdir=runs/sweep] [--config.field=value ...]
"""

import sys
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from rw_jax import sweep
from rw_jax.config import ConfigError, from_config_dict

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The config file, such as configs/sweep.py.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run directory; runs/<config.name> if it is not given.")


def main(argv: list[str]) -> None:
    """Runs the sweep of the config; bad input is one sentence and exit code 2."""
    del argv
    logging.set_verbosity(logging.INFO)
    try:
        config = from_config_dict(_CONFIG.value)
        sweep.run(config, Path(_WORKDIR.value or f"runs/{config.name}"))
    except ConfigError as error:
        _refuse(error)


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line; what cannot be parsed is one sentence and exit code 2."""
    files = [word.split("=", 1)[1] for word in argv if word.startswith("--config=")]
    if not files:
        _refuse("--config is not given, but must name a config file, such as --config=configs/sweep.py.")
    if not Path(files[-1]).is_file():
        _refuse(f"--config is {files[-1]!r}, which is not a file; give one, such as --config=configs/sweep.py.")
    try:
        return flags.FLAGS(argv)
    except AttributeError as error:
        _refuse(f"{error} is not a field of the config.")
    except flags.Error as error:
        _refuse(error)


def _refuse(reason: object) -> NoReturn:
    print(f"rw_jax: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
