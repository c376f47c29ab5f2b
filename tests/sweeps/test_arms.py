"""Conditions with names: arms of a grid, from the config to the table, the figures and the page."""

import numpy as np
import pytest

import rw_jax
from rw_jax import explorer, main
from rw_jax.analysis import plots, summary
from rw_jax.explorer import page
from rw_jax.store import checkpoint
from rw_jax.study.grid import Grid
from rw_jax.sweeps.sweep import plan
from rw_jax.training.grids import make_grid
from tests.tiny import assert_sentence, stored_records, tiny_study

ARMS = {"paper": {}, "2 heads": {"heads": 2}, "slow": {"learning_rate": 0.1, "epsilon": 0.2}}


def arms_study(arms=ARMS, **axes):
    return tiny_study(arm=arms, **{"p": (0.7, 1.0), "seed": (0, 1), **axes})


@pytest.fixture(scope="module")
def run(sweep_once):
    return rw_jax.load_run(sweep_once(arms_study()))


def test_an_arm_is_an_axis_of_names_whose_values_are_changes_of_fields():
    grid = Grid(arms_study())
    assert grid.axes == ("arm", "p", "seed")
    assert grid.num_cells == 12
    cells = {(cell.labels["arm"], cell.labels["p"]): cell.config for cell in grid.cells()}
    fields = {arm: (cells[arm, 1.0].model.heads, cells[arm, 1.0].training.learning_rate) for arm in ARMS}
    assert fields == {"paper": (1, 0.5), "2 heads": (2, 0.5), "slow": (1, 0.1)}
    assert cells["slow", 0.7].training.epsilon == 0.2
    assert len(grid.structures) == 2, "what differs in values alone shares a program"


def test_a_run_of_an_arm_is_that_of_its_fields_to_the_bit(run, sweep_once):
    alone = rw_jax.load_run(sweep_once(tiny_study(learning_rate=(0.1,), epsilon=(0.2,), p=(1.0,), seed=(1,))))
    one = run.metrics.sel(arm="slow", p=1.0, seed=1)
    for name, array in alone.metrics.data_vars.items():
        np.testing.assert_array_equal(array.values.squeeze(), one[name].values, err_msg=str(name))
    trained = rw_jax.train(arms_study(), arm="slow", p=1.0, seed=1)
    np.testing.assert_array_equal(trained.params()["value"], run.params(arm="slow", p=1.0, seed=1)["value"])


def test_renaming_an_arm_trains_nothing_and_adding_one_trains_that_one(run, tmp_path, copied_arms):
    renamed = {"the paper": {}, "two": {"heads": 2}, "slow": ARMS["slow"]}
    assert plan(arms_study(renamed), copied_arms).cells == 0
    assert plan(arms_study({**renamed, "fast": {"learning_rate": 2.0}}), copied_arms).cells == 4
    before = stored_records(copied_arms)
    again = rw_jax.sweep(arms_study(renamed), copied_arms)
    assert again.metrics["arm"].values.tolist() == ["the paper", "two", "slow"]
    assert stored_records(copied_arms) == before
    old = run.metrics["accuracy"].sel(arm="2 heads").values
    np.testing.assert_array_equal(again.metrics["accuracy"].sel(arm="two").values, old)


@pytest.fixture
def copied_arms(run, tmp_path):
    import shutil

    return shutil.copytree(run.run_dir.path, tmp_path / "copy")


def test_arms_may_differ_in_the_number_of_steps(tmp_path, sweep_once):
    study = arms_study({"short": {"steps": 2}, "long": {}}, p=(0.7,))
    run = rw_jax.load_run(sweep_once(study, tmp_path / "run"))
    assert run.steps == (0, 2, 5)
    loss = run.metrics["train_loss"].sel(p=0.7)
    assert loss.sel(arm="short").notnull().sum("step").values.tolist() == [3, 3]
    assert loss.sel(arm="long").notnull().sum("step").values.tolist() == [6, 6]
    assert [group.steps.tolist() for group in run.groups()] == [[0, 1, 2], [0, 1, 2, 3, 4, 5]]
    assert run.summary()["expected_accuracy"].notna().all()
    again = rw_jax.sweep(study, tmp_path / "run")
    assert again.metrics.identical(run.metrics)
    one = rw_jax.train(study, arm="short", p=0.7, seed=1)
    np.testing.assert_allclose(one.metrics["train_loss"], loss.sel(arm="short", seed=1)[:3], rtol=1e-6)


