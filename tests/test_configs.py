"""Every config file loads, is accepted, and says in its docstring what it is for and how it is run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rw_jax import main
from rw_jax.study.config import Config
from rw_jax.sweeps.starts import read_start
from rw_jax.training.grids import make_grid
from rw_jax.training.pieces import Pieces
from rw_jax.training.pins import pin

PROJECT = Path(__file__).parent.parent
FILES = sorted([*(PROJECT / "configs").glob("*.py"), *(PROJECT / "studies").glob("*/configs/*.py")])
BY_NAME = {path.stem: path for path in FILES}
MANY_STRUCTURES = (
    *("relatives", "relatives_positions", "relatives_decoder", "relatives_tasks"),
    *(
        "symmetry",
        "symmetry_costs",
        "symmetry_long",
        "chains_samples",
        "chains_widths",
        "chains_widths_samples",
        "infinite",
        "lengths",
    ),
    *("all_lengths_infinite", "all_lengths_chains", "all_lengths_decoder", "relatives_depth"),
    *("small_steps", "power_samples", "power"),
    *("all_lengths_nodes", "all_lengths_arms", "fig6_readings", "fig10_readings", "million", "settled"),
)


def load(path: Path) -> tuple[Config, Path]:
    command = main.parse(["rw_jax", f"--config={path}"])
    return command.config, command.workdir


def test_what_a_user_starts_from_is_in_configs_and_every_name_is_there_once():
    names = {path.stem for path in FILES if path.parent == PROJECT / "configs"}
    assert names == {"base", "smoke", "sweep", "starts", "infinite"}
    assert len(BY_NAME) == len(FILES)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in MANY_STRUCTURES)) for path in FILES],
)
def test_a_config_is_accepted_and_named_after_its_file(path):
    config, workdir = load(path)
    assert config.name == path.stem
    assert workdir == Path("runs").absolute() / path.stem
    pinned = pin(config, [path.parent], read_start)
    assert make_grid(pinned.config, Pieces(pinned.texts)).grid.num_cells >= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_says_its_command_its_time_and_what_to_expect(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text is not None
    assert f"python -m rw_jax.main --config={path.relative_to(PROJECT)}" in text
    assert "Time:" in text
    assert "Expect" in text


def test_no_config_loads_what_is_heavy():
    heavy = ("jax", "matplotlib", "pandas", "xarray")
    code = f"""import sys, rw_jax
for path in {[str(path) for path in FILES]}:
    rw_jax.read_config(path)
    loaded = [name for name in {heavy} if name in sys.modules]
    assert not loaded, (path, loaded)
    assert "studies" not in sys.modules, path  # which is not installed
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_main_job_is_the_grid_of_the_readme():
    config, _ = load(BY_NAME["sweep"])
    labels = dict(config.grid)
    near_0 = [0.001, 0.003, 0.01, 0.03, 0.05]
    middle = [0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9]
    assert labels["p"] == (0.0, *near_0, *middle, 0.95, 0.97, 0.99, 0.997, 0.999, 1.0)
    assert labels["seed"] == tuple(range(200))
    assert (config.task.num_nodes, config.task.walk_length, config.model.position_width) == (6, 97, 1000)
    assert (config.task.walks, config.task.test_walks) == (1000, 1000)
    assert (config.training.learning_rate, config.training.epsilon, config.training.steps) == (1.0, 0.1, 50)
    assert (config.model.init, config.model.form) == ("zero", "reduced")


@pytest.mark.parametrize(
    ("name", "sizes", "start", "training"),
    # Sections 5 and 6 and the appendix of the paper; unit length, which it does not say clearly, is a reading.
    [
        ("fig4", (6, 97, 0.5), ("zero",), (1.0, 50)),
        ("fig5", (6, 97, 1.0), ("zero",), (1.0, 50)),
        ("fig8", (20, 101, 0.5), ("zero",), (1.0, 50)),
        ("fig9", (20, 101, 1.0), ("zero",), (1.0, 50)),
        ("fig6", (6, 97, (0.5, 1.0)), ("gaussian", 0.01), (0.01, 1000)),
        ("fig7_sampled", (19, (17, 19), 0.5), ("gaussian", 0.01), (0.1, 100)),
        ("fig10_sampled", (19, (17, 19), 0.5), ("gaussian", 0.01), (0.1, 100)),
    ],
)
def test_the_figures_of_the_paper_have_the_settings_of_the_paper(name, sizes, start, training):
    config = make_grid(load(BY_NAME[name])[0]).grid.config  # with the sizes of its tasks
    labels = dict(config.grid)
    given = (config.value(axis) if axis not in labels else labels[axis] for axis in ("num_nodes", "walk_length", "p"))
    assert tuple(given) == sizes
    assert (config.model.init, config.model.init_scale)[: len(start)] == start
    assert (config.training.learning_rate, config.training.steps) == training
    assert (config.training.loss, config.training.epsilon, config.model.position_width) == ("log", 0.1, 1000)
    assert config.task.walks == config.task.test_walks == (1024 if name == "fig10_sampled" else 1000)
    assert config.model.feed_forward_width == (19 if name.startswith("fig10") else 0)
