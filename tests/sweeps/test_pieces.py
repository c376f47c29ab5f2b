"""Pieces of the user's own: as objects through train, and by name through a sweep, killed and resumed."""

import contextlib
import dataclasses
import shutil
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rw_jax
from rw_jax import Model, Output, Task, Walks
from rw_jax.store import chunks
from rw_jax.sweeps import program
from rw_jax.sweeps.starts import read_start
from rw_jax.training import grids, pins
from rw_jax.training.pieces import Pieces
from rw_jax.training.pins import pin
from tests.tiny import assert_sentence, contents, stored_records, tiny_study

PIECES = '''
import pathlib

import jax
import jax.numpy as jnp
import optax
from rw_jax import Model, Output, Task, Walks

if (log := pathlib.Path(__file__).with_name("executed")).is_absolute():
    log.write_text("executed")


def back(num_nodes, walk_length, lag):
    """The target is the token so many before the end."""

    def sample(key, num_walks, values):
        tokens_LxB = jax.random.randint(key, (walk_length - 1, num_walks), 0, num_nodes)
        return Walks(tokens_LxB, tokens_LxB[-lag], jnp.ones(num_walks))

    return Task(num_nodes, walk_length, sample, parent=lag)


def table(num_nodes):
    """A model without attention or V: outputs by the last token."""
    return Model(
        init=lambda key, values: {"table": jnp.zeros((num_nodes, num_nodes))},
        apply=lambda params, tokens_LxB: Output(params["table"][:, tokens_LxB[-1]]),
    )


def distance(output_K, target_K, values):
    return jnp.sum(jnp.abs(output_K - target_K) ** 3)


def adam(values):
    return optax.adam(values["learning_rate"])


def adam_with(b1):
    from rw_jax import Optimizer
    return Optimizer(lambda values: optax.adam(values["learning_rate"], b1=b1))


number = 3


def nothing(num_nodes):
    return None


def narrow(num_nodes, walk_length):
    def sample(key, num_walks, values):
        return Walks(jnp.zeros((walk_length, num_walks), int), jnp.zeros(num_walks, int), jnp.ones(num_walks))
    return Task(num_nodes, walk_length, sample)


def failing(num_nodes, walk_length):
    return Task(num_nodes, walk_length, lambda key, num_walks, values: values["temperature"])
'''


def two_back(num_nodes: int = 4, walk_length: int = 6) -> Task:
    """The target is the token two before it."""

    def sample(key, num_walks, values):
        tokens_LxB = jax.random.randint(key, (walk_length - 1, num_walks), 0, num_nodes)
        return Walks(tokens_LxB, tokens_LxB[-2], jnp.ones(num_walks))

    return Task(num_nodes, walk_length, sample, parent=2)


