"""The real command where it is not at home: odd variables, closed streams, no home directory, few files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rw_jax
from tests.tiny import assert_sentence

PROJECT = Path(__file__).parent.parent
SMALL = """
import rw_jax


def get_config():
    config = rw_jax.base_config()
    config.name = "small"
    config.task.walk_length, config.model.position_width, config.training.steps = 6, 8, 2
    config.task.walks = config.task.test_walks = 20
    config.grid.seed = (0, 1)
    return config
"""


def run_small(
    folder: Path, words: str = "", variables: dict[str, str] | None = None, before: str = "", behind: str = ""
) -> tuple[int, str, str]:
    """Runs the small study in a folder, by a shell, with words of the shell around: (exit code, output, errors)."""
    (folder / "small.py").write_text(SMALL)
    ours = {"PYTHONPATH": str(PROJECT), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment = os.environ | ours | (variables or {})
    command = f"{before}{sys.executable} -m rw_jax.main --config=small.py {words} {behind}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    assert run_small(folder)[0] == 0
    return folder / "runs" / "small"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"JAX_PLATFORMS": "cuda"}, ["JAX_PLATFORMS is 'cuda'"]),
        ({"JAX_ENABLE_X64": "maybe"}, ["JAX_ENABLE_X64"]),
        ({"JAX_NUM_CPU_DEVICES": "many"}, ["jax_num_cpu_devices", "many"]),
    ],
)
def test_a_variable_that_jax_cannot_use_is_one_sentence_that_names_it(variables, words, tmp_path):
    code, output, errors = run_small(tmp_path, variables=variables)
    assert (code, output) == (2, "")
    assert_sentence(errors.removesuffix("\n").rstrip(".") + ".")
    assert all(word in errors for word in words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_what_a_user_sets_for_other_programs_changes_nothing(tmp_path, finished):
    """A backend of a notebook's, TeX without LaTeX, no home, no cache, NaN debugging, fast arithmetic, no stderr."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\n")
    variables = {
        "MPLBACKEND": "no_such_backend",
        "MPLCONFIGDIR": str(tmp_path),
        "HOME": "/proc",
        "JAX_COMPILATION_CACHE_DIR": "/proc/cache",
        "JAX_DEBUG_NANS": "1",
        "JAX_DISABLE_JIT": "1",
        "JAX_TRANSFER_GUARD": "disallow",
        "JAX_RANDOM_SEED_OFFSET": "7",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
        "GIT_DIR": "/nowhere",
    }
    code, output, errors = run_small(tmp_path, variables=variables, behind="2>&-")
    assert (code, errors) == (0, "")
    assert "Everything is in runs/small" in output
    mine = tmp_path / "runs" / "small"
    assert (mine / "metrics.nc").read_bytes() == (finished / "metrics.nc").read_bytes()
    assert (mine / "figures" / "curves.svg").read_bytes() == (finished / "figures" / "curves.svg").read_bytes()
    assert rw_jax.load_run(mine).environment["variables"]["JAX_RANDOM_SEED_OFFSET"] == "7"


@pytest.mark.slow
def test_a_reader_that_has_had_enough_is_no_error_and_a_full_output_is_one_sentence(tmp_path, finished):
    code, _, errors = run_small(tmp_path, behind="| head -c 0; exit ${PIPESTATUS[0]}")
    assert (code, "Traceback" in errors) == (0, False)
    mine = tmp_path / "runs" / "small"
    assert (mine / "summary.csv").read_bytes() == (finished / "summary.csv").read_bytes()
    code, _, errors = run_small(tmp_path, behind="> /dev/full")
    assert code == 1
    assert "The standard output cannot be written (No space left on device)" in errors.splitlines()[-1]


