"""The figure of the rounding study shows the growth that its runs have."""

import numpy as np

from studies.rounding.report import growth_of_spread


def test_growth_is_told_while_the_spread_is_small_and_not_0():
    spread = np.array([[0.0, 1e-9, 2e-9, 4e-9, 8e-9, 1e-2]])
    np.testing.assert_allclose(growth_of_spread(spread), [[np.nan, 2.0, 2.0, np.nan]])
