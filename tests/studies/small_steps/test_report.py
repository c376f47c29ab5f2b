"""The study of small steps, on a run that is made up."""

import ast

import rw_jax
from rw_jax import Run
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid
from studies.claim import judge
from studies.rules import HOLDS, PARTLY
from studies.small_steps.measures import FLOW
from studies.small_steps.pictures import shares
from studies.small_steps.report import CLAIMS, SWEEP
from tests.made_up import source_of

(CLAIM,) = CLAIMS


def made_up(learns):
    """A run whose seeds predict optimally where `learns` says so of (arm, learning rate, whether it is flow, seed)."""
    config = rw_jax.read_config(SWEEP.file)
    config.grid.arm = {name: config.grid.arm[name] for name in ("6 nodes at p = 0.7", "random positions")}

    def metric(name, cell):
        labels = cell.labels
        is_flow = labels["optimizer"] != "gd"
        right = learns(labels["arm"], labels["learning_rate"], is_flow, labels["seed"])
        return {"predicts_optimally": float(right), "parent_is_highest": 1.0}.get(name, 0.0)

    return Run(source_of(from_config_dict(config), metric, lambda cell, step: {}))


def test_a_config_has_as_many_runs_as_it_says_and_as_much_time_at_each_rate():
    config = from_config_dict(rw_jax.read_config(SWEEP.file))
    assert f"{Grid(config).num_cells} runs" in ast.get_docstring(ast.parse(SWEEP.file.read_text()))
    by_axis = dict(config.grid)
    rates_and_steps = list(zip(by_axis["learning_rate"], by_axis["steps"], by_axis["optimizer"], strict=True))
    assert all(49 < rate * steps < 51 for rate, steps, optimizer in rates_and_steps if optimizer == "gd")


def test_seeds_are_compared_with_themselves():
    alike = judge(CLAIM, [made_up(lambda arm, rate, is_flow, seed: seed < 5)])
    assert alike.verdict.word == HOLDS
    assert len(alike.evidence.rows) == 2 * 5
    others = judge(CLAIM, [made_up(lambda arm, rate, is_flow, seed: (seed < 5) == (rate == 1))])
    assert (others.evidence.rows["estimate"] == 0).all(), "as many seeds succeed, but others"
    assert (others.evidence.rows["optimal"] == 0.5).all()


def test_what_small_steps_change_is_told_by_arm_and_rate_and_drawn():
    judged = judge(CLAIM, [made_up(lambda arm, rate, is_flow, seed: arm.startswith("6") or rate < 0.1 or is_flow)])
    assert judged.verdict.word == PARTLY
    rows = judged.evidence.rows.set_index(["arm", "η"])
    assert rows.loc["6 nodes at p = 0.7", "estimate"].tolist() == [1] * 5
    random = rows.loc["random positions"]
    assert random["agrees"].to_dict() == {"0.3": True, "0.1": True, "0.03": False, "0.01": False, FLOW: False}
    figure = shares(judged.evidence.points)
    assert figure.axes[0].images[0].get_array().tolist() == [[0, 0, 0, 1, 1, 1], [1] * 6]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["1", "0.3", "0.1", "0.03", "0.01", FLOW]
