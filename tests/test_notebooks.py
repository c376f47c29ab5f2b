"""Each notebook of docs/notebooks runs from its first cell to its last, and what it asserts of its numbers holds."""

import re
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="needs requirements-docs.txt")
nbclient = pytest.importorskip("nbclient", reason="needs requirements-docs.txt")
pytest.importorskip("ipykernel", reason="needs requirements-docs.txt")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parent.parent
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "docs" / "notebooks").glob("*.py"))}


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_without_a_warning_draws_its_figures_and_leaves_no_file(name, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "here").mkdir()
    notebook = jupytext.read(NOTEBOOKS[name])
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import warnings\nwarnings.simplefilter('error')"))
    nbclient.execute(notebook, cwd=tmp_path / "here", kernel_name="python3", timeout=600)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert 1 <= len(figures) <= 2
    assert not [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not list((tmp_path / "here").iterdir())
    assert list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_has_a_title_and_a_number_of_seeds_asserts_what_it_says_and_is_listed(name):
    text = NOTEBOOKS[name].read_text()
    assert re.match(r"# %% \[markdown\]\n# # \w", text)
    assert len(re.findall(r"^SEEDS = \d+", text, re.MULTILINE)) == 1
    assert re.search(r"^\s*assert ", text, re.MULTILINE)
    assert f"(notebooks/{name}.py)" in (ROOT / "docs" / "notebooks.md").read_text()
    assert f"notebooks/{name}.md" in (ROOT / "mkdocs.yml").read_text()
    beside = {path.suffix for path in NOTEBOOKS[name].parent.iterdir() if not path.name.startswith((".", "__"))}
    assert beside == {".py"}  # no outputs
