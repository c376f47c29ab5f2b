"""Metrics that are chosen: the numbers of a run that records all, in its table and its figures."""

import numpy as np
import pytest

import rw_jax
from rw_jax.analysis import plots, summary
from rw_jax.explorer.data import gather
from rw_jax.store.layout import study_digest
from rw_jax.study.errors import ConfigError
from rw_jax.sweeps.until import Goal, check
from rw_jax.training.grids import make_grid
from tests.tiny import assert_sentence, tiny_study


def recording(*names):
    return tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields={"record.metrics": names})


@pytest.mark.parametrize(
    ("names", "figures"),
    [
        (("accuracy", "parent_attention"), {"success_against_p", "curves", "attention"}),
        (("value_direction_error",), {"value_matrices"}),
        pytest.param(("predicts_optimally",), {"success_against_p"}, marks=pytest.mark.slow),
        pytest.param(("expected_accuracy",), {"success_against_p", "curves"}, marks=pytest.mark.slow),
    ],
)
def test_metrics_that_are_chosen_are_those_of_a_run_that_records_all(names, figures, values_run, sweep_once, tmp_path):
    every, run = (rw_jax.load_run(workdir) for workdir in (values_run, sweep_once(recording(*names))))
    assert set(run.metrics.data_vars) == {"train_loss", *names, "finished", "diverged_at"}
    for name in ("train_loss", *names):
        np.testing.assert_allclose(run.metrics[name], every.metrics[name], rtol=1e-5, err_msg=name)
    cell = {"p": 0.7, "seed": 1}
    for step in (0, 2, 5):
        for name, leaf in every.params(step=step, **cell).items():
            np.testing.assert_allclose(run.params(step=step, **cell)[name], leaf, rtol=1e-5, atol=1e-7, err_msg=name)
        # Kept beside the parameters, whether a metric needs it or not.
        attention = [each.mean_attention(step=step, **cell) for each in (run, every)]
        np.testing.assert_allclose(*attention, rtol=1e-5)
    measured = [name for name in run.summary() if name in every.metrics.data_vars]
    assert measured == sorted({"train_loss", *names})
    shown = summary.show(run.summary())
    assert all(summary.SHOWN.get(name, name.replace("_", " ")) in shown for name in measured)
    written = plots.write_figures(run, tmp_path)
    assert (written.failed, {path.stem for path in written.paths}) == ({}, figures)
    assert "kl_divergence" in run.evaluate(), "what has not been recorded can be measured of what is kept"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("acuracy", "kl_divergence"), "record.metrics is 'acuracy', but must be one of train_loss, accuracy, "),
        (("all", "acuracy"), "record.metrics is 'acuracy', but must be one of train_loss, accuracy, "),
        (("head_value_error",), "record.metrics is ['head_value_error'], but must name metrics that such runs have: "),
        ((), "record.metrics is (), but must be 'all', or a tuple of one name or more, 'all' for all among them."),
    ],
)
def test_metrics_that_there_are_not_are_refused_in_a_sentence_that_names_those_there_are(names, words):
    with pytest.raises(ConfigError) as refused:
        make_grid(recording(*names))
    assert_sentence(str(refused.value))
    assert str(refused.value).startswith(words)
    assert ("Did you mean accuracy?" in str(refused.value)) == ("acuracy" in names)


def test_one_record_is_one_study_however_it_is_written():
    one = recording("kl_divergence", "accuracy")
    other = recording("accuracy", "train_loss", "kl_divergence", "accuracy")
    assert one.record.metrics == ("accuracy", "kl_divergence", "train_loss")
    assert study_digest(one) == study_digest(other)


def test_the_page_of_a_run_says_which_metrics_it_lacks(sweep_once):
    run = rw_jax.load_run(sweep_once(recording("value_direction_error")))
    with pytest.raises(
        rw_jax.RunError, match=r"leaves out accuracy, .*, attention_spread, which the page shows"
    ) as refused:
        gather(run)
    assert_sentence(str(refused.value))


def test_a_metric_that_only_some_structures_have_may_be_chosen():
    study = tiny_study(heads=(1, 2), fields={"record.metrics": ("head_value_error",)})
    assert make_grid(study).grid.num_cells == 2


def test_the_metric_of_a_goal_must_be_recorded():
    with pytest.raises(ConfigError, match="must name predicts_optimally, ") as refused:
        check(Goal(0.1), recording("accuracy"))
    assert_sentence(str(refused.value))
    check(Goal(0.1, "accuracy"), recording("accuracy"))


def test_a_study_that_records_all_is_the_one_that_it_was_before_there_was_a_choice():
    assert study_digest(tiny_study()) == "3a08e5845c2ff18d"
    assert study_digest(recording("accuracy")) != study_digest(tiny_study())
