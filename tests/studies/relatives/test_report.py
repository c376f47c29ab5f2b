"""The report on relatives of the model: its tables on small runs by hand, its shares on tables that are made up."""

import ast

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rw_jax
from rw_jax import Run
from rw_jax.models.embeddings import make_embeddings
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid
from rw_jax.theory.geometry import second_scores
from studies.claim import judge
from studies.relatives import ablation, measures, pictures, positions, report
from studies.relatives.relatives import KEEPS, OF_DECODERS, OF_TASKS, RELATIVES, Relative
from studies.relatives.report import CLAIMS, POSITIONS
from studies.rules import FAILS, HOLDS, PARTLY
from studies.sweeps import beside
from tests.made_up import source_of
from tests.models.test_decoder import shape_of, slow

BY_NAME = {claim.name: claim for claim in CLAIMS}


@pytest.mark.parametrize(
    ("name", "runs"),
    [("relatives", 1400), ("relatives_positions", 320), ("relatives_decoder", 1400), ("relatives_tasks", 720)],
)
def test_a_study_has_as_many_runs_as_it_says(name, runs):
    path = beside(report.__file__, name)
    assert Grid(from_config_dict(rw_jax.read_config(path))).num_cells == runs
    assert f"{runs:,} runs" in ast.get_docstring(ast.parse(path.read_text()))


def test_every_relative_is_an_arm_and_no_two_are_the_same():
    for name, of_study in (("relatives", RELATIVES), ("relatives_decoder", OF_DECODERS), ("relatives_tasks", OF_TASKS)):
        config = from_config_dict(rw_jax.read_config(beside(report.__file__, name)))
        assert {arm: dict(changes) for arm, changes in config.arms} == {each.name: each.changes for each in of_study}


def small(name, of_study, **sizes):
    """A study of the report with some relatives alone, on short walks."""
    config = rw_jax.read_config(beside(report.__file__, name))
    if name == "relatives":
        config.model.position_width, config.training.steps = 12, 30
    config.grid.arm = {relative.name: smaller(relative.changes) for relative in of_study}
    config.grid.p, config.grid.seed, config.record.parameters = (0.7, 1.0), range(2), "all"
    for path, value in sizes.items():
        group, _, leaf = path.partition("_")
        config[group][leaf] = value
    return config


def smaller(changes):
    """Positions as wide as before beside N = 9: more than it, all of it, and less; and few steps."""
    changed = dict(changes)
    if "position_width" in changed:
        changed["position_width"] = {97: 9, 48: 6}[changed["position_width"]]
    if "steps" in changed:
        changed["steps"] = 48
    return changed


K, N = 4, 9
SIZES = {"task_num_nodes": K, "task_walk_length": N, "task_walks": 200, "task_test_walks": 30}
LARGE_START = Relative("2 heads, start 0.03", {"heads": 2, "init": "gaussian", "init_scale": 0.03}, keeps=False)
"""One that is not in the report, whose heads differ visibly."""


@pytest.fixture(scope="module", params=[pytest.param(which, marks=pytest.mark.slow) for which in ("some", "others")])
def trained(request, tmp_path_factory):
    """(relatives, a run of them, their table)."""
    chosen = {"some": (RELATIVES[0], LARGE_START), "others": RELATIVES[1:]}[request.param]
    run = rw_jax.sweep(small("relatives", chosen, **SIZES), tmp_path_factory.mktemp("relatives") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KEEPS, LARGE_START.name, LARGE_START.keeps)
        return chosen, run, measures.table_of(run)


def labels_of(row):
    """The labels of the run that a row of the table is of."""
    return {"arm": row.relative, "p": row.p, "seed": row.seed}


def attention_and_outputs(params, tokens):
    """(attention of each head, [B, heads, N]; outputs, [B, K]) of the reduced form in float64 NumPy."""
    u, a, value = (np.atleast_2d(np.float64(params[name])) for name in ("state_scores", "position_scores", "value"))
    value = value.reshape(len(u), K, K)
    scores = np.stack(
        [np.column_stack([u[h][tokens] + a[h, :-1], np.full(len(tokens), a[h, -1])]) for h in range(len(u))], 1
    )
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    outputs = np.einsum("hks,bhl,bls->bk", value, weights[..., :-1], np.eye(K)[tokens])
    if "position_value" in params:
        outputs += np.einsum("hkn,bhn->bk", np.float64(params["position_value"]).reshape(len(u), K, N), weights)
    return weights, outputs


