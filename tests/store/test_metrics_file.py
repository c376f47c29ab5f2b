"""The file of all metrics, written part by part and read when asked for, against the dataset in memory."""

import functools
import pickle
import resource

import numpy as np
import pytest
import xarray as xr

from rw_jax.store import metrics_file
from rw_jax.study.errors import RunError
from rw_jax.study.grid import Grid
from tests.made_up import ABOUTS
from tests.tiny import parts_of, tiny_study

STUDIES = {
    "one run": tiny_study(),
    "an axis": tiny_study(seed=range(7)),
    "axes of value": tiny_study(p=(0.1, 0.5, 0.9), learning_rate=(0.1, 1.0), seed=range(5)),
    "axes of structure": tiny_study(
        form=("reduced", "full"), num_nodes=(4, 5), steps=(4, 5), seed=range(3), zipped=(("num_nodes", "steps"),)
    ),
}


@pytest.fixture(params=STUDIES.values(), ids=STUDIES)
def grid(request):
    return Grid(request.param)


def made_up(grid):
    """Numbers for the metrics of all cells, some of which have diverged."""
    rng = np.random.default_rng(0)
    for structure in grid.structures:
        shape = (len(structure.cells), structure.config.training.steps + 1)
        loss = np.where(rng.uniform(size=shape) < 0.1, np.inf, rng.uniform(size=shape))
        yield structure.cells, {"accuracy": rng.uniform(size=shape), "train_loss": loss}


@pytest.mark.parametrize("cells_at_once", [1, 2, 4, 1000])
def test_a_file_that_is_written_in_parts_and_read_as_it_is_asked_for_has_every_number(
    cells_at_once, grid, tmp_path, monkeypatch
):
    parts, asked = list(made_up(grid)), []
    whole = metrics_file.dataset(grid, parts, ABOUTS)

    def load(cells):
        asked.append(len(cells))
        return parts_of(parts, cells)

    monkeypatch.setattr(metrics_file, "_BYTES_AT_ONCE", cells_at_once * 2 * 8 * whole.sizes["step"])
    monkeypatch.setattr(metrics_file, "_BYTES_OF_BLOCK", 100)
    monkeypatch.setattr(metrics_file, "_SMALL", 0)
    metrics_file.write(tmp_path / "metrics.nc", grid, load, ABOUTS)
    assert max(asked) <= cells_at_once
    with metrics_file.read(tmp_path / "metrics.nc", grid) as lazy:
        assert not lazy["accuracy"].variable._in_memory, "nothing is read before it is asked for"
        xr.testing.assert_identical(lazy, metrics_file.dataset(grid, parts, ABOUTS))
        assert list(lazy.variables) == list(whole.variables)
        assert lazy["finished"].dtype == bool


def test_a_file_that_is_read_later_is_the_one_that_was_opened(grid, tmp_path, monkeypatch):
    """Whatever was written at its path since, and though xarray closes files and opens them again."""
    monkeypatch.setattr(metrics_file, "_SMALL", 0)
    path, first, second = tmp_path / "metrics.nc", list(made_up(grid)), []
    for cells, metrics in first:
        second.append((cells, {name: stack + 1 for name, stack in metrics.items()}))
    metrics_file.write(path, grid, functools.partial(parts_of, first), ABOUTS)
    with metrics_file.read(path, grid) as lazy:
        kept = pickle.dumps(lazy["accuracy"])
        xr.testing.assert_identical(pickle.loads(kept), lazy["accuracy"])
        metrics_file.write(path, grid, functools.partial(parts_of, second), ABOUTS)
        with xr.set_options(file_cache_maxsize=1), metrics_file.read(path, grid) as other:
            accuracy = metrics_file.dataset(grid, first, ABOUTS)["accuracy"]
            for _ in range(2):
                xr.testing.assert_identical(other["accuracy"], accuracy + 1)
                xr.testing.assert_identical(lazy["accuracy"], accuracy)
        with pytest.raises(RunError, match="is another file than the one whose numbers were asked for"):
            pickle.loads(kept)


@pytest.mark.parametrize("cells_at_once", [1, 3, 5, 8, 100])
@pytest.mark.parametrize("shape", [(), (7,), (2, 5), (3, 1, 4)])
def test_slabs_go_through_all_cells_in_order(shape, cells_at_once):
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    found = []
    for slab, cells in metrics_file._slabs(shape, cells_at_once):
        assert numbers[slab].ravel().tolist() == list(cells)
        assert len(cells) <= cells_at_once
        found += cells
    assert found == list(range(numbers.size))


@pytest.mark.parametrize("room", [0, 100, 5000, 20_000])
def test_a_file_that_cannot_grow_is_an_error_of_the_system_and_leaves_nothing(room, tmp_path):
    grid = Grid(STUDIES["axes of value"])
    parts = list(made_up(grid))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as refused:
            metrics_file.write(tmp_path / "metrics.nc", grid, functools.partial(parts_of, parts), ABOUTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refused.value.filename == str(tmp_path / "metrics.nc")
    assert list(tmp_path.iterdir()) == []
    metrics_file.write(tmp_path / "metrics.nc", grid, functools.partial(parts_of, parts), ABOUTS)
    assert (tmp_path / "metrics.nc").stat().st_size > 20_000


def test_metrics_that_need_not_the_same_share_their_axes_where_one_of_them_has_more(tmp_path):
    grid = Grid(tiny_study(form=("reduced", "full"), seed=(0, 1)))
    first, second = (structure.cells for structure in grid.structures)
    rng = np.random.default_rng(0)
    parts = [
        (first, {name: rng.uniform(size=(2, 6, 1, 1)) for name in ("head_parent_attention", "head_highest_lag")}),
        (second, {"head_highest_lag": rng.uniform(size=(2, 6, 2, 3))}),
    ]
    whole = metrics_file.dataset(grid, parts, ABOUTS)
    metrics_file.write(tmp_path / "metrics.nc", grid, functools.partial(parts_of, parts), ABOUTS)
    xr.testing.assert_identical(metrics_file.read(tmp_path / "metrics.nc", grid), whole)
    assert whole["head_parent_attention"].shape == (2, 2, 6, 2, 3)
    assert whole["head_parent_attention"].notnull().sum() == 2 * 6
    np.testing.assert_array_equal(whole["head_highest_lag"].sel(form="full"), parts[1][1]["head_highest_lag"])
