"""What a study trains: every sweep has a config, whole and quick, before anything is trained."""

import pytest

import rw_jax
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid
from studies.__main__ import STUDIES, parse
from studies.sweeps import FromFile, StudyCommand
from tests.made_up import ROOT


@pytest.mark.parametrize("name", STUDIES)
def test_every_sweep_can_be_planned_and_is_smaller_where_it_is_quick(name, tmp_path):
    study, asked = parse([name, f"--workdir={tmp_path / 'new'}"])
    for sweep in study.sweeps:
        assert callable(sweep.planned(asked._replace(is_quick=True)))
        if isinstance(sweep, FromFile):
            whole, quick = (sweep.config(asked._replace(is_quick=is_quick)) for is_quick in (False, True))
            assert Grid(quick).num_cells * quick.training.steps <= Grid(whole).num_cells * whole.training.steps
    assert not list(tmp_path.iterdir())


def test_a_sweep_is_that_of_its_file_with_its_change_and_its_pieces_are_found_beside_the_file(tmp_path):
    piece = "../../configs/pieces/gradient_flow.py:gradient_flow"
    file = tmp_path / "a" / "configs" / "mine.py"
    file.parent.mkdir(parents=True)
    (tmp_path / "configs" / "pieces").mkdir(parents=True)
    text = (ROOT / "configs" / "pieces" / "gradient_flow.py").read_text()
    (tmp_path / "configs" / "pieces" / "gradient_flow.py").write_text(text)
    file.write_text(
        "import rw_jax\n\n\ndef get_config():\n    config = rw_jax.base_config()\n    config.task.walk_length = 6\n"
        "    config.task.walks = config.task.test_walks = 20\n    config.model.position_width = 8\n"
        f"    config.training.optimizer = {piece!r}\n    return config\n"
    )

    def quick(config):
        config.training.steps = 2

    def change(config):
        config.task.p = 0.9

    sweep = FromFile(name="mine", file=file, quick=quick, change=change)
    assert sweep.config(StudyCommand(tmp_path)) == from_config_dict(rw_jax.read_config(file)).replace(p=0.9)
    run = sweep.planned(StudyCommand(tmp_path / "runs", is_quick=True))()
    assert (run.config.training.steps, run.config.task.p) == (2, 0.9)
    assert rw_jax.load_run(tmp_path / "runs" / "mine").steps == (0, 1, 2)