def circle(p):
    """Pi of the circle of K nodes, row = now."""
    return p * np.roll(np.eye(K), 1, axis=1) + (1 - p) * np.roll(np.eye(K), -1, axis=1)


def centred_distance(value, law):
    """The distance between the directions of V and Pi^T, columns centred."""
    one, other = (np.float64(matrix) - matrix.mean(axis=0) for matrix in (value, law.T))
    return np.linalg.norm(one / np.linalg.norm(one) - other / np.linalg.norm(other))


def test_each_seed_of_each_relative_has_a_row(trained):
    chosen, _, table = trained
    expected = [(each.name, each.keeps, p, seed) for each in chosen for p in (0.7, 1.0) for seed in (0, 1)]
    found = table[["relative", "keeps", "p", "seed"]].itertuples(index=False, name=None)
    assert sorted(found) == sorted(expected)
    assert set(table["task"]) == {"circle"}


def test_the_columns_of_the_table_are_those_by_hand_from_parameters_and_walks(trained):
    chosen, run, table = trained
    reached, apart = set(), []
    for row in table[table["p"] == 0.7].itertuples():
        labels = labels_of(row)
        tokens, _ = run.walks("test", **labels)
        law_BxK, steps = circle(0.7)[tokens[:, -1]], range(run.cell(**labels).config.training.steps + 1)
        gaps = []
        for step in steps:
            weights, outputs = attention_and_outputs(run.params(step=step, **labels), tokens)
            gaps.append(np.mean(law_BxK.max(axis=1) - law_BxK[np.arange(len(tokens)), outputs.argmax(axis=1)]))
        optimal = np.array(gaps) <= 1e-3
        assert row.gap == pytest.approx(gaps[-1], abs=1e-6)
        assert row.optimal == optimal[-1]
        assert row.learned_at == (optimal.argmax() if optimal.any() else np.inf)
        reached.add(row.optimal)
        mean = weights.mean(axis=0)
        lags = N - 1 - mean.argmax(axis=1)
        assert row.lags == " ".join(map(str, lags))
        assert row.parent == (1 in lags)
        assert row.on_parent == pytest.approx(mean[:, -2].max(), rel=1e-3)
        params = run.params(**labels)
        values = params["value"].reshape(-1, K, K)
        expected = centred_distance(values[mean[:, -2].argmax()], circle(0.7))
        assert row.value_error == pytest.approx(expected, rel=1e-3)
        assert row.parameters == sum(leaf.size for leaf in params.values())
        assert row.stays == (row.relative == "no positions")  # where weights never differ
        if len(values) > 1:
            other_errors = [centred_distance(value, circle(0.7)) for value in values]
            apart.append(max(other_errors) - min(other_errors))
            assert row.equal_heads == all(np.ptp(leaf, axis=0).max() == 0 for leaf in params.values())
    if LARGE_START in chosen:
        assert reached == {True, False}
        assert max(apart) > 0.02  # so that the error of one head is told from that of another
    else:
        assert table["equal_heads"][table["relative"].isin(["2 heads", "4 heads"])].all()


def test_a_seed_stays_if_the_scores_of_all_tokens_are_the_same_at_every_step(trained):
    _, run, table = trained
    for row in table[table["p"] == 1].itertuples():
        labels = labels_of(row)
        of_steps = [run.params(step=step, **labels) for step in range(run.cell(**labels).config.training.steps + 1)]
        spreads = [
            np.ptp(leaf, axis=-1).max()
            for params in of_steps
            for leaf in (params["state_scores"], params["position_scores"][..., :-1])
        ]
        assert row.stays == (max(spreads) == 0) == row.keeps, row.relative
        assert np.abs(of_steps[-1]["position_scores"]).max() > 0 or row.relative == "no positions"


def seeds(share, number=50, **columns):
    """A row for each seed, of which a share are true in all that can be."""
    first = np.arange(number) < share * number
    names = ("stays", "optimal", "equal_heads", "parent")
    made = {"p": 1.0, "seed": np.arange(number), **dict.fromkeys(names, first), "gap": 0.0, "learned_at": 7.0}
    return pd.DataFrame(
        {"task": "circle", "relative": "paper", "keeps": True, **made, "value_error": 0.3, "on_parent": 0.9, **columns}
    )


