"""Fixtures that every test can ask for."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

from rw_jax.analysis import replay
from rw_jax.study.config import Config
from rw_jax.study.grid import Structure
from rw_jax.sweeps import program, sweep
from rw_jax.sweeps.devices import Placement
from rw_jax.training import precision
from rw_jax.training.experiment import Experiment
from rw_jax.training.grids import Checked, Experiments
from rw_jax.training.pieces import BUILT_IN
from tests.tiny import QUICK_FLAGS, tiny_study

# A program that one test has compiled is loaded by the others, in whatever process.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="rw_jax-tests-")
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)

# Programs are compiled ten times as fast, and run slower. Tests of bits, whose programs must be those of the users,
# ask for `optimized` or run in a process of their own, which inherits no flags.
jax.config.update("jax_disable_most_optimizations", True)
with pytest.MonkeyPatch.context() as patch:
    if QUICK_FLAGS:
        patch.setenv("XLA_FLAGS", f"{os.environ.get('XLA_FLAGS', '')} {QUICK_FLAGS}")
    jax.jit(lambda: 0)()  # flags are read once


@pytest.fixture
def optimized(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool]]:
    """Programs of the package are compiled as users run them; the options with which others are."""
    options = {"xla_cpu_use_fusion_emitters": True} if QUICK_FLAGS else {}
    for module in (program, replay):
        monkeypatch.setattr(module, "compiler_options", lambda: precision.compiler_options() | options)
    jax.config.update("jax_disable_most_optimizations", False)
    yield options
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def float64() -> Iterator[None]:
    """JAX computes in float64 within the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def sweep_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains a study into a run directory, a new one if none is given; a program is compiled once."""
    check, make = Experiments.checked, program.make_training
    structures: dict[Config, Checked] = {}
    trainings: dict[tuple[int, Placement], tuple[Experiment, jax.stages.Wrapped]] = {}

    def checked(experiments: Experiments, structure: Structure) -> Checked:
        """The same pieces for the same structure, so that their program is found again."""
        found = check(experiments, structure)
        return found if experiments.pieces != BUILT_IN else structures.setdefault(structure.config, found)

    def make_training(experiment: Experiment, placement: Placement) -> jax.stages.Wrapped:
        key = (id(experiment), placement)  # which is kept, so that no other has its id
        if key not in trainings:
            trainings[key] = experiment, make(experiment, placement)
        return trainings[key][1]

    def train(config: Config, workdir: Path | None = None) -> Path:
        workdir = workdir or tmp_path_factory.mktemp("runs") / config.name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(program, "make_training", make_training)
            patch.setattr(Experiments, "checked", checked)
            sweep.sweep(config, workdir)
        return workdir

    return train


@pytest.fixture(scope="session")
def values_study() -> Config:
    """Six cells of one structure, in chunks of four."""
    return tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1))


@pytest.fixture(scope="session")
def values_run(values_study: Config, sweep_once: Callable[..., Path]) -> Path:
    """The finished run directory of values_study; not to be changed."""
    return sweep_once(values_study)


@pytest.fixture(scope="session")
def structures_run(sweep_once: Callable[..., Path]) -> Path:
    """The finished run directory of a float64 grid with axes of structure, three of them zipped; not to be changed."""
    return sweep_once(
        tiny_study(
            p=(0.7,),
            form=("reduced", "full"),
            num_nodes=(4, 5),
            walk_length=(6, 7),
            steps=(4, 5),
            seed=(0, 1),
            zipped=(("num_nodes", "walk_length", "steps"),),
            fields={"model.init": "gaussian", "model.init_scale": 0.1, "precision": "float64"},
        )
    )


@pytest.fixture
def copied(values_run, tmp_path):
    """A copy of the finished run of six cells, which is as good as the run itself."""
    return Path(shutil.copytree(values_run, tmp_path / "copy"))
