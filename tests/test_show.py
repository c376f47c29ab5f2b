"""The table of a run directory that is still trained."""

import rw_jax
from rw_jax import show
from tests.tiny import tiny_study


def test_watching_prints_the_table_anew_whenever_runs_are_finished_and_ends_with_the_last(tmp_path, capsys):
    small, whole = tiny_study(seed=(0,)), tiny_study(seed=(0, 1, 2))
    rw_jax.sweep(small, tmp_path / "run")
    run_dir = rw_jax.load_run(tmp_path / "run").run_dir
    kept = run_dir.config_file.read_text()
    rw_jax.sweep(whole, tmp_path / "whole")
    assert show.parse(["show", "--watch", str(tmp_path / "run")]) == ([str(tmp_path / "run")], True)
    show.watch([str(tmp_path / "run")], wait=None)  # all is finished: there is nothing to wait for
    assert capsys.readouterr().out.startswith("\n1 of 1 runs\n")

    # As a sweep leaves it that has one of its three runs: the config of all, and the chunk of one.
    run_dir.config_file.write_text((tmp_path / "whole" / "config.json").read_text())
    run_dir.metrics_file.unlink()
    waited = []

    def wait(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            run_dir.config_file.write_text(kept)
            rw_jax.sweep(whole, tmp_path / "run")

    show.watch([str(tmp_path / "run")], wait)
    printed = capsys.readouterr().out
    assert len(waited) == 2
    assert [line for line in printed.splitlines() if " of 3 runs" in line] == ["1 of 3 runs", "3 of 3 runs"]
    assert "After the last step, over seeds" in printed