def wilson(share, number=50):
    return stats.binomtest(round(share * number), number).proportion_ci(method="wilson")


def estimates(found, label="relative"):
    return found.rows.set_index(label)["estimate"].to_dict()


def test_shares_that_stay_are_of_the_relatives_that_are_to_and_those_that_leave_of_the_others():
    table = pd.concat(
        [
            seeds(1, relative="one"),
            seeds(0.9, relative="two"),
            seeds(0.2, relative="three", keeps=False),
            seeds(0.5, relative="one", p=0.7),
        ]
    )
    stay, leave = measures.symmetric(table, keeps=True), measures.symmetric(table, keeps=False)
    assert estimates(stay) == {"one": 1, "two": 0.9}
    assert stay.rows[["low", "high"]].isna().all(axis=None)  # an interval of a share never ends at 1
    assert estimates(leave) == {"three": pytest.approx(0.8)}
    assert leave.rows["optimal"].tolist() == [0.2]
    interval = wilson(0.8)
    assert leave.rows[["low", "high"]].to_numpy()[0].tolist() == pytest.approx([interval.low, interval.high])
    assert leave.rows["seeds"].tolist() == [50]


def test_the_share_of_equal_heads_is_of_models_with_several_from_zero():
    table = pd.concat(
        [
            seeds(0, relative="paper"),
            seeds(1, relative="2 heads"),
            seeds(0.98, relative="4 heads"),
            seeds(0, relative="2 heads from 1e-6"),
        ]
    )
    found = measures.equal_heads(table)
    assert estimates(found) == {"2 heads": 1, "4 heads": 0.98}
    assert found.rows[["low", "high"]].isna().all(axis=None)


def test_what_the_second_of_two_loses_less_is_of_the_same_seeds():
    gaps = np.random.default_rng(0).uniform(0.1, 0.3, 8)
    saved = 0.01 * np.arange(8)
    one = seeds(0, number=8, relative="one", gap=gaps)
    other = seeds(0, number=8, relative="two", gap=gaps - saved).iloc[::-1]
    third = seeds(0, number=8, relative="three", gap=5.0)
    found = measures.loss_of(pd.concat([one, third, other]), "one", "two").rows
    assert found[["task", "p"]].to_numpy().tolist() == [["circle", 1.0]]
    interval = stats.t.interval(0.95, 7, saved.mean(), stats.sem(saved))
    assert found[["estimate", "low", "high"]].to_numpy()[0].tolist() == pytest.approx([saved.mean(), *interval])
    assert found[["one", "two"]].to_numpy()[0].tolist() == pytest.approx([gaps.mean(), (gaps - saved).mean()])