def test_few_files_are_met_at_the_door(tmp_path):
    code, output, errors = run_small(tmp_path, words="--dry_run", before="ulimit -n 30; ")
    assert (code, output) == (2, "")
    assert "may open 30 files at a time, but needs 256" in errors


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs a user who may become another")
def test_a_directory_of_another_user_is_read_and_what_may_not_be_read_is_named(tmp_path, finished):
    """As root reads everything, the process gives up the right to."""
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    part = next((folder / "chunks").rglob("d/*"))
    part.chmod(0)
    os.chown(part, 12345, 12345)
    ask = f"import rw_jax; rw_jax.load_run({str(folder)!r}).params(seed=0)"
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=0"]
    done = subprocess.run(
        [*without, sys.executable, "-c", ask],
        env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    sentence = done.stderr.splitlines()[-1]
    assert f"RunError: {part} cannot be read (Permission denied)." in sentence


PROGRAM_OF_ANOTHER = """
import multiprocessing, sys, warnings
import jax, numpy as np
import rw_jax
from tests.tiny import tiny_study

def child(queue):
    try:
        queue.put(len(rw_jax.train(tiny_study()).metrics["accuracy"]))
    except rw_jax.ConfigError as error:
        queue.put(str(error))

alone = rw_jax.train(tiny_study()).metrics["train_loss"].values
assert len(jax.devices()) == int(sys.argv[1]), jax.devices()
print(jax.config.jax_compilation_cache_dir)
with jax.set_mesh(jax.make_mesh((len(jax.devices()),), ("theirs",))):
    np.testing.assert_array_equal(rw_jax.train(tiny_study()).metrics["train_loss"].values, alone)
    assert rw_jax.sweep(tiny_study(seed=(0, 1)), "run").metrics["accuracy"].notnull().all()
    assert jax.sharding.get_abstract_mesh().axis_names == ("theirs",)
try:
    jax.jit(lambda x: x * rw_jax.train(tiny_study()).metrics["accuracy"].values)(1.0)
except rw_jax.ConfigError as error:
    print(error)
warnings.simplefilter("ignore")  # JAX warns of a fork
context = multiprocessing.get_context("fork")
queue = context.Queue()
context.Process(target=child, args=(queue,), daemon=True).start()
print(queue.get(timeout=60))
"""


@pytest.mark.parametrize("says", ["variable", "flag", "config"])
def test_a_program_of_ones_own_keeps_its_devices_cache_and_mesh(says, tmp_path):
    settings = {
        "variable": {"JAX_NUM_CPU_DEVICES": "3", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")},
        "flag": {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"},
        "config": {},
    }[says]
    of_config = f"jax.config.update('jax_num_cpu_devices', 3)\n{_CACHE_OF_CONFIG.format(tmp_path / 'cache')}"
    program = PROGRAM_OF_ANOTHER.replace(
        "import rw_jax\n", f"{of_config if says == 'config' else ''}import rw_jax\n", 1
    )
    kept = {name: value for name, value in os.environ.items() if name not in _SET_BY_TESTS}
    environment = {**kept, "PYTHONPATH": str(PROJECT), "JAX_PLATFORMS": "cpu", "HOME": str(tmp_path), **settings}
    done = subprocess.run(
        [sys.executable, "-c", program, "3"], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    cache, in_jit, in_fork = done.stdout.splitlines()
    assert cache == str(tmp_path / (".cache/rw_jax" if says == "flag" else "cache"))
    assert in_jit == "Runs are trained inside a function that JAX traces, but must be trained outside of it."
    assert in_fork.startswith("This process was forked from one that has computed")


_CACHE_OF_CONFIG = "jax.config.update('jax_compilation_cache_dir', '{}')\n"
_SET_BY_TESTS = ("JAX_COMPILATION_CACHE_DIR", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")


PROGRAM_WITHOUT = """
import sys
import psutil  # which does without them there
sys.modules["fcntl"] = sys.modules["resource"] = None  # as on Windows
import rw_jax
from rw_jax import command_line, main
from tests.tiny import tiny_study
command_line.allow_many_files()
assert rw_jax.train(tiny_study()).metrics["accuracy"].notnull().all()
rw_jax.sweep(tiny_study(seed=(0, 1)), "run")
assert rw_jax.load_run("run").metrics["accuracy"].notnull().all()
"""


def test_what_windows_does_not_have_is_not_needed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM_WITHOUT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "lock cannot be locked" in done.stderr
