"""What the README and docs/ show works as pasted, what they list is there, and their numbers are those of files."""

import inspect
import itertools
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import rw_jax
from rw_jax import ending, main, show
from rw_jax.analysis.statistics import mean_interval, rate_interval
from rw_jax.study.config import AXES
from rw_jax.tasks.families import FAMILIES
from rw_jax.training.losses import LOSSES
from rw_jax.training.metrics import METRICS
from studies.__main__ import parse as parse_study
from studies.all_lengths.measures import PROBABILITIES, needed_share, second_step
from studies.relatives.relatives import OF_DECODERS, OF_TASKS, RELATIVES
from studies.symmetry.remedies import REMEDIES

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
}
README = PAGES["README.md"]
SNIPPETS = {page: re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for page, text in PAGES.items()}
COMMANDS = sorted(
    {
        command.strip()
        for text in PAGES.values()
        for line in re.sub(r"\\\n\s*", " ", text).splitlines()
        for command in re.findall(r"`((?:python|bash) [^`]+)`", line)
        or re.findall(r"^ *((?:python|bash) [^`]+)$", line)
    }
)


@pytest.fixture(scope="module")
def folder_with_a_sweep(tmp_path_factory) -> Path:
    """A folder in which runs/sweep is a finished run with short walks and few seeds."""
    config = rw_jax.read_config(ROOT / "configs" / "sweep.py")
    config.task.walk_length = 9
    config.task.walks = config.task.test_walks = 20
    config.model.position_width = 30
    config.grid.p = (0.5, 1.0)
    config.grid.seed = (0, 3)
    folder = tmp_path_factory.mktemp("project")
    ending.finish(rw_jax.sweep(config, folder / "runs" / "sweep"))
    return folder


def execute(page: str, number: int) -> dict:
    """The names that a snippet leaves."""
    names = {"__name__": "pasted"}
    exec(compile(SNIPPETS[page][number], page, "exec"), names)
    return names