def heads_table(number=4):
    """Two decoders of two layers with two heads; in three of four seeds of one the head on the parent costs most."""
    rows = []
    for relative, right in (("2 layers", 3 * number // 4), ("everything", 0)):
        for seed in range(number):
            for layer, head in ((0, 0), (0, 1), (1, 0), (1, 1)):
                looks, costs = (layer, head) == (1, 0), (layer, head) == ((1, 0) if seed < right else (0, 1))
                rows.append(
                    {
                        "relative": relative, "seed": seed, "layer": layer, "head": head,
                        "lost": 0.5 + 0.1 * seed if costs else 0.01, "on_parent": 0.9 if looks else 0.2,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_one_head_does_it_where_the_one_that_costs_most_looks_most_at_the_parent():
    found = ablation.one_head_does_it(heads_table())
    assert estimates(found) == {"2 layers": 0.75, "everything": 0}
    assert found.rows["most_lost"].tolist() == pytest.approx([0.65, 0.65])
    interval = wilson(0.75, 4)
    assert found.rows[["low", "high"]].to_numpy()[0].tolist() == pytest.approx([interval.low, interval.high])


def test_a_relative_is_as_good_as_the_paper_s_by_the_change_of_the_same_seeds():
    better = np.arange(50) < 10
    table = pd.concat(
        [
            seeds(0.5, p=0.7),
            seeds(0, p=0.7, relative="other", optimal=(np.arange(50) < 25) | better[::-1], learned_at=np.inf),
            seeds(0, p=1.0, relative="other"),
        ]
    )
    found = measures.as_good_as_paper(table.sample(frac=1, random_state=0)).rows
    assert found[["relative", "p"]].to_numpy().tolist() == [["other", 0.7]]
    interval = stats.t.interval(0.95, 49, 0.2, stats.sem(better))
    assert found[["estimate", "low", "high"]].to_numpy()[0].tolist() == pytest.approx([0.2, *interval])
    assert found[["optimal", "optimal_of_paper"]].to_numpy()[0].tolist() == pytest.approx([0.7, 0.5])
    assert found["learned_at"].isna().all()  # none ever does


@pytest.mark.parametrize(
    ("name", "table", "word"),
    [
        ("relatives-stay", seeds(1.0), HOLDS),
        ("relatives-stay", seeds(0.98), FAILS),
        ("relatives-leave", seeds(0.0, keeps=False), HOLDS),
        ("relatives-leave", seeds(0.5, keeps=False), FAILS),
        ("equal-heads", seeds(1.0, relative="4 heads"), HOLDS),
        ("equal-heads", seeds(0.98, relative="4 heads"), FAILS),
        ("decoders", pd.concat([seeds(1, p=0.5), seeds(0.3, p=0.9)]).assign(parameters=9), PARTLY),
        # Of the seeds that predict optimally at p < 1 alone.
        ("decoders-parent", pd.concat([seeds(0.9, p=0.5), seeds(1, p=0.9), seeds(1, parent=False)]), HOLDS),
        ("decoders-parent", seeds(0.9, p=0.5, parent=False), FAILS),
        ("decoders-value", pd.concat([seeds(0.5, p=0.9), seeds(1, value_error=1.4)]), HOLDS),
        ("decoders-value", seeds(0.5, p=0.9, value_error=np.linspace(0.2, 0.4, 50)), HOLDS),
        ("decoders-value", seeds(0.5, p=0.9, value_error=np.linspace(1.3, 1.5, 50)), FAILS),
        ("ablation", heads_table(20), PARTLY),
        ("ablation", heads_table(20)[lambda table: table["relative"] == "everything"], FAILS),
        ("tasks", seeds(1, gap=np.linspace(0, 0.005, 50)), HOLDS),
        ("tasks", seeds(1, gap=np.linspace(0, 0.1, 50)), FAILS),
    ],
)
def test_the_rules_judge_what_is_measured(name, table, word):
    assert judge(BY_NAME[name], [table]).verdict.word == word


@pytest.mark.parametrize(
    ("name", "second"), [("second-layer", "2 layers with 1 head"), ("second-head", "1 layer with 2 heads")]
)
def test_a_second_layer_or_head_is_judged_by_what_it_loses_less_than_one(name, second):
    gaps = np.random.default_rng(0).uniform(0.1, 0.3, 50)
    saved = {"persistent": 0.05 + 0.01 * gaps, "lagged": -0.05 + 0.01 * gaps}
    tables = [
        seeds(0, task=task, relative=relative, gap=gaps - less)
        for task, of_task in saved.items()
        for relative, less in (("1 layer with 1 head", 0), (second, of_task))
    ]
    judged = judge(BY_NAME[name], [pd.concat(tables)])
    assert judged.verdict.word == PARTLY
    assert judged.evidence.rows["agrees"].tolist() == [True, False]
    assert judge(BY_NAME[name], [pd.concat(tables[:2])]).verdict.word == HOLDS


def labels_of_axes(axes):
    return [tick.get_text() for tick in axes.get_xticklabels()], [tick.get_text() for tick in axes.get_yticklabels()]


def test_the_map_has_the_share_of_each_relative_at_each_p():
    table = pd.concat(
        [seeds(share, relative=name, p=p) for name, p, share in (
            ("one", 0.9, 0.4), ("one", 0.5, 1), ("two", 0.9, 0.1), ("two", 0.5, 0.7)
        )]
    )  # fmt: skip
    (axes,) = pictures.optimal_map(table).axes[:1]
    assert labels_of_axes(axes) == (["0.5", "0.9"], ["two", "one"])  # the first on top
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.7, 0.1], [1, 0.4]])
    assert axes.get_xlabel() == "p, probability of a clockwise step"
    assert axes.get_title() == "Share of seeds that predict optimally in the end"


def test_distances_of_v_are_drawn_seed_by_seed_at_their_relative():
    errors = np.linspace(0.1, 0.5, 10)
    table = pd.concat(
        [seeds(1, number=10, relative="one", p=0.5, value_error=errors),
         seeds(1, number=10, relative="two", p=0.9, value_error=errors + 1)]
    )  # fmt: skip
    figure = pictures.value_distances(table)
    (axes,) = figure.axes
    assert labels_of_axes(axes)[1] == ["two", "one"]
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines[:2]}
    np.testing.assert_allclose(drawn["p = 0.5"], np.column_stack([errors, np.ones(10)]))
    np.testing.assert_allclose(drawn["p = 0.9"], np.column_stack([errors + 1, np.zeros(10)]))
    assert axes.lines[2].get_xdata()[0] == pytest.approx(2**0.5)  # unrelated matrices
    assert axes.get_xlabel().startswith("distance of the directions of V and Pi^T")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["p = 0.5", "p = 0.9"]


