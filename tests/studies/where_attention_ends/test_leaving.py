"""The study of how long attention takes to leave an unstable lag."""

import numpy as np
import pandas as pd
import pytest

import rw_jax
from rw_jax.study.flags import from_config_dict
from rw_jax.theory import lags
from studies.where_attention_ends.leaving import Start, predicted_and_observed, rival_of, starts, times


def test_the_starts_are_the_unstable_lags():
    every = starts((6, 20), (0.6, 0.8), (3.0,), 4)
    for start in every:
        transition = lags.circle_matrix(start.num_nodes, start.p)
        assert not lags.is_stable(transition, start.lag, start.lag)
        rival, ratio = rival_of(start)
        assert lags.exchange_ratios(transition, start.lag, start.lag)[rival - 1] == ratio
    assert Start(20, 0.6, 3, 3.0) in every
    assert not [start for start in every if start.p == 0.8]  # every lag is stable there


@pytest.mark.slow
def test_a_training_from_each_start_tells_when_the_rival_has_overtaken():
    config = rw_jax.base_config()
    config.task.walk_length, config.model.position_width, config.task.test_walks = 6, 13, 20
    config.task.walks, config.precision, config.training.learning_rate = "infinite", "float64", 4e-3
    (row,) = times(from_config_dict(config), [Start(6, 0.5, 3, 3.5)]).to_dict("records")
    assert (row["K"], row["lag"], row["rival"]) == (6, 3, 1)
    assert row["observed"] == pytest.approx(row["predicted"], rel=0.4)


def test_the_picture_shows_every_start():
    table = pd.DataFrame({"gap": [3.0, 3.0, 5.0], "predicted": [10.0, 20.0, 100.0], "observed": [11.0, np.nan, 90.0]})
    figure, numbers = predicted_and_observed(table)
    assert numbers.equals(table)
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [2, 1, 2]