def test_every_snippet_is_tested():
    assert {page: len(snippets) for page, snippets in SNIPPETS.items() if snippets} == {
        "README.md": 2, "docs/all_lengths.md": 1, "docs/chains.md": 2, "docs/extending.md": 5, "docs/relatives.md": 2,
        "docs/runs.md": 5, "docs/sweeps.md": 1, "docs/symmetry.md": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_the_analysis_works_as_pasted(folder_with_a_sweep, monkeypatch, capsys):
    monkeypatch.chdir(folder_with_a_sweep)
    names = execute("docs/runs.md", 0)
    run = rw_jax.load_run("runs/sweep")
    np.testing.assert_array_equal(names["V"], run.params(step=50, p=0.5, seed=3)["value"])
    assert names["W"].shape == (6 + 30, 6 + 30)
    assert names["tokens"].shape == (20, 8)
    np.testing.assert_allclose(names["weights"].sum(axis=1), 1, rtol=1e-5)
    mean_attention = float(run.metrics["parent_attention"].sel(step=50, p=0.5, seed=3))
    np.testing.assert_allclose(names["weights"][:, -2].mean(), mean_attention, rtol=1e-5)
    assert "[" in capsys.readouterr().out


def test_published_numbers_are_read_as_pasted(capsys):
    """The numbers of docs/paper.md on figure 6 with the smallest start are those that are published."""
    names = execute("docs/runs.md", 4)
    assert set(names["theorems"]["verdict"].values) == {"holds", "holds only where", "counterexample"}
    assert "holds" in capsys.readouterr().out
    at_the_end = rw_jax.load_results("fig6_small_start")["accuracy"].sel(p=1.0, step=1000).values
    share = rate_interval(at_the_end <= 0.95)
    told = f"{int((at_the_end <= 0.95).sum())} of 50 [{share.low:.2f}, {share.high:.2f}]"
    assert f"at most 0.95 after 1000 for {told}" in (ROOT / "docs" / "paper.md").read_text()


def test_the_figure_is_drawn_as_pasted(folder_with_a_sweep, monkeypatch, tmp_path):
    monkeypatch.chdir(folder_with_a_sweep)
    execute("docs/runs.md", 1)
    assert (folder_with_a_sweep / "runs" / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert mpl.rcParams["legend.frameon"] == mpl.rcParamsDefault["legend.frameon"]  # the style stays inside plots


def test_the_notebook_of_the_readme_works_as_pasted(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names = execute("README.md", 0)
    assert names["run"].metrics["accuracy"].shape == (3, 8, 51)
    assert names["V"].shape == (6, 6)
    assert set(names["numbers"]["metric"]) >= {"expected_accuracy", "parent_attention"}
    assert "predicts_optimally" in str(names["run"].summary().columns.tolist())
    assert capsys.readouterr().out


@pytest.mark.slow
def test_a_loss_of_ones_own_works_as_pasted(capsys):
    execute("README.md", 1)
    assert float(capsys.readouterr().out) > 0.65


@pytest.mark.slow
def test_a_sweep_and_a_run_from_python_work_as_pasted(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names = execute("docs/extending.md", 0)
    assert names["run"].metrics["accuracy"].shape == (2, 4, 21)
    same = names["run"].metrics["accuracy"].sel(p=0.7, seed=3).values
    np.testing.assert_allclose(names["one"].metrics["accuracy"].values, same)
    assert (tmp_path / "runs" / "short" / "metrics.nc").is_file()
    assert capsys.readouterr().out


@pytest.mark.slow
def test_the_remedies_work_as_pasted(capsys):
    (snippet,) = SNIPPETS["docs/symmetry.md"]
    names: dict = {}
    exec(snippet, names)
    assert names["mixed"].metrics["accuracy"][-1].item() == 1
    assert names["curriculum"].metrics["accuracy"][-1].item() == 1
    assert names["tokens"].shape == (1000, 96)
    assert np.all(np.diff(names["tokens"], axis=1) % 6 == 1)
    assert names["adam"].metrics["accuracy"][-1].item() == 1
    assert capsys.readouterr().out.startswith("1.0 [")


@pytest.mark.slow
def test_walks_of_all_lengths_work_as_pasted(capsys):
    names = execute("docs/all_lengths.md", 0)
    assert names["mixed"].metrics["predicts_optimally"][-1].item() == 1
    assert names["whole"].metrics["predicts_optimally"][-1].item() == 0
    assert capsys.readouterr().out.splitlines()[1] == "1.0 1.0"


@pytest.mark.slow
def test_interventions_work_as_pasted(folder_with_a_sweep, monkeypatch, capsys):
    monkeypatch.chdir(folder_with_a_sweep)
    names = execute("docs/runs.md", 2)
    recorded = names["run"].metrics["expected_accuracy"].isel(step=-1).sel(p=0.5)
    np.testing.assert_allclose(names["as_trained"], recorded, atol=1e-6)
    assert names["on_parent"].dims == ("seed",)
    assert capsys.readouterr().out


@pytest.mark.slow
def test_other_walks_work_as_pasted(folder_with_a_sweep, monkeypatch, capsys):
    monkeypatch.chdir(folder_with_a_sweep)
    names = execute("docs/runs.md", 3)
    assert names["elsewhere"]["optimal_accuracy"] == pytest.approx(0.9)
    assert names["every"].sizes == {"p": 2, "seed": 2}
    alone = names["run"].evaluate(on=names["run"].walks("test", at={"p": 0.9, "test_walks": 500, "seed": 8}, p=0.5,
                                                        seed=3), p=1.0, seed=0)  # fmt: skip
    assert names["every"].sel(p=1.0, seed=0).item() == pytest.approx(alone["accuracy"].item())
    assert capsys.readouterr().out


@pytest.mark.slow
def test_relatives_work_as_pasted(capsys):
    names = execute("docs/relatives.md", 0)
    assert names["two"].mean_head_attention().shape == (1, 2, 25)
    names = execute("docs/relatives.md", 1)
    assert names["run"].mean_head_attention().shape == (2, 2, 13)
    assert capsys.readouterr().out.endswith("(2, 2, 12, 12)\n")


def test_pieces_of_ones_own_work_as_pasted_and_attend_to_the_token_two_back(capsys):
    names = execute("docs/extending.md", 1)
    assert float(names["run"].metrics["parent_attention"][-1]) > 0.9
    assert float(names["run"].metrics["accuracy"][-1]) > 0.9
    assert capsys.readouterr().out


@pytest.mark.slow
def test_a_metric_with_an_axis_works_as_pasted(capsys):
    run = execute("docs/extending.md", 3)["run"]
    assert run.metrics["law_error"].dims == ("step", "next")
    assert run.metrics["law_error"].attrs["long_name"] == "error of the normalised output, by next state"
    assert capsys.readouterr().out.startswith("('step', 'next') [")


@pytest.mark.slow
def test_a_third_reduced_form_works_as_pasted_on_samples_and_on_infinitely_many_walks(capsys):
    execute("docs/extending.md", 4)
    on_samples, infinitely = (line.split() for line in capsys.readouterr().out.splitlines())
    assert (on_samples[0], infinitely[0]) == ("1000", "infinite")
    assert float(on_samples[1]) == pytest.approx(float(infinitely[1]), abs=0.1)


@pytest.mark.slow
def test_arms_work_as_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = execute("docs/sweeps.md", 0)["run"]
    assert run.metrics["arm"].values.tolist() == ["paper", "2 heads", "start 1e-6"]
    assert capsys.readouterr().out


@pytest.mark.slow
def test_a_process_with_hidden_states_works_as_pasted_and_its_law_is_that_of_bayes(capsys):
    names = execute("docs/extending.md", 2)
    run = names["run"]
    assert float(run.metrics["expected_accuracy"][-1]) > 0.5
    assert capsys.readouterr().out
    tokens = np.array([[0, 0], [0, 1], [1, 2]])
    law = np.asarray(names["hidden"](4, leave=0.05, clear=0.85).next_state_law(tokens, {}))
    shown = [np.array([[0.9 if i == j else 0.05 for j in range(3)] for i in range(3)]) for _ in range(3)]
    shown = [matrix * [0.85 if token == j else 0.075 for j in range(3)] for token, matrix in enumerate(shown)]
    for walk in range(2):
        found = []
        for token in range(3):  # the sum over all hidden states of the walk that goes on with the token
            ways = itertools.product(range(3), repeat=5)
            seen = [*tokens[:, walk], token]
            pairs = [list(zip(seen, itertools.pairwise(way), strict=True)) for way in ways]
            found.append(sum(np.prod([shown[x][move] for x, move in of_way]) for of_way in pairs))
        np.testing.assert_allclose(law[:, walk], np.array(found) / sum(found), rtol=1e-5)


@pytest.mark.slow
def test_the_chains_work_as_pasted(capsys):
    names = execute("docs/chains.md", 0)
    np.testing.assert_array_equal(names["run"].transition_matrix(), [[0.4, 0.6], [0.2, 0.8]])
    assert capsys.readouterr().out
    np.testing.assert_array_equal(names["Pi"], [[0.4, 0.6], [0.2, 0.8]])


def test_a_config_of_a_chain_works_as_pasted_and_its_options_are_axes_on_the_command_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(SNIPPETS["docs/chains.md"][1])
    given = [f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'run'}", "--dry_run"]
    for axis, runs in (
        (None, 24),
        ("--config.grid.laziness=0.1,0.3", 16),
        ("--config.grid.family=cycle,lazy_cycle", 48),
    ):
        words = [*given, axis] if axis else given
        main.main(main.parse(["rw_jax", *words]))
        assert f"{runs} of {runs} runs to train" in capsys.readouterr().out


def test_the_table_of_families_is_that_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([\w, ]*?) ?\|$", PAGES["docs/chains.md"], re.MULTILINE)
    rows = {name: parameters.split(", ") if parameters else [] for name, parameters in rows}
    assert rows == {
        name: [parameter for parameter in inspect.signature(family).parameters if parameter != "num_nodes"]
        for name, family in FAMILIES.items()
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_there_is_and_plans_what_it_says(command, monkeypatch, tmp_path, capsys):
    """The main command is run as far as its plan, others as far as their arguments are read."""
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(command)
    of_module = words[1:2] if words[0] == "-m" and words[2:] else []  # a name alone is no command
    if of_module == ["rw_jax.main"]:
        given = [word for word in words[2:] if not word.startswith("--workdir")]
        main.main(main.parse(["rw_jax", *given, f"--workdir={tmp_path / 'new'}", "--dry_run"]))
        assert " runs to train" in capsys.readouterr().out
    elif of_module == ["studies"]:
        asked_for = parse_study(words[2:])
        if asked_for is not None:
            study, asked = asked_for
            assert study.only(asked.parts).sections == (asked.parts or study.sections)
    elif of_module == ["rw_jax.show"]:
        assert show.parse(["show", *words[2:]]).paths == [word for word in words[2:] if word[0] != "-"]
    elif program == "bash":
        assert subprocess.run(["bash", "-n", words[0]], check=False).returncode == 0
    elif words[0] != "-m":
        defined = re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', Path(words[0]).read_text())
        assert {word.partition("=")[0] for word in words[1:] if word.startswith("--")} <= {
            f"--{name}" for name in defined
        }


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [path for path in sorted((ROOT / "scripts").glob("*.py")) if path.resolve().name != "moved.py"],
    ids=lambda path: path.stem,
)
def test_every_script_tells_what_it_does(script):
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)  # absl's
    assert script.name in done.stdout


def test_the_readme_reads_at_once_and_has_two_figures():
    assert len(README.split()) <= 1500
    assert len(re.findall(r"!\[", README)) == 2


def test_the_shares_of_the_readme_are_those_of_the_results():
    results = pd.read_csv(ROOT / "docs" / "results" / "sweep.csv").set_index("p")

    def told(row, name):
        return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"

    rows = re.findall(r"^\| ([\d.]+) \| (\d\.\d+ \[.*?\]) \| (\d\.\d+ \[.*?\]) \|$", README, re.MULTILINE)
    assert len(rows) == 8
    for p, on_parent, optimal in rows:
        row = results.loc[float(p)]
        assert row["seeds"] == 200
        assert (on_parent, optimal) == (told(row, "parent_is_highest"), told(row, "predicts_optimally"))


def test_the_shares_of_the_starts_are_those_of_the_results():
    results = pd.read_csv(ROOT / "docs" / "results" / "starts.csv").set_index(["init_scale", "p"])
    table = re.findall(r"^\| (1e-\d) \| (.*) \| (.*) \| (.*) \|$", PAGES["docs/science.md"], re.MULTILINE)
    assert len(table) == 6
    for scale, *cells in table:
        wanted = ((1.0, "predicts_optimally"), (0.5, "parent_is_highest"), (0.9, "parent_is_highest"))
        for cell, (p, name) in zip(cells, wanted, strict=True):
            row = results.loc[(float(scale), p)]
            assert cell == f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def test_what_is_said_of_where_attention_ends_is_in_the_results():
    rows = pd.read_csv(ROOT / "docs" / "results" / "lags.csv")
    descent, flow = (rows[rows["by"] == by] for by in ("η = 1", "gradient flow"))
    science, readme = " ".join(PAGES["docs/science.md"].split()), " ".join(README.split())
    clear = descent[descent["lead"] > 0.01]
    right = [int((each["predicted"] == each["at_step_2"]).sum()) for each in (descent, clear)]
    assert f"in {right[0]} of {len(descent)} circles, and in {right[1]} of {len(clear)}" in science
    others = [each[each["at_end"] != 1] for each in (descent, flow)]
    on_parent = [len(each) - len(other) for each, other in zip((descent, flow), others, strict=True)]
    assert f"in {on_parent[0]} of 132 circles with η = 1, and in {on_parent[1]} of 132 by gradient flow" in science
    assert f"All {len(others[0])} and {len(others[1])} others predict below the optimum" in science
    told = (
        f"{len(others[0])} of 132 circles with K = 5 to 64 end on an earlier token ({len(others[1])} by gradient flow)"
    )
    assert told in readme
    for other in others:
        assert (other["below_optimum"] > 1e-3).all()
        assert other["K"].min() > 6
        assert other["p"].min() > 0.6
    sharp = [int((each["predicted"] == each["sharp"]).sum()) for each in (descent, flow)]
    assert f"is the predicted one in {sharp[0]} and in {sharp[1]} circles" in science
    stays = [int((each["sharp"] == each["at_end"]).sum()) for each in (descent, flow)]
    assert f"it stays in {stays[0]} and in {stays[1]}" in science
    unstable = [int((~each["is_stable"]).sum()) for each in (descent, flow)]
    assert f"With η = 1, {unstable[0]} circles end on an unstable lag" in science
    assert f"By gradient flow {unstable[1]} do" in science
    assert f"{int((descent['at_step_2'] == descent['at_end']).sum())} of 132" in science


def test_what_is_said_of_the_time_to_leave_is_in_the_results():
    rows = pd.read_csv(ROOT / "docs" / "results" / "leaving.csv")
    ratios = rows["observed"] / rows["predicted"]
    page = " ".join(PAGES["docs/science.md"].split())
    assert f"From {len(rows)} one-hot starts on unstable lags" in page
    assert f"in {ratios.min():.2f} to {ratios.max():.2f} times the predicted steps" in page
    by_gap = ratios.groupby(rows["gap"]).median()
    assert by_gap[4.0] < by_gap[3.0]


def test_what_is_said_of_longer_walks_is_in_the_results():
    every = pd.read_csv(ROOT / "docs" / "results" / "lengths.csv")
    for by in ("η = 1", "gradient flow"):
        rows = every[every["by"] == by].set_index(["p", "N"])
        for N in (97, 193, 289):
            assert rows.loc[[(p, N) for p in (0.75, 0.8, 0.85)], "at_end"].tolist() == [3] * 3
        assert (rows["predicted"] == rows["at_step_2"]).sum() == len(rows) == 60
        assert (rows["below_optimum"][rows["at_end"] != 1] > 1e-3).all()
        assert rows.loc[(0.7, 289), "at_end"] == {"η = 1": 3, "gradient flow": 1}[by]
    rows = every[every["by"] == "η = 1"].set_index(["p", "N"])
    assert [rows.loc[(0.97, N), "at_end"] for N in (97, 193, 289)] == [5, 3, 1]


def test_what_is_said_of_populations_is_in_the_results():
    rows = pd.read_csv(ROOT / "docs" / "results" / "population.csv")
    theorems, optimal = PAGES["docs/theorems.md"], rows["accuracy_below_optimum"] < 1e-6
    assert (
        f"{int(optimal.sum())} of {len(rows)} settings, with K = 5 and 6 all {int((rows['K'] <= 6).sum())}" in theorems
    )
    assert optimal[rows["K"] <= 6].all()
    off = rows["lag"] != 1
    assert (
        f"in {int((~off).sum())} of {len(rows)} settings; of the other {int(off.sum())}, {int((off & ~optimal).sum())}"
        in theorems
    )
    long = rows[(rows["K"] == 24) & (rows["N"] == 1000) & rows["p"].isin([0.7, 0.8])]
    assert long["lag"].tolist() == [3, 3]
    needed = pd.read_csv(ROOT / "docs" / "results" / "needed.csv").set_index("p")["shortest_by_K"]
    without = {p: re.findall(r"(\d+): none", of_each) for p, of_each in needed.items()}
    assert {p: nodes for p, nodes in without.items() if nodes} == {
        0.8: ["20"], 0.99: ["20"], 0.999: ["8", "12", "16", "20"],
    }  # fmt: skip


def test_what_is_said_of_walks_of_all_lengths_is_in_the_results():
    page, readme = PAGES["docs/all_lengths.md"], " ".join(README.split())
    results = ROOT / "docs" / "results"
    rows = pd.read_csv(results / "all_lengths.csv")
    counts = rows.assign(parent=rows["on_parent"] * rows["seeds"], optimal=rows["estimate"] * rows["seeds"])
    summed = counts.groupby(["K", "lengths"])[["parent", "optimal", "seeds"]].sum().round().astype(int)
    for (K, lengths), (parent, optimal, seeds) in summed.iterrows():
        name = "all lengths" if lengths == "from 2" else lengths
        assert f"| K = {K}, {name} | {parent:,} of {seeds:,} | {optimal:,} of {seeds:,} |" in page
    both = summed.groupby("lengths")[["parent", "seeds"]].sum()
    assert f"({both.loc['from 2', 'parent']:,} of {both.loc['from 2', 'seeds']:,}; whole walks" in readme
    assert f"whole walks {both.loc['whole walks', 'parent']:,})" in readme
    mixed = rows[rows["lengths"] == "from 2"]
    assert (mixed["estimate"][(mixed["p"] < 0.4) | (mixed["p"] > 0.6) | (mixed["p"] == 0.5)] == 1).all()
    nodes = pd.read_csv(results / "all_lengths_nodes.csv").set_index(["lengths", "K", "p"])["on_parent"]
    assert [nodes[lengths, 31, 0.9] for lengths in ("whole walks", "from N/2", "from 10", "from 2")] == [0.9, 0, 0, 1]
    assert (nodes["from 2"] == 1).all()
    arms = pd.read_csv(results / "all_lengths_arms.csv")
    optimal = (20 * arms.groupby(["arm", "lengths"], sort=False)["estimate"].sum()).round().astype(int)
    told = re.findall(r"^\| [^|]* \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert [tuple(map(int, row)) for row in told] == [
        (optimal[arm, "whole walks"], optimal[arm, "from 2"]) for arm in arms["arm"].unique()
    ]
    decoders = pd.read_csv(results / "all_lengths_decoder.csv")
    right = decoders.assign(optimal=decoders["estimate"] * decoders["seeds"]).groupby(["query", "trained on"])[
        "optimal"
    ]
    counts = right.sum().round().astype(int)
    assert (decoders.groupby(["query", "trained on"])["seeds"].sum() == 30).all()
    for words, query in (("the last token", "last token"), ("the paper's empty slot", "empty slot")):
        of_query = [counts[query, trained_on] for trained_on in ("whole walks", "all positions", "all lengths")]
        assert f"| {words} | {' | '.join(map(str, of_query))} |" in page
    leads = second_step().rows.set_index("lengths")
    counted = (leads["estimate"] * leads["circles"]).round().astype(int)
    for words, lengths in {
        "all N (whole walks)": "whole walks", "uniform, from N/2 on": "from N/2", "uniform, from 10 on": "from 10",
        "uniform, from 4 on": "from 4", "uniform, from 3 on": "from 3", "uniform on 2 to N": "from 2",
        "geometric from 2 on, mean 10 or 100": "geometric, mean 10",
        "1% of two states, all others N": "1% of two states",
        "2% or 10% of two states, all others N": "2% of two states",
    }.items():  # fmt: skip
        assert f"| {words} | {counted[lengths]:,} |" in page
    for N, words in ((25, "1.03%"), (97, "0.47%"), (577, "0.011%")):
        most = max(needed_share(64, p, N) for p in PROBABILITIES)
        assert f"{100 * most:.2g}%" in words or f"{100 * most:.3g}%" in words
        assert f"{words} at N = {N}" in page
    trained = [needed_share(K, p, N) for K, N in ((6, 97), (20, 101), (31, 121)) for p in (0.7, 0.8, 0.9, 0.97, 0.99)]
    assert f"{100 * max(trained):.2g}%" == "0.045%"
    assert counted["geometric, mean 100"] == counted["10% of two states"] == 2048
    share = pd.read_csv(results / "all_lengths_share.csv")
    assert (share["estimate"][share["share"] > 0] == 1).all()
    seeds = share.groupby(share["share"] > 0)["seeds"].sum()
    whole = int((share["estimate"] * share["seeds"])[share["share"] == 0].sum().round())
    assert f"{seeds[True]:,} of {seeds[True]:,}; of whole walks {whole} of {seeds[False]}." in " ".join(page.split())
    assert sorted(share["share"].unique()) == [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1]
    population = pd.read_csv(results / "all_lengths_infinite.csv")
    assert population.groupby("training")["optimal"].agg(["size", "all"]).to_numpy().tolist() == [[132, True]] * 2
    assert (population["lag"] == 1).all()
    of_chains = (
        pd.read_csv(results / "all_lengths_chains.csv").groupby(["M", "lengths"])["optimal"].agg(["sum", "size"])
    )
    for M, words in ((343, "343"), (1000, "1,000")):
        whole, every = of_chains.loc[M, "whole walks"], of_chains.loc[M, "from 2"]
        assert f"| M = {words} | {whole['sum']} of {whole['size']} [" in page
        assert f" | {every['sum']} of {every['size']} [" in page
    of_half_a_percent = share["seeds"][share["share"] == 0.005].sum()
    assert f"half a percent of two-state walks is enough ({of_half_a_percent} of {of_half_a_percent})" in readme
    every = of_chains.loc[343, "from 2"]
    assert f"all 132 circles; {every['sum']} of {every['size']} other chains are optimal (M = 343)" in readme


def test_what_is_said_of_small_steps_is_in_the_results():
    page = " ".join(PAGES["docs/science.md"].split())
    rows = pd.read_csv(ROOT / "docs" / "results" / "small_steps.csv").set_index("arm")
    rates = ["1", "0.3", "0.1", "0.03", "0.01", "flow"]
    assert rows.loc["random positions", "η"].tolist() == rates
    assert rows.loc["random positions", "optimal"].tolist() == [0, 0, 0, 1, 1, 1]
    assert rows.loc["20 nodes at p = 0.8", "optimal"].tolist() == [0.1, 0.2, 0.4, 0.4, 0.3, 0.3]
    assert (rows[rows.index.str.endswith("all lengths")]["on_parent"] == 1).all()
    assert (rows.loc["uneven chain; M = 343; all lengths", "optimal"] == 0.5).all()
    for arm, most in (("p = 1", 0), ("p = 0.7; start of 0.001", 0.1), ("uneven chain; M = 343", 0)):
        assert rows.loc[arm, "optimal"].max() == most
    assert rows.loc["uneven chain; M = 3000", "optimal"].max() <= 0.2
    assert "thirteen conditions at six rates" in page
    assert len(rows) == 13 * 6


def test_what_is_said_of_the_limit_of_v_is_in_the_results():
    page = " ".join(PAGES["docs/theorems.md"].split())
    powers, rates, counts = (
        pd.read_csv(ROOT / "docs" / "results" / f"{name}.csv") for name in ("power", "power_rates", "power_samples")
    )
    near = (powers["power"] - 1 / (1 + powers["a"])).abs() <= 0.02
    assert f"within 0.02 of 1/(1+a) in {near.sum()} of {len(powers)} trainings" in page
    assert (near & (powers["lag"] == 2)).any()
    fast = (rates["exponent_of_step"] + 1 / (1 + rates["a"])).abs() <= 0.1
    assert f"the exponent of T within 0.1 in {fast.sum()} (" in page
    assert all(p == 0.97 or "0.1" in arm for arm, p in powers[~near][["arm", "p"]].to_numpy())
    assert all(p == 0.97 or "0.1" in arm for arm, p in rates[~fast][["arm", "p"]].to_numpy())
    assert counts["estimate"].max() <= 0.015
    assert {lag for lags in counts["lags"].astype(str) for lag in lags.split("/")} == {"1", "3"}


def test_what_is_said_of_chains_is_in_the_results():
    rows, flow = (pd.read_csv(ROOT / "docs" / "results" / name) for name in ("chains.csv", "chains_flow.csv"))
    page, readme = " ".join(PAGES["docs/chains.md"].split()), " ".join(README.split())
    clear = rows[rows["lead"] > 0.01]
    right = int((clear["predicted"] == clear["at_step_2"]).sum())
    assert f"Of the {len(clear)} chains whose largest c_k leads by more than 1%, {right} attend" in page
    assert f"({right} of {len(clear)})" in readme
    assert len(rows) == 527
    assert (rows["weight"][rows["unevenness"] < 1e-9] > 0.9).all()
    sharp = rows[rows["weight"] > 0.9]
    counts = sharp.groupby("family").size()
    told = (
        f"on {counts['dirichlet']} of 80 Dirichlet chains it does, on {counts['reversible']} of 80 reversible ones, on "
    )
    assert told + f"{counts['path']} of 40 paths" in page
    assert f"{int(sharp['end_is_stable'].sum())} of {len(sharp)} ends are stable" in page
    assert rows["spread_of_u"][rows["family"] == "dirichlet"].mean() == pytest.approx(20, abs=0.5)
    widths = pd.read_csv(ROOT / "docs" / "results" / "chains_widths.csv")
    told = re.findall(
        r"^\| (?:of them )?(\d+) ([a-zA-Z ]+) \| (.*) \| (.*) \| (.*) \| (.*) \|$", PAGES["docs/chains.md"], re.M
    )
    is_even = widths["unevenness"] < 1e-9
    kinds = {"with a uniform stationary law": is_even, "others": ~is_even}
    kinds |= {f"{name} chains": widths["family"] == name.lower() for name in ("Dirichlet", "reversible")}
    assert [kind for _, kind, *_ in told] == list(kinds)
    for count, kind, *cells in told:
        shown = widths[kinds[kind] & (widths["N"] == 49) & (widths["M"] > 100)]
        for cell, (_, of_width) in zip(cells, shown.groupby("M"), strict=True):
            assert len(of_width) == int(count)
            computed = of_width.dropna(subset="below_optimum")
            share = rate_interval((computed["optimal"] == computed["seeds"]).to_numpy())
            lost = len(of_width) - len(computed)
            right = f"{share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]" + (f", {lost} diverged" if lost else "")
            assert cell == right
    assert (~rows["parent_is_stable"]).groupby(rows["family"]).sum()[lambda count: count > 0].to_dict() == {
        "de_bruijn": 1, "dirichlet": 1, "path": 19, "star": 1,
    }  # fmt: skip
    samples = pd.read_csv(ROOT / "docs" / "results" / "chains_samples.csv")
    for K, walks in ((8, 300), (8, 1000), (8, 3000), (16, 1000)):
        of_both = samples[(samples["K"] == K) & (samples["walks"] == walks)]
        for is_uniform in (True, False):
            chosen = of_both[(of_both["unevenness"] < 1e-9) == is_uniform]
            share = rate_interval((chosen["on_parent"] / chosen["seeds"]).to_numpy())
            assert f"{share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]" in page
    sharp = flow[flow["weight"] > 0.9]
    clear = sharp[sharp["lead"] > 0.01]
    assert f"{len(sharp)} of {len(flow)} chains end on one lag" in page
    assert sharp["end_is_stable"].all()
    right = int((clear["predicted"] == clear["at_end"]).sum())
    assert f"in {len(sharp)} of {len(sharp)} the lag is stable, and in {right} of {len(clear)}" in page


def test_what_is_said_of_the_race_of_positions_and_states_is_in_the_results():
    page, results = " ".join(PAGES["docs/chains.md"].split()), ROOT / "docs" / "results"
    every = pd.read_csv(results / "chains_race.csv")
    rows = every[~every["diverged"]]
    right = int(((rows["race"] > 1) == rows["optimal"]).sum())
    assert f"right in {right} of {len(rows):,} trainings on infinitely many walks" in page
    assert f"{len(every) - len(rows)} diverged" in page
    uneven = rows[rows["law"] == "uneven"]
    slow, quick = uneven[uneven["race"].between(0, 0.56)], uneven[uneven["race"] > 1.51]
    assert f"{(~slow['optimal']).sum()} of {len(slow)} trainings with 0 < q/q* < 0.56 fail" in page
    assert f"{quick['optimal'].sum()} of {len(quick)} with q/q* > 1.51 succeed" in page
    samples = pd.read_csv(results / "chains_race_samples.csv")
    over_chains = (samples["estimate"] * samples["runs"]).sum()  # means over chains, which have other numbers of runs
    assert over_chains / samples["runs"].sum() == pytest.approx(2238 / 2650, abs=0.03)
    assert samples["runs"].sum() == 2650
    assert "2,238 of 2,650" in page
    widest = rows[rows["M"] == 10_000]
    assert f"in {(widest['first'] == widest['at_end']).sum()} of {len(widest)} trainings" in page
    assert f"{every['diverged'].sum()} of {(every['M'] == 10_000).sum()} trainings are lost" in page
    assert every["M"][every["diverged"]].unique().tolist() == [10_000]
    crossing = every[every["M"] == 343].assign(least=lambda table: 172 / table["race"])
    found = crossing[crossing["least"] > 0].groupby(["N", "family"])["least"].agg(["min", "median", "max"])
    assert found.loc[(49, "path")].round(-1).tolist()[::2] == [1240, 2440]
    assert found.loc[(97, "path")].round(-1).tolist()[::2] == [5550, 5970]
    assert found["median"].loc[[(49, "dirichlet"), (97, "dirichlet")]].round().tolist() == [331, 1142]
    lazy = every[every["family"] == "lazy_cycle"]
    assert ((lazy["first"] != 1) & (lazy["N"] == 49) & (lazy["M"] == 343)).sum() == 5
    assert (lazy["optimal"] == (lazy["first"] == 1))[lazy["M"] > 343].all()
    assert lazy["chain"][(lazy["first"] != 1) & (lazy["M"] == 100) & lazy["optimal"]].nunique() == 3
    long = pd.read_csv(results / "chains_long.csv")
    for rate, of_rate in long.groupby("η"):
        assert f"| {rate:g} | {' | '.join(map(str, of_rate['lead']))} |" in PAGES["docs/chains.md"]
    assert long["η"].nunique() == 3
    assert (long["chains"] == 66).all()


def test_what_is_said_of_the_symmetry_is_in_the_results():
    page, readme = " ".join(PAGES["docs/symmetry.md"].split()), " ".join(README.split())
    every = pd.read_csv(ROOT / "docs" / "results" / "symmetry.csv")
    seeds = every[every["p"] == 1].groupby("remedy", sort=False)[["stays", "optimal"]].sum()
    assert set(seeds.index) == {remedy.name for remedy in REMEDIES}
    assert "27 changes" in page
    assert "Of 27 changes" in readme
    assert len(seeds) == 28
    counts = re.findall(r"\| (\d+) of (\d+) \| (\d+) of (\d+) \|$", PAGES["docs/symmetry.md"], re.MULTILINE)
    assert [tuple(map(int, row)) for row in counts] == [
        (0, 350, 0, 350), (0, 250, 0, 250), (100, 100, 100, 100), (50, 50, 0, 50), (50, 50, 0, 50),
        (200, 200, 200, 200), (200, 200, 200, 200), (150, 150, 150, 150),
    ]  # fmt: skip
    stay = seeds[seeds["stays"] == 50]
    assert len(stay) == 13  # with none, 7 of the first row and 5 of the second
    assert (stay["optimal"] == 0).all()
    others = seeds[seeds["stays"] == 0]
    assert others.index[others["optimal"] == 0].tolist() == ["sign", "all positions"]
    assert (others["optimal"].drop(["sign", "all positions"]) == 50).all()
    learned = every[every["optimal"]]
    on_one = learned["of_residue"] > 0.99
    assert f"more than 99% in {on_one.sum():,} of {len(learned):,} runs that learn" in page
    assert set(learned["remedy"][~on_one]) == {"Adam 1e-7"}
    at_one = learned[learned["p"] == 1]
    parents = (at_one["residue"] == 1).groupby(at_one["remedy"]).mean()
    assert parents[["N = 98", "mixed lengths"]].tolist() == [1, 1]
    assert f"in {100 * parents['50 steps at p = 0.9']:.0f}% of the seeds after 50 steps at p = 0.9" in page
    right = (at_one["other_p"] <= 1e-3).groupby(at_one["remedy"]).mean()
    assert f"{100 * right['50 steps at p = 0.9']:.0f}% after a curriculum from p = 0.9" in page


def test_what_is_said_of_growth_curricula_and_costs_is_in_the_results():
    page = " ".join(PAGES["docs/symmetry.md"].split())
    growth, escape, curriculum, costs = (
        pd.read_csv(ROOT / "docs" / "results" / f"{name}.csv")
        for name in ("growth", "escape", "curriculum", "symmetry_costs")
    )
    slow = growth[(growth["η"] == 0.03) & (growth["t"] >= 7)]
    assert (slow["estimate"] - 1).abs().max() < 0.0025
    fast = growth[growth["η"] == 1]
    assert (fast["estimate"] - 1).abs().max() < 0.34
    assert 13.5 < fast["predicted"].min() < fast["predicted"].max() < 20.5
    for rate, most, (low, high) in ((0.03, 0.002, (2.35, 3.15)), (1.0, 0.09, (0.75, 0.95))):
        chosen = escape[escape["η"] == rate]
        assert (chosen["estimate"] - 1).abs().max() < most
        assert chosen["measured"].between(low, high).all()
    assert (curriculum["estimate"] == 1).all()
    once = curriculum[curriculum["steps"] == 1]
    assert (once["on_parent"] == 0).all()
    assert (once["on_class_of_parent"].min(), once["on_class_of_parent"].max()) == (0.4, 0.95)
    assert (curriculum["on_parent"][(curriculum["first_p"] == 0.9) & (curriculum["steps"] >= 3)] == 1).all()
    optimal = (20 * costs.groupby("remedy")["optimal"].sum()).round().astype(int)
    assert (optimal[["mixed lengths", "N = 98", "3 steps at p = 0.9", "50 steps at p = 0.9"]] == 80).all()
    assert optimal["Muon"] == 79
    none = round(20 * costs.drop_duplicates("p")["optimal_of_none"].sum())
    assert f"80 of 80 [0.95, 1], against {none} of 80 without" in page
    adam = costs[costs["remedy"] == "Adam 1e-7"].set_index("p")["optimal"]
    assert adam.to_dict() == {0.5: 1, 0.7: 1, 0.9: 1, 0.99: 0}
    assert (optimal[["Adam 0.001", "sign", "hinge loss", "all positions", "start 0.01"]] == 0).all()


def test_what_is_said_of_the_relatives_is_in_the_results():
    page, results = " ".join(PAGES["docs/relatives.md"].split()), ROOT / "docs" / "results"
    every = pd.read_csv(results / "relatives.csv")
    random = every["p"] < 1
    optimal = every[random].groupby("relative")["optimal"].sum()
    at_one = every[~random].groupby("relative")[["optimal", "stays"]].sum()
    assert set(optimal.index) == {relative.name for relative in RELATIVES}
    assert "71; 71; 72 of 80" in page
    assert optimal[["paper", "2 heads", "4 heads"]].tolist() == [71, 71, 72]
    assert optimal["2 heads from 1e-6"] == 67
    assert (optimal[["no positions", "one-hot positions", "one-hot for 2000 steps"]] == 0).all()
    assert (optimal[["sines of M = 48", "random positions", "added sines", "added at η = 0.001"]] == 0).all()
    assert optimal[["random at η = 0.001", "random tokens of E = 64", "random tokens of E = 6"]].tolist() == [76, 7, 0]
    stay = ["paper", "2 heads", "4 heads", "no positions", "one-hot positions", "one-hot for 2000 steps"]
    assert at_one.index[at_one["stays"] == 20].sort_values().tolist() == sorted(stay)
    assert (at_one["stays"].drop(stay) == 0).all()
    learn = ["2 heads from 1e-6", "sines of M = 48", "random positions", "random at η = 0.001"]
    assert (at_one["optimal"][learn] == 20).all()
    assert at_one["optimal"][
        ["random tokens of E = 64", "random tokens of E = 6", "added sines", "added at η = 0.001"]
    ].tolist() == [13, 0, 0, 0]
    assert not every["parent"][random & every["relative"].isin(["sines of M = 48", "random positions"])].any()
    assert every["equal_heads"][every["relative"].isin(["2 heads", "4 heads"])].all()
    share = every["parent"][random & (every["relative"] == "random at η = 0.001")].mean()
    assert f"in {100 * share:.0f}% of the seeds of the draw above" in page

    assert "not one of 160 seeds attends to the parent" in page
    assert (random & every["relative"].isin(["sines of M = 48", "random positions"])).sum() == 160

    draws = pd.read_csv(results / "relatives_positions.csv")
    right = (draws["lag"] == draws["predicted"]).astype(float)
    of_draws = mean_interval(right.groupby([draws["width"], draws["draw"]]).mean().to_numpy())
    assert f"{right.sum():.0f} of 320 runs; the mean share of 40 draws" in page
    assert f"0.93 [{of_draws.low:.2f}, {of_draws.high:.2f}]" in page
    on_parent = draws.groupby(["width", "rate"])["parent"].sum()
    assert f"in {on_parent[1000, 0.001]} of 40 runs over ten draws at M = 1,000" in page
    assert f"it takes M = 16,000 for {on_parent[16000, 1.0]} of 40" in page

    decoders = pd.read_csv(results / "relatives_decoder.csv")
    found = decoders[decoders["p"] < 1].groupby("relative")["optimal"].sum()
    assert set(found.index) == {relative.name for relative in OF_DECODERS}
    named = ["paper", "keys and queries", "all positions", "residual stream", "everything"]
    assert found[named].tolist() == [24, 48, 67, 78, 80]
    assert all(f"{count} of 80" in page for count in found[named])
    reads = decoders["value_error"][decoders["optimal"] & (decoders["p"] < 1)] <= 0.5
    has_stream = decoders["relative"].isin([each.name for each in OF_DECODERS if each.changes.get("residual") == "on"])
    assert (reads[~has_stream].sum(), (~has_stream).reindex(reads.index).sum()) == (178, 267)
    assert (reads[has_stream].sum(), has_stream.reindex(reads.index).sum()) == (3, 529)
    lost = pd.read_csv(results / "relatives_without_attention.csv").groupby("relative")["lost"].mean()
    assert "loses 0.44 of its accuracy at p = 0.9, 0.03 with a feed-forward layer, and nothing with all parts" in page
    assert lost[["residual stream", "feed-forward", "everything"]].round(2).tolist() == [0.44, 0.03, 0]
    heads = pd.read_csv(results / "relatives_ablation.csv")
    same = [
        seed["lost"].argmax() == seed["on_parent"].argmax()
        for _, seed in heads[heads["relative"] == "2 layers"].groupby("seed")
    ]
    share = rate_interval(np.array(same))
    assert f"{sum(same)} of 20 [{share.low:.2f}, {share.high:.2f}]" in page

    depth = pd.read_csv(results / "relatives_depth.csv").groupby(["relative", "task", "p"])["gap"].agg(list)
    for (relative, task, _), of_seeds in depth.items():
        mean, low, high, _ = mean_interval(np.array(of_seeds))
        if task == "hidden_direction":
            assert f"{mean:.3f} [{low:.3f}, {high:.3f}]" in page
        elif relative == "1 layer with 1 head":
            assert mean <= 0.0004
    tasks = pd.read_csv(results / "relatives_tasks.csv")
    gaps = tasks.groupby(["task", "p", "relative"])["gap"].mean()
    for name, task in (
        ("hidden direction", "hidden_direction"),
        ("persistent", "persistent"),
        ("lagged by 3", "lagged"),
    ):
        for p in (0.7, 0.9):
            row = " | ".join(f"{gaps[task, p, relative.name]:.3f}" for relative in OF_TASKS)
            assert f"| {name}, p = {p} | {row} |" in page
    assert tasks["optimal"][tasks["p"] == 1].all()
    assert not tasks["optimal"][(tasks["task"] == "hidden_direction") & (tasks["p"] < 1)].any()
    hidden = tasks[(tasks["task"] == "hidden_direction") & (tasks["p"] == 0.9)].pivot(
        index="seed", columns="relative", values="gap"
    )
    for other, words in (("2 layers with 1 head", "a second layer"), ("1 layer with 2 heads", "a second head")):
        worth = mean_interval((hidden["1 layer with 1 head"] - hidden[other]).to_numpy())
        assert (
            f"{words} {'is worth ' if 'layer' in words else ''}{worth.mean:.3f} [{worth.low:.3f}, {worth.high:.3f}]"
            in page
        )
    lagged = tasks[tasks["task"] == "lagged"]
    assert f"In {lagged['parent'].sum()} of {len(lagged)} runs a head ends on the token" in page
    assert f"trains {len(every) + len(draws) + len(decoders) + len(tasks):,} runs" in page


def test_the_table_of_metrics_is_the_table_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (\w+) \|$", PAGES["docs/runs.md"], re.MULTILINE)
    assert {name: (what.replace("\\|", "|"), unit) for name, what, unit in rows} == {
        name: (metric.about, LOSSES["log"].unit if name == "train_loss" else metric.unit)
        for name, metric in METRICS.items()
    }


def test_the_axes_are_those_of_the_code():
    listed = re.search(r"These can be axes:\n(.*?)\.\n", PAGES["docs/sweeps.md"], re.DOTALL)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed.group(1)) == list(AXES)


def test_the_run_directory_is_as_listed(folder_with_a_sweep):
    listing = re.search(r"^```\n(config\.json .*?)^```", PAGES["docs/runs.md"], re.DOTALL | re.MULTILINE)
    assert listing is not None
    names = {line.split()[0].rstrip("/") for line in listing.group(1).splitlines()}
    assert names == {path.name for path in (folder_with_a_sweep / "runs" / "sweep").iterdir()}


@pytest.mark.parametrize("page", [*PAGES, "WORKSPACE.md"])
def test_every_linked_file_is_there_and_pictures_are_small(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text()):
        path = (ROOT / page).parent / target
        assert path.is_file(), target
        assert not target.endswith(".png") or path.stat().st_size < 300_000


def test_the_pages_name_only_files_that_are_there():
    for page in (*PAGES, "WORKSPACE.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text()
        for path in re.findall(
            r"(?<![\w/])(?:rw_jax|configs|scripts|studies|tests|docs)/[\w/]+\.(?:py|sh|md|csv|png)\b", text
        ):
            assert (ROOT / path).is_file(), f"{page} names {path}"


class Loaded(HTMLParser):
    """What a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.found.append(given.get("href") or "")


def test_the_site_is_built_without_warnings_and_loads_nothing_from_the_network(tmp_path):
    pytest.importorskip("mkdocs", reason="needs requirements-docs.txt")
    done = subprocess.run(
        ["bash", "scripts/site.sh", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, env=os.environ | {"NOTEBOOKS": "unexecuted"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(PAGES)
    for page in pages:
        parser = Loaded()
        parser.feed(page.read_text())
        assert not [address for address in parser.found if re.match(r"(https?:)?//", address)], page.name
    api = (tmp_path / "site" / "api.html").read_text()
    for name in ("value_matrix", "groups", "success_over", "precondition", "host_values", "is_linear"):
        assert name in api