def test_losses_of_tasks_are_drawn_by_task_p_and_model():
    table = pd.concat(
        [seeds(1, number=4, relative=relative, task=task, p=p, gap=gap * np.arange(4))
         for relative, gap in (("one", 0.1), ("two", 0.2))
         for task in ("hidden_direction", "lagged")
         for p in (0.7, 1.0)]
    )  # fmt: skip
    figure = pictures.task_losses(table)
    assert [axes.get_title() for axes in figure.axes] == ["hidden direction", "lagged"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "p"
        assert labels_of_axes(axes)[0] == ["0.7", "1"]
        means = {line.get_label(): line.get_xydata() for line in axes.lines if not line.get_label().startswith("_")}
        np.testing.assert_allclose(means["one"], [[-0.07, 0.15], [0.93, 0.15]])
        np.testing.assert_allclose(means["two"], [[0.07, 0.3], [1.07, 0.3]])
    assert figure.axes[0].get_ylabel() == "accuracy below the optimum"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_heads_are_drawn_by_what_they_cost_and_where_they_look():
    figure = pictures.ablated_heads(heads_table())
    assert [axes.get_title() for axes in figure.axes] == ["2 layers", "everything"]
    for axes, right in zip(figure.axes, (3, 0), strict=True):
        drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
        assert set(drawn) == {"layer 0", "layer 1"}
        costly = [tuple(point) for point in np.round(drawn["layer 1"], 6) if point[1] > 0.1]
        assert costly == [(0.9, round(0.5 + 0.1 * seed, 6)) for seed in range(right)]
    assert figure.axes[0].get_ylabel() == "accuracy lost without the head"
    assert {axes.get_xlabel() for axes in figure.axes} == {"attention on the parent"}


def draws(share, **columns):
    return seeds(share, number=10, p=0.7, **columns).assign(lag=np.arange(10), predicted=np.arange(10))


def test_random_positions_are_drawn_by_width_and_rate_with_intervals():
    shares = {(250, 1.0): 0.2, (250, 0.001): 0.5, (1000, 1.0): 0.4, (1000, 0.001): 1.0}
    table = pd.concat([draws(share, width=width, rate=rate) for (width, rate), share in shares.items()])
    figure = pictures.random_positions_map(table)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("width M of random positions", "log")
    assert axes.get_ylabel() == "share attending to the parent"
    for container, rate in zip(axes.containers, (0.001, 1.0), strict=True):
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_xydata(), [[width, shares[width, rate]] for width in (250, 1000)])
        for segment, (x, share) in zip(bars.get_segments(), line.get_xydata(), strict=True):
            interval = wilson(share, 10)
            np.testing.assert_allclose(segment, [[x, interval.low], [x, interval.high]], atol=1e-12)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["η = 0.001", "η = 1"]
    found = positions.random_positions_do(table).rows
    assert found.set_index(["width", "rate"])["estimate"].to_dict() == shares
    table.loc[(table["width"] == 250) & (table["lag"] < 3), "predicted"] = 99
    found = positions.predicted_slot(table).rows
    assert found.set_index(["width", "rate"])["estimate"].tolist() == [0.7, 0.7, 1, 1]


