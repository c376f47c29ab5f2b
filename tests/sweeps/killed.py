"""The processes that test_interruption.py ends: its fork server has this imported, so that they start at once."""

import os
import time
from pathlib import Path

import jax

from rw_jax.sweeps import interruption, sweep
from tests.tiny import QUICK_FLAGS, tiny_study

STUDY = tiny_study(
    p=(0.5, 0.7, 1.0),
    seed=(0, 1, 2, 3),
    fields={
        "training.steps": 40,
        "record.parameters": (7, 20),
        "execution.cells_per_chunk": 2,
        "execution.checkpoint_steps": 9,
    },
)
"""Six chunks of two cells, each saved four times in the midst of its training."""

LONG_STUDY = tiny_study(
    fields={
        "training.steps": 10**9,
        "record.every": 10**9,
        "record.parameters": (),
        "execution.checkpoint_steps": 10**9,
    }
)
"""One run in a single call of its program, for hours."""


def compile_quickly() -> None:
    """As conftest.py has it."""
    jax.config.update("jax_disable_most_optimizations", True)
    if QUICK_FLAGS:
        os.environ["XLA_FLAGS"] = QUICK_FLAGS


def train(workdir: Path) -> None:
    """The sweep of STUDY, but for the figures."""
    compile_quickly()
    sweep.sweep(STUDY, workdir)


def train_long(workdir: Path) -> None:
    """The sweep of LONG_STUDY, as the command runs it; what it prints goes to a file."""
    os.dup2(os.open(workdir / "stderr", os.O_WRONLY | os.O_CREAT), 2)
    with interruption.leaving_on_signal("go on."):
        compile_quickly()
        (workdir / "listening").touch()
        sweep.sweep(LONG_STUDY, workdir / "run")


def save_slowly(workdir: Path, seconds: float) -> None:
    """A save that takes so long; it leaves a file when it is finished."""
    os.dup2(os.open(workdir / "stderr", os.O_WRONLY | os.O_CREAT), 2)
    with interruption.leaving_on_signal("go on."):
        with interruption.finished_first():
            (workdir / "listening").touch()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(0.01)
            (workdir / "saved").touch()
        time.sleep(60)