def test_an_interrupted_grid_of_arms_goes_on_from_where_it_is(run, copied_arms):
    checkpoint.remove(checkpoint.saved(copied_arms / "chunks")[0])
    missing = plan(arms_study(), copied_arms).cells
    assert 0 < missing < 12
    assert stored_records(rw_jax.sweep(arms_study(), copied_arms).run_dir.path) == stored_records(run.run_dir.path)


def test_arms_stand_in_groups_tables_figures_and_the_page(run, tmp_path):
    groups = run.groups()
    assert [group.labels["arm"] for group in groups] == ["paper"] * 2 + ["2 heads"] * 2 + ["slow"] * 2
    assert {group.labels["arm"] for group in run.groups(heads=2)} == {"2 heads"}
    assert run.cell(learning_rate=0.1, p=1.0, seed=0).labels["arm"] == "slow"
    table = run.summary(arm="slow")
    assert table[["arm", "p", "seeds"]].to_numpy().tolist() == [["slow", 0.7, 2], ["slow", 1.0, 2]]
    assert "2 heads" in summary.show(run.summary())
    written, failed = plots.write_figures(run, tmp_path)
    assert not failed
    assert {"success_over_p_and_arm.png", "curves.png", "value_matrices.png"} <= {path.name for path in written}
    figure, numbers = plots.success_against(run, "arm", p=1.0)
    assert numbers["arm"].unique().tolist() == list(ARMS)
    assert {tick.get_text(): tick.get_position()[0] for tick in figure.axes[0].get_xticklabels()} == dict(
        zip(ARMS, range(3), strict=True)
    )
    assert explorer.data.gather(run).axes[0].labels == tuple(ARMS)
    assert "2 heads" in page.page(explorer.data.gather(run))


def test_a_command_line_chooses_among_the_arms_of_a_file(tmp_path, capsys, run):
    (tmp_path / "mine.py").write_text(
        "import rw_jax\n\n\ndef get_config():\n    config = rw_jax.base_config()\n"
        "    config.name, config.task.walk_length, config.model.position_width = 'mine', 6, 8\n"
        "    config.grid.arm = {'paper': {}, '2 heads': {'heads': 2}, 'slow': {'learning_rate': 0.1}}\n"
        "    return config\n"
    )

    words = ["rw_jax", f"--config={tmp_path / 'mine.py'}", "--config.grid.arm=paper,slow"]
    config = main.parse(words).config
    assert dict(config.grid)["arm"] == ("paper", "slow")
    assert [name for name, _ in config.arms] == ["paper", "slow"]
    with pytest.raises(SystemExit):
        main.parse([*words[:2], "--config.grid.arm=paper,slw"])
    told = capsys.readouterr().err
    assert "grid.arm has 'slw', but must have some of paper, 2 heads, slow. Did you mean slow?" in told


@pytest.mark.parametrize(
    ("arms", "axes", "words"),
    [
        ({"one": {}, "other": {"heads": 1}}, {}, "has 'one' and 'other', which are the same runs"),
        ({"one": {"p": 0.3}}, {}, "changes p, which is an axis of the grid, too"),
        ({"one": {"hads": 2}}, {}, "has 'hads', which is no field that an arm can change"),
        ({"one": {"seed": 2}}, {"seed": (0,)}, "has 'seed', which is no field that an arm can change"),
        ({"one": {"heads": 0}}, {}, "['heads'] is 0, but must be an integer from 1"),
        ({"one": 3}, {}, "is 3, but must be changes of fields"),
        ({"one, two": {}}, {}, "grid.arm is 'one, two', but must be a name without commas"),
    ],
)
def test_arms_that_do_not_do_are_refused_in_one_sentence(arms, axes, words):
    with pytest.raises(rw_jax.ConfigError) as refused:
        arms_study(arms, **axes)
    assert_sentence(str(refused.value))
    assert words in str(refused.value)


def test_an_arm_can_name_a_piece_and_a_task_of_other_sizes():
    arms = {
        "circle": {},
        "questions": {"task": "majority", "num_nodes": None, "walk_length": None, "loss": "cross_entropy"},
    }
    config = tiny_study(arm=arms, fields={"model.position_width": 40}, seed=(0, 1))
    grid = make_grid(config).grid
    assert [cell.config.task.num_nodes for cell in grid.cells()] == [4, 4, 19, 19]