def test_the_slot_of_random_positions_is_that_after_the_second_step_beside_what_is_predicted():
    config = rw_jax.read_config(POSITIONS.file)
    config.grid.position_width, config.grid.learning_rate, config.grid.p = (20, 30), (1.0,), (0.9,)
    config.grid.embedding_seed, config.task.walk_length = range(3), 13
    config.training.steps, config.record.every = 4, 1

    def metric(name, cell):
        width, draw = cell.labels["position_width"], cell.labels["embedding_seed"]
        at_steps = {
            "highest_lag": [0, 0, draw + width, 0, 0],
            "predicts_optimally": [0, 0, 0, 0, float(draw == 1)],
            "parent_is_highest": [1, 1, 1, 1, float(width == 30)],
        }
        return np.array(at_steps.get(name, [0.0]))

    table = positions.positions_table_of(Run(source_of(from_config_dict(config), metric))).sort_values(
        ["width", "draw"]
    )
    assert table[["width", "draw", "lag"]].to_numpy().tolist() == [
        [width, draw, draw + width] for width in (20, 30) for draw in range(3)
    ]
    assert table["optimal"].tolist() == [False, True, False] * 2
    assert table["parent"].tolist() == [False] * 3 + [True] * 3
    step = np.roll(np.eye(6), 1, axis=1)
    for row in table.itertuples():
        drawn = make_embeddings(6, 13, row.width, "random", seed=row.draw).positions_NxM
        assert row.predicted == 12 - np.argmax(second_scores(0.9 * step + 0.1 * step.T, drawn))


@pytest.mark.slow
def test_the_table_of_decoders_and_of_their_heads_is_that_by_hand(tmp_path):
    chosen = tuple(relative for relative in OF_DECODERS if relative.name in ("keys and queries", "4 heads", "2 layers"))
    config = small("relatives_decoder", chosen, **SIZES)
    config.task.num_nodes, config.task.walk_length, config.model.position_width = 5, 7, 8  # those of `slow`
    config.training.steps, config.record.every, config.grid.p = 40, 40, (0.9, 1.0)
    run = rw_jax.sweep(config, tmp_path / "run")
    table, of_heads = measures.table_of(run), ablation.ablation(run)
    assert set(of_heads["relative"]) == {"4 heads", "2 layers"}
    assert len(of_heads) == 2 * (4 + 2)
    law = 0.9 * np.roll(np.eye(5), 1, axis=1) + 0.1 * np.roll(np.eye(5), -1, axis=1)
    for relative in chosen:
        shape = shape_of(**relative.changes)
        for row in table[(table["relative"] == relative.name) & (table["p"] == 0.9)].itertuples():
            labels = labels_of(row)
            params, tokens = run.params(**labels), run.walks("test", **labels)[0]

            def accuracy(params, tokens=tokens, shape=shape):
                of_walks = [slow({name: np.float64(leaf) for name, leaf in params.items()}, walk, shape)
                            for walk in tokens]  # fmt: skip
                predicted = np.array([outputs[-1].argmax() for outputs, _ in of_walks])
                mean = np.mean([weights[:, :, -1] for _, weights in of_walks], axis=0)
                return law[tokens[:, -1], predicted].mean(), mean

            whole, mean = accuracy(params)
            last = mean.shape[-1] - 1 if shape.query == "empty" else mean.shape[-1]  # where an empty slot is, or were
            assert row.gap == pytest.approx(0.9 - whole, abs=1e-5)
            assert row.lags == " ".join(str(last - lag) for lag in mean.reshape(-1, mean.shape[-1]).argmax(axis=1))
            assert row.on_parent == pytest.approx(mean[..., last - 1].max(), rel=1e-3)
            assert row.parameters == sum(leaf.size for leaf in params.values())
            for head in of_heads[(of_heads["relative"] == relative.name) & (of_heads["seed"] == row.seed)].itertuples():
                value = params["value"].copy()
                value[head.layer, head.head] = 0
                assert head.lost == pytest.approx(whole - accuracy({**params, "value": value})[0], abs=1e-5)
                assert head.on_parent == pytest.approx(mean[head.layer, head.head, last - 1], rel=1e-3)
