"""What tests of faults share: the command in this process, and what may become of files."""

import contextlib
import random
import resource
from pathlib import Path

import pytest

from rw_jax import main
from rw_jax.study.config import Config
from rw_jax.study.flags import Command
from tests.tiny import assert_sentence


def command(study: Config, workdir: Path, *switches: str) -> Command:
    return Command(study, Path("study.py"), workdir, frozenset(switches))


def refusal(capsys, study, workdir, exit_code=2):
    with pytest.raises(SystemExit) as refused:
        main.main(command(study, workdir))
    assert refused.value.code == exit_code
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert_sentence(sentence)
    return sentence


def damaged(whole: bytes, rng: random.Random) -> list[bytes | None]:
    """What may become of a file: None if it is gone."""
    flipped = bytearray(whole)
    flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    return [None, whole[: len(whole) // 2], bytes(flipped)]


@contextlib.contextmanager
def files_at_most(size):
    """Writing more than this into a file fails, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
