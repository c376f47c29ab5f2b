"""The wings: imports only point down, and what is light stays light."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE, STUDIES = ROOT / "rw_jax", ROOT / "studies"
WINGS = ("study", "tasks", "models", "theory", "training", "store", "analysis", "explorer", "sweeps")
"""From the lowest to the highest; above them are the command lines."""
COMMAND_LINES = ("command_line", "ending", "main", "show", "explore", "verify")
HEAVY = ("jax", "flax", "optax", "orbax", "pandas", "xarray", "matplotlib", "bokeh")


def imported(path: Path, package: str = "rw_jax") -> set[str]:
    """The modules of a package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == package}
    return found


def wings_of(modules: set[str]) -> set[str]:
    return {module.split(".")[1] for module in modules if module.count(".")}


def test_every_file_of_the_package_is_in_a_wing_or_a_command_line():
    names = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert names == {*WINGS, *COMMAND_LINES, "__init__"}


@pytest.mark.parametrize("wing", WINGS)
def test_imports_of_a_wing_point_down_the_list(wing):
    allowed = set(WINGS[: WINGS.index(wing) + 1])
    for path in (PACKAGE / wing).rglob("*.py"):
        upward = wings_of(imported(path)) - allowed
        assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


def test_the_study_imports_nothing_of_the_other_wings_and_tasks_nothing_but_its_errors():
    for path in (PACKAGE / "tasks").rglob("*.py"):
        from_the_study = {module for module in imported(path) if module.startswith("rw_jax.study")}
        assert from_the_study <= {"rw_jax.study.errors", "rw_jax.study.errors.ConfigError", "rw_jax.study.errors.meant"}


def test_nothing_in_the_package_imports_a_study():
    for path in PACKAGE.rglob("*.py"):
        assert not imported(path, "studies"), path


def private(path: Path) -> set[str]:
    """The private names of rw_jax that a file imports."""
    return {module for module in imported(path) if any(part.startswith("_") for part in module.split(".")[1:])}


def test_studies_import_no_private_names_and_no_study_another():
    shared = {path.stem for path in STUDIES.glob("*.py")}
    for path in STUDIES.rglob("*.py"):
        assert not private(path) - {"rw_jax.__version__"}, path
        own = path.relative_to(STUDIES).parts[0]
        rooms = {module.split(".")[1] for module in imported(path, "studies") if module.count(".")}
        if path.parent != STUDIES:
            assert rooms <= shared | {own}, path


def test_imports_of_studies_go_round_in_no_circle():
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in STUDIES.rglob("*.py")}
    known = set(names.values())
    graph = {name: imported(path, "studies") & known for path, name in names.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def loads(code: str) -> set[str]:
    """The heavy packages that a program loads."""
    check = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_and_its_config_load_nothing_heavy_until_it_is_used():
    assert loads("import rw_jax") == set()
    config = "import rw_jax; rw_jax.base_config(); rw_jax.read_config('configs/starts.py'); rw_jax.ConfigError"
    assert loads(config) == set()
    assert "jax" in loads("import rw_jax; rw_jax.load_run")
    assert "matplotlib" not in loads("import rw_jax.main"), "runs are trained first"


def test_public_names_are_there_and_others_are_refused_in_a_sentence():
    import rw_jax

    for name in rw_jax.__all__:
        assert getattr(rw_jax, name) is not None
    with pytest.raises(AttributeError, match="rw_jax has no swep; it has ConfigError"):
        _ = rw_jax.swep


def test_a_config_file_works_wherever_it_lies_and_from_whatever_folder(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import rw_jax\n\n\ndef get_config():\n    config = rw_jax.base_config()\n    config.name = 'mine'\n"
        "    config.task.walk_length, config.model.position_width, config.training.steps = 6, 8, 2\n    return config\n"
    )
    command = [sys.executable, "-m", "rw_jax.main", "--config=mine.py", "--dry_run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 of 1 runs to train")


def imports_of_files() -> dict[str, set[str]]:
    """For each file of the package, by its module, those that it imports: in functions and for types, too."""
    files = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    imports: dict[str, set[str]] = {module: set() for module in files}
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                imports[module] |= {name if name in files else str(node.module) for name in names}
            elif isinstance(node, ast.Import):
                imports[module] |= {alias.name for alias in node.names}
    return {module: names & set(files) - {module} for module, names in imports.items()}


def circle_in(imports: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next, and the last the first; empty if there is no such circle."""
    done: set[str] = set()

    def search(path: list[str]) -> list[str]:
        for module in sorted(imports[path[-1]] - done):
            found = path[path.index(module) :] if module in path else search([*path, module])
            if found:
                return found
        done.add(path[-1])
        return []

    return next(filter(None, (search([module]) for module in sorted(imports) if module not in done)), [])


def test_a_circle_of_imports_is_found():
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": {"d"}, "d": {"b"}, "e": set()}) == ["b", "c", "d"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_files_import_each_other_in_a_circle_not_even_in_a_function_or_for_types():
    imports = imports_of_files()
    assert {"rw_jax.analysis.summary", "rw_jax.analysis.replay"} <= imports["rw_jax.analysis.run"]
    assert not circle_in(imports)
