"""Each metric against NumPy by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.analysis.interpret import attended_lag
from rw_jax.training import metrics
from tests import oracle

K, N, P = 4, 5, 0.7
TRANSITION_KxK = oracle.transition_matrix(K, P)

MEASURABLE = {
    name for name, metric in metrics.METRICS.items() if not metrics.is_of_objective(metric) and not metric.dims
}


@jax.jit
def measure_compiled(measured):
    return metrics.measure(metrics.METRICS, {**dict.fromkeys(metrics.NAMES), "parent": 1, **measured})


def measure(output_BxK, attention_BxN, tokens_B, targets_B, weights_B, value_KxK):
    """The metrics as NumPy scalars; tokens_B are the last tokens."""
    measured = measure_compiled(
        {
            "tokens_LxB": np.zeros((N - 1, len(targets_B)), np.int32),
            "targets_B": targets_B,
            "weights_B": weights_B,
            "law_KxB": TRANSITION_KxK[tokens_B].T,
            "output_KxB": output_BxK.T,
            "attention_NxB": attention_BxN.T,
            "spread_B": np.ptp(attention_BxN[:, :-1], axis=1),
            "mean_attention_N": np.average(attention_BxN, axis=0, weights=weights_B),
            "value_HxK": value_KxK,
            "transition_KxK": TRANSITION_KxK,
        }
    )
    return {name: float(value) for name, value in measured.items()}


def some_batch():
    generator = np.random.default_rng(3)
    attention_BxN = generator.uniform(size=(6, N))
    return dict(
        output_BxK=generator.uniform(0.1, 1, size=(6, K)),
        attention_BxN=attention_BxN / attention_BxN.sum(axis=1, keepdims=True),
        tokens_B=np.array([0, 1, 2, 3, 0, 1]),
        targets_B=np.array([1, 2, 1, 0, 3, 2]),
        weights_B=np.array([1.0, 2.0, 0.5, 1.0, 3.0, 0.25]),
        value_KxK=generator.normal(size=(K, K)),
    )


def by_hand(output_BxK, attention_BxN, tokens_B, targets_B, weights_B, value_KxK):
    """The same metrics, one walk after another."""
    total = weights_B.sum()
    sums = dict.fromkeys(
        ("accuracy", "expected_accuracy", "optimal_accuracy", "kl_divergence", "output_direction_error"), 0.0
    )
    spreads = []
    for output, attention, token, target, weight in zip(
        output_BxK, attention_BxN, tokens_B, targets_B, weights_B, strict=True
    ):
        law = TRANSITION_KxK[token]
        predicted = list(output).index(max(output))
        share = output / sum(output)
        possible = [k for k in range(K) if law[k] > 0]
        sums["accuracy"] += weight * (predicted == target)
        sums["expected_accuracy"] += weight * law[predicted]
        sums["optimal_accuracy"] += weight * max(law)
        sums["kl_divergence"] += weight * sum(law[k] * np.log(law[k] / share[k]) for k in possible)
        sums["output_direction_error"] += weight * np.linalg.norm(
            output / np.linalg.norm(output) - law / np.linalg.norm(law)
        )
        spreads.append(max(attention[:-1]) - min(attention[:-1]))
    mean_attention = weights_B @ attention_BxN / total

    def distance(reference):
        return np.linalg.norm(value_KxK / np.linalg.norm(value_KxK) - reference / np.linalg.norm(reference))

    return {
        **{name: value / total for name, value in sums.items()},
        "parent_attention": mean_attention[N - 2],
        "empty_attention": mean_attention[N - 1],
        "accuracy_is_exact": 0.0,  # nothing but these walks is known
        "predicts_optimally": float(sums["optimal_accuracy"] - sums["expected_accuracy"] <= 1e-3 * total),
        "parent_is_highest": float(list(mean_attention).index(max(mean_attention)) == N - 2),
        "highest_lag": N - 1 - int(np.argmax(mean_attention)),
        "log_other_attention": np.log(sum(mean_attention[: N - 2]) + mean_attention[N - 1]),
        "attention_spread": max(spreads),
        "value_direction_error": distance(TRANSITION_KxK.T),
        "value_sqrt_direction_error": distance(np.sqrt(TRANSITION_KxK.T)),
        "value_uniform_direction_error": distance(np.ones((K, K))),
    }


def test_metrics_are_those_computed_by_hand(float64):
    batch = some_batch()
    expected = by_hand(**batch)
    assert 0 < expected["accuracy"] < 1
    assert measure(**batch) == pytest.approx(expected, rel=1e-13)


def test_there_is_one_metric_for_each_name_of_the_table_but_the_training_loss(float64):
    assert measure(**some_batch()).keys() == MEASURABLE
    others = {name for name, metric in metrics.METRICS.items() if not metric.dims} - MEASURABLE
    assert others == {"train_loss", "quadrature_error"}


def test_every_metric_of_a_perfect_predictor_is_at_its_best(float64):
    batch = some_batch()
    batch["output_BxK"] = 3 * TRANSITION_KxK[batch["tokens_B"]]
    batch["attention_BxN"] = np.eye(N)[[N - 2] * 6]
    batch["value_KxK"] = 5 * TRANSITION_KxK.T
    measured = measure(**batch)
    assert measured["expected_accuracy"] == measured["optimal_accuracy"] == pytest.approx(P, rel=1e-14)
    assert measured["parent_attention"] == measured["parent_is_highest"] == measured["predicts_optimally"] == 1
    assert measured["kl_divergence"] == pytest.approx(0, abs=1e-15)
    assert measured["output_direction_error"] == pytest.approx(0, abs=1e-15)
    assert measured["value_direction_error"] == pytest.approx(0, abs=1e-15)


def test_walks_of_weight_zero_count_for_nothing_whatever_the_model_makes_of_them(float64):
    batch = some_batch()
    batch["weights_B"][[1, 4]] = 0
    kept = {name: array if name == "value_KxK" else np.delete(array, [1, 4], axis=0) for name, array in batch.items()}
    expected = by_hand(**kept)
    batch["attention_BxN"][1] = np.eye(N)[0]  # the largest spread there can be
    batch["output_BxK"][1] = 0  # no direction, no share
    batch["output_BxK"][4] = np.eye(K)[0]  # no share for a state that is possible
    assert measure(**batch) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_run_whose_output_is_no_number_has_no_metrics(float64, bad):
    batch = some_batch()
    batch["output_BxK"][2, 1] = bad
    measured = measure(**batch)
    assert all(np.isnan(value) for value in measured.values())
    batch["weights_B"][2] = 0  # the walk counts for nothing
    assert not any(np.isnan(value) for value in measure(**batch).values())


def test_a_few_walks_that_are_predicted_wrongly_leave_a_run_optimal_and_more_do_not(float64):
    batch = some_batch()
    batch["output_BxK"] = TRANSITION_KxK[batch["tokens_B"]]
    batch["output_BxK"][5] = batch["output_BxK"][5][::-1]  # at token 1, so that the other neighbour is predicted
    for weight, optimal in ((7.5e-3, 1), (3e-2, 0)):  # of 7.5, with 0.4 lost: 0.0004 and 0.0016
        batch["weights_B"][5] = weight
        assert measure(**batch)["predicts_optimally"] == optimal


def test_ties_go_to_the_smallest_label(float64):
    batch = some_batch()
    batch["output_BxK"] = np.tile([0.2, 0.5, 0.5, 0.5], (6, 1))
    assert measure(**batch)["accuracy"] == pytest.approx(
        batch["weights_B"] @ (batch["targets_B"] == 1) / batch["weights_B"].sum(), rel=1e-14
    )


def test_equal_attention_on_all_slots_is_not_highest_on_the_parent(float64):
    batch = some_batch()
    batch["attention_BxN"] = np.full((6, N), 1 / N)
    measured = measure(**batch)
    assert measured["parent_is_highest"] == 0
    assert measured["attention_spread"] == 0


def test_a_model_at_zero_has_no_direction_and_no_divergence_but_an_accuracy(float64):
    batch = some_batch()
    batch["output_BxK"], batch["value_KxK"] = np.zeros((6, K)), np.zeros((K, K))
    measured = measure(**batch)
    undefined = {name for name, value in measured.items() if np.isnan(value)}
    assert undefined == {
        "kl_divergence", "output_direction_error", "value_direction_error", "value_sqrt_direction_error",
        "value_uniform_direction_error",
    }  # fmt: skip
    assert measured["accuracy"] == pytest.approx(1 / 7.75)  # label 0, the target of one walk of weight 1


@pytest.mark.parametrize("share", [0.0, -0.1])
def test_divergence_is_infinite_where_a_possible_state_gets_no_share(share, float64):
    output_KxB = jnp.asarray([[0.5, share, 0.3, 0.4]]).T
    assert metrics.kl_divergence(jnp.asarray([[0.0, 0.7, 0.0, 0.3]]).T, output_KxB) == np.inf


def test_divergence_is_finite_where_an_impossible_state_gets_no_share(float64):
    divergence_B = metrics.kl_divergence(jnp.asarray([[0.0, 0.7, 0.0, 0.3]]).T, jnp.asarray([[0.0, 0.5, -0.5, 1.0]]).T)
    np.testing.assert_allclose(divergence_B, [0.7 * np.log(0.7 / 0.5) + 0.3 * np.log(0.3)], rtol=1e-14)


def test_mean_weights_walks_along_the_last_axis(float64):
    values_2xB, weights_B = np.array([[1.0, 2.0, 6.0], [0.0, 4.0, 1.0]]), np.array([1.0, 1.0, 2.0], np.float32)
    np.testing.assert_allclose(metrics.mean(jnp.asarray(values_2xB), jnp.asarray(weights_B)), [15 / 4, 6 / 4])


def measured_of_three(**changes):
    """The metrics of three walks, measured from all there is but for the changes."""
    measured = dict.fromkeys(metrics.NAMES) | {
        "tokens_LxB": jnp.zeros((N - 1, 3), jnp.int32),
        "targets_B": jnp.arange(3),
        "weights_B": jnp.ones(3),
        "law_KxB": jnp.asarray(TRANSITION_KxK[:3].T),
        "output_KxB": jnp.eye(K)[:, :3],
        "attention_NxB": jnp.full((N, 3), 0.2),
        "spread_B": jnp.zeros(3),
        "mean_attention_N": jnp.full(N, 0.2),
        "value_HxK": jnp.eye(K),
        "transition_KxK": jnp.asarray(TRANSITION_KxK),
        "parent": 1,
    }
    return metrics.measure(changes.pop("metrics", metrics.METRICS), measured | changes)


@pytest.mark.parametrize(
    ("missing", "absent"),
    [
        (
            "law_KxB",
            {
                *("expected_accuracy", "optimal_accuracy", "accuracy_is_exact", "predicts_optimally"),
                *("kl_divergence", "output_direction_error"),
            },
        ),
        (
            "mean_attention_N",
            {
                "parent_attention",
                "empty_attention",
                "parent_is_highest",
                "highest_lag",
                "log_other_attention",
            },
        ),
        ("spread_B", {"attention_spread"}),
        ("value_HxK", {"value_direction_error", "value_sqrt_direction_error", "value_uniform_direction_error"}),
        ("parent", {"parent_attention", "parent_is_highest", "log_other_attention"}),
    ],
)
def test_metrics_that_need_what_is_not_there_are_absent_and_all_others_stay(missing, absent):
    assert MEASURABLE - measured_of_three(**{missing: None}).keys() == absent


def test_a_value_matrix_that_is_not_to_be_compared_has_no_distance_from_the_transition_matrix():
    measured = measured_of_three(transition_KxK=None)
    assert np.isnan(measured["value_direction_error"])
    assert np.isnan(measured["value_sqrt_direction_error"])
    assert not np.isnan(measured["value_uniform_direction_error"])


def test_what_the_objective_has_measured_is_a_metric_like_any_other():
    measured = measured_of_three(train_loss=jnp.asarray(2.5))
    assert measured["train_loss"] == 2.5
    assert "quadrature_error" not in measured


def test_metrics_of_heads_have_an_entry_for_each_layer_and_head(float64):
    rng = np.random.default_rng(4)
    attention = rng.dirichlet(np.ones(N), (2, 3))
    values = rng.normal(size=(2, 3, K, K))
    values[1, 2] = 5 * TRANSITION_KxK.T + rng.normal(size=K)  # what is added to a column changes no comparison
    measured = measured_of_three(
        mean_head_attention=jnp.asarray(attention),
        head_values=jnp.asarray(values),
        target_KxK=jnp.asarray(TRANSITION_KxK),
    )
    assert measured.keys() - MEASURABLE == {"head_parent_attention", "head_highest_lag", "head_value_error"}
    np.testing.assert_array_equal(measured["head_parent_attention"], attention[..., -2])
    np.testing.assert_array_equal(measured["head_highest_lag"], N - 1 - attention.argmax(axis=2))

    def unit(matrix):
        centred = matrix - matrix.mean(axis=0)
        return centred / np.linalg.norm(centred)

    expected = [[np.linalg.norm(unit(value) - unit(TRANSITION_KxK.T)) for value in layer] for layer in values]
    np.testing.assert_allclose(measured["head_value_error"], expected, rtol=1e-12, atol=1e-7)
    assert measured["head_value_error"][1, 2] < 1e-7


def test_a_metric_may_be_an_array_with_axes_of_its_own():
    diagonal = metrics.Metric(lambda value_HxK: jnp.diagonal(value_HxK), "of V", dims=("node",))
    value_HxK = jnp.diag(jnp.arange(1.0, K + 1))
    measured = measured_of_three(metrics={"diagonal": diagonal}, value_HxK=value_HxK)
    np.testing.assert_array_equal(measured["diagonal"], [1, 2, 3, 4])


@pytest.mark.parametrize("size", [1e-34, 1e-25, 1e-19, 1.0, 1e19, 1e25, 1e37])
@pytest.mark.parametrize("total", [jnp.sum, metrics.sum_over_states])
def test_a_distance_of_directions_does_not_depend_on_their_sizes(size, total):
    """Squares of such numbers are infinite, or 0, in 32 bits."""
    one, other = np.random.default_rng(0).uniform(size=(2, 4, 3)).astype(np.float32)
    one = (one * np.float32(size)).astype(np.float64)
    axes = None if total is jnp.sum else 0
    unit, reference = (array / np.linalg.norm(array, axis=axes) for array in (one, other.astype(np.float64)))
    found = metrics.direction_error(jnp.asarray(one, jnp.float32), jnp.asarray(other), total)
    np.testing.assert_allclose(found, np.linalg.norm(unit - reference, axis=axes), rtol=1e-5)


def test_weights_that_are_no_numbers_have_no_largest():
    weights_N = jnp.full(5, jnp.nan)
    assert np.isnan(metrics.METRICS["highest_lag"].measure(mean_attention_N=weights_N))
    assert metrics.METRICS["parent_is_highest"].measure(mean_attention_N=weights_N, parent=4) == 0
    heads = jnp.stack([weights_N, jnp.arange(5.0)])[None]
    found = metrics.METRICS["head_highest_lag"].measure(mean_head_attention=heads)
    np.testing.assert_array_equal(found, [[np.nan, 0.0]])
    assert np.isnan(attended_lag(np.full(5, np.nan)))
