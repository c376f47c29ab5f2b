"""How many cells a chunk takes."""

import jax
import pytest

from rw_jax.sweeps import devices
from rw_jax.sweeps.pace import Pace, first


def placement(batch=2, room=1024):
    return devices.Placement(devices.make_mesh(jax.devices()[:1]), batch, room, 1000)


def sizes(pace, cells, seconds_of_cell):
    """The chunks of so many cells, where each cell takes so long."""
    found = []
    while cells:
        found.append(min(pace.size, cells))
        pace = pace.after(found[-1], found[-1] * seconds_of_cell)
        cells -= found[-1]
    return found


def test_a_size_that_is_given_stays():
    assert sizes(first(placement(room=64), 64), 150, 100.0) == [64, 64, 22]


def test_chunks_grow_to_ten_seconds():
    assert sizes(first(placement(), None), 2000, 0.02) == [2, 16, 128, *[500] * 3, 354]


def test_chunks_have_a_batch_for_every_device_and_never_more_cells_than_there_is_room_for():
    assert sizes(first(placement(batch=32), None), 100, 60.0) == [32, 32, 32, 4]
    assert max(sizes(first(placement(), None), 10_000, 1e-6)) == 1024
    assert sizes(first(placement(batch=6), None), 600, 0.1) == [6, 48, *[96] * 5, 66]


def test_a_chunk_that_is_slow_makes_the_next_one_smaller():
    pace = Pace(size=500, least=2, most=1024)
    assert pace.after(500, 40.0).size == 124
    assert pace.after(7, 40.0).size == 2


@pytest.mark.parametrize(
    ("cells", "size", "room"),
    [(1, 1000, 64), (64, 1000, 64), (65, 1000, 128), (10**6, 1000, 2**14), (10**6, 10**5, 2**10), (10**6, 10**9, 2)],
)
def test_there_is_room_for_the_cells_in_some_hundred_megabytes(cells, size, room):
    assert placement(room=2**14).for_cells(cells, size).cells_per_chunk == room