def last_token(num_nodes: int = 4) -> Model:
    """A model without attention or V."""
    return Model(
        init=lambda key, values: {"table": jnp.zeros((num_nodes, num_nodes))},
        apply=lambda params, tokens_LxB: Output(params["table"][:, tokens_LxB[-1]]),
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces" / "mine.py").write_text(PIECES)
    return tmp_path / "pieces"


def study(fields, **axes):
    return tiny_study(fields={"execution.cells_per_chunk": 2, **fields}, **axes)


def refusal(config, folder: Path) -> str:
    """The sentence by which a study with pieces is refused; nothing is written."""
    with pytest.raises(rw_jax.ConfigError) as refused:
        rw_jax.sweep(config, folder / "run", [folder])
    assert_sentence(str(refused.value))
    assert not (folder / "run").exists()
    return str(refused.value)


STUDIES = {
    "task": study({"task.name": "mine.py:back", "task.options.lag": 1}, lag=(1, 2), seed=(0, 1)),
    "model": study({"model.form": "mine.py:table"}, p=(0.5, 0.9), seed=(0, 1)),
    "loss": study({"training.loss": "mine.py:distance"}, learning_rate=(0.1, 0.2), seed=(0, 1)),
    "optimizer": study(
        {"training.optimizer": "mine.py:adam", "model.form": "full", "execution.checkpoint_steps": 2},
        learning_rate=(0.01, 0.02),
        seed=(0, 1),
    ),
}


@contextlib.contextmanager
def killed_at_save(number: int):
    """The process is interrupted instead of the save of this number, counted from 0."""
    save, saves = chunks.save, []

    def save_or_leave(*what):
        if len(saves) == number:
            raise KeyboardInterrupt
        saves.append(what)
        return save(*what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "save", save_or_leave)
        yield


def test_a_task_and_a_model_as_objects_go_through_train():
    run = rw_jax.train(tiny_study(fields={"training.steps": 30, "training.learning_rate": 1.0}), task=two_back())
    assert float(run.metrics["parent_attention"][-1]) > 0.9  # the token two before the target
    assert "expected_accuracy" not in run.metrics  # no law of the next state is known
    run = rw_jax.train(tiny_study(), model=last_token(), p=0.9, learning_rate=1.0)
    assert set(run.params()) == {"table"}
    assert "parent_attention" not in run.metrics
    assert "value_direction_error" not in run.metrics
    assert float(run.metrics["accuracy"][-1]) > 0.7


@pytest.mark.slow
def test_a_loss_and_an_optimizer_as_objects_go_through_train():
    plain = rw_jax.train(tiny_study())
    cubed = rw_jax.train(tiny_study(), loss=lambda output_K, target_K, values: jnp.sum(output_K - target_K) ** 2)
    assert (cubed.metrics["train_loss"] != plain.metrics["train_loss"]).all()
    kept = tiny_study(fields={"record.parameters": (1,)})
    adam = rw_jax.train(kept, form="full", optimizer=lambda values: optax.adam(values["learning_rate"]))
    first = np.abs(adam.value_matrix(step=1))
    np.testing.assert_allclose(first[first > 0], 0.5, rtol=1e-5)  # its rate, whatever the gradient


def test_a_task_of_ones_own_sets_the_sizes():
    run = rw_jax.train(tiny_study(fields={"model.position_width": 12}), task=two_back(7, 9))
    assert run.value_matrix().shape == (7, 7)
    assert run.mean_attention().shape == (9,)


@pytest.mark.parametrize("piece", ["task", "model", "loss", "optimizer"])
@pytest.mark.slow
@pytest.mark.parametrize("saves", [0, 1])
def test_a_sweep_of_named_pieces_that_is_killed_is_resumed_to_the_same_bits(piece, saves, folder, tmp_path):
    whole = rw_jax.sweep(STUDIES[piece], tmp_path / "whole", [folder])
    with killed_at_save(saves), pytest.raises(KeyboardInterrupt):
        rw_jax.sweep(STUDIES[piece], tmp_path / "killed", [folder])
    resumed = rw_jax.sweep(STUDIES[piece], tmp_path / "killed", [folder])
    assert stored_records(tmp_path / "killed") == stored_records(tmp_path / "whole")
    assert resumed.metrics.identical(whole.metrics)
    assert whole.metrics["finished"].all()


@pytest.mark.parametrize("kills", [pytest.param(kills, marks=pytest.mark.slow) for kills in (1, 2, 3)])
def test_adam_on_the_full_form_is_resumed_in_the_midst_of_a_training_to_the_same_bits(kills, folder, tmp_path):
    whole = rw_jax.sweep(STUDIES["optimizer"], tmp_path / "whole", [folder])
    with killed_at_save(kills), pytest.raises(KeyboardInterrupt):
        rw_jax.sweep(STUDIES["optimizer"], tmp_path / "killed", [folder])
    assert kills == 3 or list((tmp_path / "killed" / "unfinished").iterdir())
    rw_jax.sweep(STUDIES["optimizer"], tmp_path / "killed", [folder])
    assert stored_records(tmp_path / "killed") == stored_records(tmp_path / "whole")
    assert (whole.metrics["train_loss"].isel(step=-1) < whole.metrics["train_loss"].isel(step=0)).all()


@pytest.mark.slow
def test_adam_on_the_full_form_continues_after_its_end_to_the_bits_of_a_training_in_one_go(folder, tmp_path):
    shorter, longer = STUDIES["optimizer"], STUDIES["optimizer"].replace(steps=9)
    rw_jax.sweep(shorter, tmp_path / "run", [folder])
    continued = rw_jax.sweep(longer, tmp_path / "run", [folder])
    rw_jax.sweep(longer, tmp_path / "whole", [folder])
    assert continued.environment["runs"] == 4
    assert stored_records(tmp_path / "run") == stored_records(tmp_path / "whole")


def test_adam_on_the_reduced_form_is_refused_in_a_sentence_that_names_the_full_form(folder, tmp_path):
    with pytest.raises(rw_jax.ConfigError, match=r"is mine\.py:adam, but .* --config\.model\.form=full") as refused:
        rw_jax.sweep(study({"training.optimizer": "mine.py:adam"}), tmp_path / "run", [folder])
    assert_sentence(str(refused.value))
    assert not (tmp_path / "run").exists()


def test_a_piece_whose_text_has_changed_is_refused_in_a_sentence_and_nothing_is_written(folder, tmp_path):
    rw_jax.sweep(STUDIES["task"], tmp_path / "run", [folder])
    before = contents(tmp_path / "run")
    (folder / "mine.py").write_text(PIECES + "\n# changed\n")
    with pytest.raises(rw_jax.ConfigError, match=r"another text of task\.name = 'mine\.py:back'") as refused:
        rw_jax.sweep(STUDIES["task"], tmp_path / "run", [folder])
    assert_sentence(str(refused.value))
    assert contents(tmp_path / "run") == before


def test_a_metric_whose_text_has_changed_is_named_and_arms_that_may_be_renamed_are_not(tmp_path):
    own = "def largest(output_KxB):\n    return output_KxB.max()\n"
    (tmp_path / "own.py").write_text(own)

    def study(arm, every=1):
        fields = {"record.metrics": ("train_loss", "own.py:largest"), "record.every": every}
        return tiny_study(fields=fields, arm={arm: {}, "slow": {"learning_rate": 0.1}})

    rw_jax.sweep(study("paper"), tmp_path / "run", [tmp_path])
    (tmp_path / "own.py").write_text(own + "# changed\n")
    with pytest.raises(rw_jax.ConfigError, match=r"another text of record\.metrics = 'own\.py:largest'") as refused:
        rw_jax.sweep(study("of the paper"), tmp_path / "run", [tmp_path])
    assert_sentence(str(refused.value))
    (tmp_path / "own.py").write_text(own)
    with pytest.raises(rw_jax.ConfigError, match=r"the directory has record\.every") as refused:
        rw_jax.sweep(study("other", every=2), tmp_path / "run", [tmp_path])
    assert "arm" not in str(refused.value)


def test_a_run_with_pieces_is_looked_at_without_executing_them_until_walks_are_asked_for(folder, tmp_path, monkeypatch):
    run = rw_jax.sweep(STUDIES["task"], tmp_path / "run", [folder])
    tokens, _ = run.walks("test", lag=2, seed=1)
    shutil.rmtree(folder)

    def refuse(*_):
        raise RuntimeError("executed")

    monkeypatch.setattr(pins, "_executed", refuse)
    again = rw_jax.load_run(tmp_path / "run")
    assert again.metrics.identical(run.metrics)
    assert again.value_matrix(lag=2, seed=1).shape == (4, 4)
    assert [group.labels for group in again.groups()] == [{"lag": 1}, {"lag": 2}]
    assert again.params(task="mine.py:back", lag=1, seed=0)
    with pytest.raises(rw_jax.ConfigError, match="RuntimeError: executed"):
        again.walks("test", lag=2, seed=1)
    monkeypatch.undo()
    np.testing.assert_array_equal(rw_jax.load_run(tmp_path / "run").walks("test", lag=2, seed=1)[0], tokens)
    (piece,) = (tmp_path / "run" / "pieces").iterdir()
    piece.write_text(piece.read_text() + "x = 1\n")
    with pytest.raises(rw_jax.ConfigError, match="is not kept with the run, as its text was"):
        rw_jax.load_run(tmp_path / "run").walks("test", lag=2, seed=1)


PIECES_THAT_DO_NOT_DO = [
    ({"task.name": "nowhere.py:task"}, "nowhere.py is in none of"),
    ({"task.name": "no.such.module:task"}, "no.such.module is not installed"),
    ({"task.name": "mine.py:missing"}, "mine.py has no attribute 'missing'"),
    (
        {"task.name": "mine.py:back"},
        "task.options.lag must be given for task.name = mine.py:back, as in --config.task.options.lag",
    ),
    ({"task.name": "mine.py:back", "task.options.lag": 1, "task.options.lga": 2}, "no piece of the study has"),
    (
        {"task.name": "mine.py:number"},
        "task.name is mine.py:number, which is 3, but must be a Task, or a function that makes one",
    ),
    ({"task.name": "mine.py:nothing"}, "makes NoneType, but must make a Task"),
    ({"task.name": "mine.py:narrow"}, "task.sample gives tokens_LxB of shape (6, 2), but must give (5, 2)"),
    ({"task.name": "mine.py:failing"}, "task.sample does not work (KeyError: 'temperature')"),
    ({"task.options.lag": 1}, "no piece of the study has a parameter lag"),
    ({"task.name": "mine.py:back", "task.options.lag": 1, "task.walks": "all"}, "cannot be enumerated"),
    ({"model.form": "mine.py:number"}, "must be a Model"),
]


@pytest.mark.parametrize(("fields", "words"), PIECES_THAT_DO_NOT_DO)
def test_pieces_that_do_not_do_are_refused_in_a_sentence_and_nothing_is_written(fields, words, folder, tmp_path):
    assert words in refusal(study(fields), folder)


def test_parameters_of_a_piece_are_given_to_the_function_that_makes_it(folder, tmp_path):
    fields = {"training.optimizer": "mine.py:adam_with", "training.options.b1": 0.9, "model.form": "full"}
    run = rw_jax.sweep(study(fields, b1=(0.0, 0.9)), tmp_path / "run", [folder])
    assert run.metrics["train_loss"].dims == ("b1", "step")
    assert (run.metrics["train_loss"].sel(b1=0.0, step=5) != run.metrics["train_loss"].sel(b1=0.9, step=5)).all()


@pytest.mark.slow
def test_a_piece_of_a_module_that_is_installed_is_found_by_its_name(tmp_path):
    name = "rw_jax.training.optimizers:gradient_descent"
    run = rw_jax.sweep(study({"training.optimizer": name}), tmp_path / "run")
    plain = rw_jax.sweep(study({}), tmp_path / "plain")
    np.testing.assert_array_equal(run.metrics["train_loss"], plain.metrics["train_loss"])


FAMILIES = textwrap.dedent('''
    import jax
    import jax.numpy as jnp
    import numpy as np
    from rw_jax import Law, Task, Walks


    def chain(num_nodes, walk_length):
        """Walks of a chain whose matrix is a value."""

        def host_values(labels):
            ring = np.roll(np.eye(num_nodes), 1, axis=1)
            return {"transition_KxK": ring if labels["family"] == "ring" else np.full_like(ring, 1 / num_nodes)}

        def sample(key, num_walks, values):
            first_key, *keys = jax.random.split(key, walk_length)
            states = [jax.random.randint(first_key, (num_walks,), 0, num_nodes)]
            for each in keys:
                states.append(jax.random.categorical(each, jnp.log(values["task"]["transition_KxK"])[states[-1]]))
            return Walks(jnp.stack(states[:-1]), states[-1], jnp.ones(num_walks))

        def law(values):
            return Law(jnp.full(num_nodes, 1 / num_nodes), values["task"]["transition_KxK"])

        return Task(num_nodes, walk_length, sample, law=law, host_values=host_values, value_options=("family",))
''')


@pytest.mark.slow
def test_two_matrices_as_values_share_one_compiled_program_and_give_walks_of_their_own(folder, tmp_path, monkeypatch):
    (folder / "families.py").write_text(FAMILIES)
    made, make = [], program.make_training
    monkeypatch.setattr(program, "make_training", lambda *what: made.append(what) or make(*what))
    fields = {"task.name": "families.py:chain", "task.options.family": "ring"}
    run = rw_jax.sweep(study(fields, family=("ring", "complete"), seed=(0, 1)), tmp_path / "run", [folder])
    assert len(made) == 1
    tokens, targets = run.walks("test", family="ring", seed=0)
    np.testing.assert_array_equal((tokens[:, -1] + 1) % 4, targets)
    tokens, targets = run.walks("test", family="complete", seed=0)
    assert not ((tokens[:, -1] + 1) % 4 == targets).all()
    np.testing.assert_array_equal(run.transition_matrix(family="ring", seed=0), np.roll(np.eye(4), 1, axis=1))
    assert run.metrics["value_direction_error"].sel(step=5).notnull().all()


@pytest.mark.parametrize("name", ["learning_rate", "seed"])
def test_a_function_that_makes_a_piece_cannot_take_what_differs_from_run_to_run(name, folder, tmp_path):
    (folder / "rate.py").write_text(
        f"import optax\nimport rw_jax\n\n\ndef sgd({name}):\n"
        f"    return rw_jax.Optimizer(lambda values: optax.sgd({name}), True)\n"
    )
    with pytest.raises(rw_jax.ConfigError, match=f"must take it from values\\['{name}'\\]") as refused:
        rw_jax.sweep(study({"training.optimizer": "rate.py:sgd"}, learning_rate=(0.0, 1.0)), tmp_path / "run", [folder])
    assert_sentence(str(refused.value))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_parameter_that_is_a_tuple_is_found_again(folder, tmp_path):
    text = PIECES.replace("[-lag]", "[-parts[0]]").replace("parent=lag", "parent=parts[0]").replace("lag)", "parts)")
    (folder / "tuples.py").write_text(text)
    fields = {"task.name": "tuples.py:back", "task.options.parts": (1, 2, 3), "execution.cells_per_chunk": 4}
    run = rw_jax.sweep(study(fields, seed=(0, 1, 2)), tmp_path / "run", [folder])
    assert run.metrics["finished"].all()
    assert rw_jax.sweep(study(fields, seed=(0, 1, 2)), tmp_path / "run", [folder]).metrics.identical(run.metrics)
    with pytest.raises(rw_jax.ConfigError, match="each label must be a number or a word"):
        study(fields, parts=((1, 2), (2, 3)))
    with pytest.raises(rw_jax.ConfigError, match="radius is nan"):
        study({"task.name": "tuples.py:back", "task.options.radius": float("nan")})


@pytest.mark.slow
def test_a_module_that_has_changed_since_it_was_loaded_is_refused_in_a_sentence(tmp_path, monkeypatch):
    text = "import jax.numpy as jnp\n\n\ndef loss(output_K, target_K, values):\n    return 1.0 * jnp.sum(target_K)\n"
    (tmp_path / "module_of_losses.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    first = rw_jax.train(tiny_study(), loss="module_of_losses:loss")
    assert float(first.metrics["train_loss"][0]) == 1.0
    (tmp_path / "module_of_losses.py").write_text(text.replace("1.0", "2.0"))
    with pytest.raises(rw_jax.ConfigError, match="begin a new process") as refused:
        rw_jax.train(tiny_study(), loss="module_of_losses:loss")
    assert_sentence(str(refused.value))


def test_a_module_in_a_package_is_found_without_executing_the_package(tmp_path, monkeypatch):
    (tmp_path / "package_of_pieces" / "inner").mkdir(parents=True)
    for folder in ("package_of_pieces", "package_of_pieces/inner"):
        (tmp_path / folder / "__init__.py").write_text("raise SystemExit('executed')\n")
    (tmp_path / "package_of_pieces" / "inner" / "losses.py").write_text("")
    (tmp_path / "no_package").mkdir()
    (tmp_path / "no_package" / "losses.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("package_of_pieces.inner.losses", "no_package.losses", "rw_jax.training.losses"):
        config = tiny_study(fields={"training.loss": f"{module}:loss"})
        assert pin(config, [], read_start=None).config.training.loss.startswith(f"{module}:loss@")
        assert "package_of_pieces" not in sys.modules
    for module in (
        "package_of_pieces.losses",
        "package_of_pieces.inner.losses.more",
        "nothing.at.all",
        "sys",
        ".losses",
    ):
        with pytest.raises(rw_jax.ConfigError, match="names no module") as refused:
            pin(tiny_study(fields={"training.loss": f"{module}:loss"}), [], read_start=None)
        assert_sentence(str(refused.value))


def test_an_option_named_file_is_a_file_of_a_task_alone(tmp_path):
    (tmp_path / "numbers.csv").write_text("1,0\n0,1\n")
    of_task, of_loss = (
        pin(tiny_study(fields={f"{group}.options.file": "numbers.csv"}), [tmp_path], read_start=None)
        for group in ("task", "training")
    )
    assert list(of_task.texts.values()) == ["1,0\n0,1\n"]
    assert dict(of_loss.config.training.options) == {"file": "numbers.csv"}
    assert of_loss.texts == {}


def test_a_config_that_is_an_object_is_checked_too(tmp_path):
    wrong = dataclasses.replace(tiny_study(), grid=(("p", (2.0,)),))
    with pytest.raises(rw_jax.ConfigError, match=r"grid\.p has the label 2\.0"):
        rw_jax.sweep(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


CHECKED = '''
from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rw_jax import Law, Looks, Model, Optimizer, Output, Task, Walks


@dataclasses.dataclass
class Sizes:
    """Dataclasses find the module that they stand in by its name."""

    length: int


def sample_of(num_nodes, length):
    def sample(key, num_walks, values):
        tokens_LxB = jax.random.randint(key, (length - 1, num_walks), 0, num_nodes)
        return Walks(tokens_LxB, tokens_LxB[-1], jnp.ones(num_walks))
    return sample


def sized(size, length=6):
    return Task(size, Sizes(length).length, sample_of(size, length))


def asks(values):
    return bool(values["p"] > 0.5)


def branches(num_nodes, walk_length):
    def sample(key, num_walks, values):
        return sample_of(num_nodes if values["p"] > 0.5 else 2, walk_length)(key, num_walks, values)
    return Task(num_nodes, walk_length, sample)


def lawless(num_nodes, walk_length):
    return Task(num_nodes, walk_length, sample_of(num_nodes, walk_length), law=lambda values: jnp.ones((4, 4)))


def square_law(num_nodes, walk_length):
    law = lambda values: Law(jnp.ones(num_nodes), jnp.ones((num_nodes, 2)))
    return Task(num_nodes, walk_length, sample_of(num_nodes, walk_length), law=law)


def growing(num_nodes, walk_length):
    return Task(num_nodes, walk_length, sample_of(num_nodes, walk_length), value_options=("size",),
                host_values=lambda labels: {"weights": np.ones(labels["size"])})


def few(num_nodes, walk_length):
    def population(values):
        return Walks(jnp.zeros((walk_length, 3), int), jnp.zeros(3, int), jnp.ones(3))
    return Task(num_nodes, walk_length, sample_of(num_nodes, walk_length), population=population)


def flat(num_nodes):
    return Model(
        init=lambda key, values: {"table": jnp.zeros((num_nodes, num_nodes))},
        apply=lambda params, tokens_LxB: Output(params["table"][:, tokens_LxB[-1]]),
        looks=Looks(value=lambda params: jnp.ones(3)),
    )


def asking(values):
    return optax.sgd(1.0) if values["learning_rate"] > 0 else optax.sgd(0.0)


def rows(value_HxK):
    return jnp.sum(value_HxK, axis=1)


def numbered(num_nodes):
    return Model(
        init=lambda key, values: {0: jnp.zeros((num_nodes, num_nodes))},
        apply=lambda params, tokens_LxB: Output(params[0][:, tokens_LxB[-1]]),
    )


def halving(values):
    return optax.GradientTransformation(lambda params: (), lambda updates, state, params: (updates["value"], state))
'''


PIECES_THAT_DO_NOT_FIT = [
    ({"task.name": "checked.py:branches"}, "task.sample does not work (TracerBoolConversionError"),
    ({"task.name": "checked.py:lawless"}, "task.law gives"),
    ({"task.name": "checked.py:square_law"}, "task.law gives transition_KxK of shape (4, 2), but must give (4, 4)"),
    ({"task.name": "checked.py:few", "task.walks": "all"}, "task.population gives tokens_LxB of shape (6, 3)"),
    ({"model.form": "checked.py:flat"}, "model.looks.value gives 'float32[3]', but must give a matrix V"),
    ({"training.optimizer": "checked.py:asking", "model.form": "full"}, "optimizer does not work"),
    ({"model.form": "checked.py:numbered"}, "model.init gives params[0], but must give arrays by names"),
    ({"training.optimizer": "checked.py:halving", "model.form": "full"}, "optimizer gives updates"),
    ({"record.metrics": ("checked.py:rows",)}, "The metric rows gives an array of shape (4,), but must give one with"),
    ({"task.name": "broken.py:task"}, "broken.py cannot be used (ImportError"),
    ({"task.name": "broken_module:task"}, "broken_module cannot be used (ImportError"),
    ({"task.name": "leaving.py:task"}, "leaving.py cannot be used (SystemExit"),
    ({"task.options.step": 1}, "step is a word that a Run uses itself"),
    ({"task.options.accuracy": 1}, "accuracy is a word that a Run uses itself"),
]


@pytest.mark.parametrize(("fields", "words"), PIECES_THAT_DO_NOT_FIT)
def test_what_a_piece_gives_is_looked_at_before_anything_is_written(fields, words, folder, tmp_path, monkeypatch):
    (folder / "checked.py").write_text(CHECKED)
    (folder / "leaving.py").write_text("raise SystemExit(0)\n")
    for name in ("broken", "broken_module"):
        (folder / f"{name}.py").write_text("from jax import no_such_name\n")
    monkeypatch.syspath_prepend(folder)
    assert words in refusal(study(fields), folder)


@pytest.mark.slow
def test_arrays_of_other_shapes_are_no_values_of_one_program(folder, tmp_path):
    (folder / "checked.py").write_text(CHECKED)
    fields = {"task.name": "checked.py:growing", "task.options.size": 2}
    with pytest.raises(rw_jax.ConfigError, match="must give arrays of the same names and shapes for all runs"):
        rw_jax.sweep(study(fields, size=(2, 3)), tmp_path / "run", [folder])
    assert rw_jax.sweep(study(fields, size=(2,)), tmp_path / "run", [folder]).metrics["finished"].all()


@pytest.mark.slow
def test_sizes_that_a_parameter_decides_are_paired_with_it(folder, tmp_path):
    (folder / "checked.py").write_text(CHECKED)
    fields = {"task.name": "checked.py:sized", "task.options.size": 4, "task.num_nodes": None, "task.walk_length": None}
    run = rw_jax.sweep(study(fields, size=(4, 5), seed=(0, 1)), tmp_path / "run", [folder])
    assert run.config.zipped == (("size", "num_nodes"),)
    assert [run.value_matrix(size=size, seed=0).shape for size in (4, 5)] == [(4, 4), (5, 5)]
    assert run.config.task.walk_length == 6
    both = pin(study({**fields, "task.options.length": 6}, size=(4, 5), length=(6, 7)), [folder], read_start)
    filled = grids.filled(both.config, Pieces(both.texts))
    assert filled.zipped == (("size", "num_nodes"), ("length", "walk_length"))
    assert dict(filled.grid)["walk_length"] == (6, 7)


@pytest.mark.slow
def test_a_study_that_is_pinned_is_swept_again_from_the_texts_that_are_kept(folder, tmp_path, monkeypatch):
    run = rw_jax.sweep(STUDIES["task"], tmp_path / "run", [folder])
    (folder / "mine.py").write_text(PIECES + "\n# changed\n")
    again = rw_jax.sweep(run.config, tmp_path / "run")
    assert again.metrics.identical(run.metrics)
    with pytest.raises(rw_jax.ConfigError, match=r"mine\.py:back is not what it was when it was pinned"):
        rw_jax.sweep(run.config, tmp_path / "new", [folder])
    (folder / "mine.py").write_text(PIECES)
    monkeypatch.chdir(folder)
    one = rw_jax.train(run.config, lag=2, seed=1)
    np.testing.assert_array_equal(one.metrics["train_loss"], run.metrics["train_loss"].sel(lag=2, seed=1))


def test_labels_that_only_values_differ_in_are_looked_at_by_one_program(folder, tmp_path, monkeypatch):
    (folder / "checked.py").write_text(CHECKED.replace("np.ones(labels", "np.ones(2 + 0 * labels"))
    fields = {"task.name": "checked.py:growing", "task.options.size": 2}
    run = rw_jax.sweep(study(fields, size=(2, 3, 4)), tmp_path / "run", [folder])
    compiled = []
    jit = jax.jit
    monkeypatch.setattr(jax, "jit", lambda function, *rest, **more: compiled.append(1) or jit(function, *rest, **more))
    for size in (2, 3, 4):
        run.attention(size=size)
    assert len(compiled) == 5  # the forward pass, with other attention, the metrics, draws of walks, and W


def test_a_module_beside_a_piece_that_it_imports_is_named_as_it_is_not_kept(folder, tmp_path, caplog):
    (folder / "helper.py").write_text("SCALE = 1.0\n")
    (folder / "mine.py").write_text("import math\nfrom helper import SCALE\n\n" + PIECES)
    config = study({"training.loss": "mine.py:distance"})
    pin(config, [folder], read_start)
    assert "mine.py imports helper, which is not kept" in caplog.text
    assert "math" not in caplog.text
