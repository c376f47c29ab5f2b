"""Where configs come in: config files, ConfigDicts and the words of a command line; the door to ml_collections."""

import contextlib
import os
import re
import sys
import traceback
import types
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
from absl import flags
from ml_collections import config_flags

from rw_jax.study.config import ARM, Config
from rw_jax.study.errors import ConfigError, meant
from rw_jax.study.fields import shown
from rw_jax.study.labels import number_or_word
from rw_jax.study.paths import local_path
from rw_jax.study.reading import describe_field, parse


def from_config_dict(config_dict: ml_collections.ConfigDict, arms: Mapping[str, Any] | None = None) -> Config:
    """The frozen form of a ConfigDict.

    Args:
      config_dict: the study.
      arms: what its arms are, where `grid.arm` only has names.

    Raises:
      ConfigError: if it is none, or a field is missing, unknown or not right, or its axes do not make a grid.
    """
    if not isinstance(config_dict, ml_collections.ConfigDict):
        raise ConfigError(
            f"The config is {shown(config_dict)}, but must be a ConfigDict, as rw_jax.base_config() gives."
        )
    _check_names(config_dict)
    try:
        mapping = config_dict.to_dict()
    except ml_collections.config_dict.RequiredValueError as error:
        raise ConfigError(
            f"A field of the config has no value yet, but every field must be given ({error})."
        ) from error
    return parse(mapping | ({"arms": arms} if arms else {}))


def read_config(path: str | os.PathLike[str]) -> ml_collections.ConfigDict:
    """What get_config() of a config file gives.

    Raises:
      ConfigError: if there is no such file, or it cannot be used.
    """
    path, file = str(path), local_path("--config", path)
    if not file.is_file():
        raise ConfigError(f"--config is {path!r}, which is not a file; give one, such as --config=configs/sweep.py.")
    try:
        # A file that leaves for another folder takes nobody along.
        with contextlib.chdir(Path.cwd()), _module_of(file) as module:
            exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
            get_config = getattr(module, "get_config", None)
            config_dict = get_config() if callable(get_config) else None
    except BaseException as error:  # whatever a config file does wrong
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        where = f" in line {lines[-1]}" if lines else ""
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise ConfigError(f"--config is {path!r}, which cannot be used{where}: {reason}.") from error
    if not callable(get_config):
        raise ConfigError(f"--config is {path!r}, which has no get_config(), but must define it.")
    if not isinstance(config_dict, ml_collections.ConfigDict):
        given = type(config_dict).__name__
        raise ConfigError(f"--config is {path!r}, whose get_config() gives {given}, but must give a ConfigDict.")
    if isinstance(config_dict, ml_collections.FrozenConfigDict):
        config_dict = config_dict.as_configdict()
    _check_names(config_dict)
    return config_dict


@contextlib.contextmanager
def _module_of(file: Path) -> Generator[types.ModuleType]:
    """A module to execute a config file in; dataclasses find it by its name while it is there."""
    module = types.ModuleType("__config__")
    module.__file__ = str(file)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield module
    finally:
        del sys.modules[module.__name__]
        if before is not None:  # a config file that reads another
            sys.modules[module.__name__] = before


def _check_names(config_dict: ml_collections.ConfigDict) -> None:
    """Refuses fields whose names are no words: ml_collections takes them, and fails later."""
    names = list(vars(config_dict)["_fields"])
    if not all(isinstance(name, str) for name in names):
        wrong = next(name for name in names if not isinstance(name, str))
        raise ConfigError(f"The config has a field named {shown(wrong)}, but the name of a field must be a word.")
    for _, field in config_dict.items(preserve_field_references=True):
        if isinstance(field, ml_collections.ConfigDict):
            _check_names(field)


class Command(NamedTuple):
    """What a command line asks for.

    Attributes:
      config: the study.
      config_file: the file that --config names.
      workdir: the folder that --workdir names, runs/NAME if it is not given.
      switches: the flags without a value that were given.
      words: the other flags that were given, and their values.
    """

    config: Config
    config_file: Path
    workdir: Path
    switches: frozenset[str]
    words: Mapping[str, str] = {}


def read_command(
    argv: list[str],
    switches: Mapping[str, str],
    words: Mapping[str, str] | None = None,
) -> Command:
    """The config, the folder and the switches of a command line.

    Args:
      argv: the command line, the program first.
      switches: the flags without a value that there are, and what each does.
      words: the flags with a value that there are beside --config and --workdir, and what each does.

    Raises:
      ConfigError: if something is wrong.
    """
    words = words or {}
    flag_values = flags.FlagValues()  # of its own: in a notebook a command may be run again
    try:
        argv = [argv[0], *flag_values.read_flags_from_files(argv[1:], force_gnu=False)]
        path, argv = _take_config_file(argv)
        config_dict = read_config(path)
        required = _open_required(config_dict)
        arms = config_dict.get("grid", {}).get(ARM)  # a command line chooses among them by name
        _add_options(config_dict, argv[1:])
        for name in _options_of(config_dict):  # parameters of pieces can be axes, too
            if name not in config_dict.get("grid", {}):
                config_dict.grid[name] = ml_collections.config_dict.placeholder(object)
        config_dict.lock()
        for word in argv[1:]:  # what is no field is met by ml_collections with a bare AttributeError
            if override := re.match(r"--?config\.([^=]*)", word):
                _check_is_field(override[1], config_dict)
        # ml_collections knows the overrides by their words on the command line, so the flags are defined here.
        config_flags.DEFINE_config_dict("config", config_dict, flag_values=flag_values, sys_argv=argv)
        workdir = flags.DEFINE_string("workdir", None, "The run directory.", flag_values=flag_values)
        given = {
            name: flags.DEFINE_bool(name, False, about, flag_values=flag_values) for name, about in switches.items()
        }
        texts = {name: flags.DEFINE_string(name, None, about, flag_values=flag_values) for name, about in words.items()}
        leftovers = flag_values(argv)[1:]
        if leftovers:
            raise ConfigError(
                f"{leftovers[0]!r} is not a flag; give every flag as --name=value, in quotes if it has spaces."
            )
        if workdir.value == "":
            raise ConfigError(
                "--workdir is empty, but must name a folder, or be left out for runs/<name of the config>."
            )
        for path_of_field in required:
            _check_has_value(path_of_field, config_dict)
        config = from_config_dict(config_dict, arms if isinstance(arms, Mapping) else None)
    except flags.Error as error:
        raise ConfigError(_explain(error, ("config", "config.FIELD", "workdir", *switches, *words))) from error
    folder = local_path("--workdir", workdir.value or f"runs/{config.name}")
    return Command(
        config,
        local_path("--config", path),
        folder,
        frozenset(name for name, flag in given.items() if flag.value),
        {name: flag.value for name, flag in texts.items() if flag.value is not None},
    )


def _open_required(config_dict: ml_collections.ConfigDict, prefix: str = "") -> list[str]:
    """Opens the fields that have no value yet, but must have one, for the command line; gives their paths."""
    required = []
    for name, field in list(config_dict.items(preserve_field_references=True)):
        if isinstance(field, ml_collections.ConfigDict):
            required += _open_required(field, f"{prefix}{name}.")
        elif isinstance(field, ml_collections.FieldReference):
            try:
                field.get()
            except ml_collections.config_dict.RequiredValueError:
                del config_dict[name]
                config_dict[name] = ml_collections.config_dict.placeholder(field.get_type())
                required.append(f"{prefix}{name}")
    return required


def _add_options(config_dict: ml_collections.ConfigDict, words: Sequence[str]) -> None:
    """Adds the parameters of pieces that a command line gives and the config file does not have."""
    for word in words:
        given = re.match(r"--?config\.(task|model|training)\.options\.([A-Za-z_]\w*)=(.*)", word, re.DOTALL)
        if given is not None and given[1] in config_dict:
            options = config_dict[given[1]].get("options")
            if options is not None and given[2] not in options:
                options[given[2]] = number_or_word(given[3])


def _check_has_value(path: str, config_dict: ml_collections.ConfigDict) -> None:
    *groups, name = path.split(".")
    for group in groups:
        config_dict = config_dict[group]
    if config_dict[name] is None:
        raise ConfigError(f"{path} has no value yet, but must be given, as in --config.{path}=VALUE.")


def _check_is_field(path: str, config_dict: ml_collections.ConfigDict) -> None:
    """Refuses what is no field; parameters of pieces are fields, and axes, where the config file has them."""
    group, _, name = path.rpartition(".")
    if group.endswith(".options"):
        options = config_dict.get(group.split(".")[0], {}).get("options", {})
        if name not in options:
            known = ", ".join(options) or "none"
            raise ConfigError(f"{path} is not in the config file, but must be; its {group} are {known}.")
    describe_field(path, _options_of(config_dict))
    for part in group.split(".") if group else ():
        config_dict = config_dict.get(part, {})
    if name not in config_dict:
        raise ConfigError(f"{path} is not in the config file, but must be there to be changed.")


def _options_of(config_dict: ml_collections.ConfigDict) -> list[str]:
    """The parameters of pieces that a config has."""
    return [name for group in ("task", "model", "training") for name in config_dict.get(group, {}).get("options", {})]


def _take_config_file(argv: list[str]) -> tuple[str, list[str]]:
    """The path that --config names, and the command line without it."""
    first = flags.FlagValues()
    paths = flags.DEFINE_multi_string("config", [], "The config file.", flag_values=first)
    first.set_gnu_getopt(True)  # flags after a word that is no flag are looked at, too
    rest = first(argv, known_only=True)
    if not paths.value:
        raise ConfigError("--config is not given, but must name a config file, such as --config=configs/sweep.py.")
    if len(paths.value) > 1:
        raise ConfigError(f"--config is given as {' and '.join(paths.value)}, but must be given once.")
    return paths.value[0], rest


def _explain(error: flags.Error, known: Sequence[str]) -> str:
    """A sentence on what is wrong; those of absl do not say what would be right."""
    reason = " ".join(str(error).split()).removeprefix("ERROR:: ")
    if isinstance(error, flags.UnrecognizedFlagError):
        there = ", ".join(f"--{name}" for name in known)
        return f"--{error.flagname} is not a flag; there are {there}.{meant(error.flagname, known)}"
    if missing := re.fullmatch(r"Missing value for flag (--\S+)", reason):
        return f"{missing[1]} has no value, but must have one, as in {missing[1]}=VALUE."
    if illegal := re.match(r"flag --config\.([\w.]+)=(.*?): ", reason):
        return f"{illegal[1]} is {illegal[2]!r}, but must be {describe_field(illegal[1], [illegal[1].split('.')[-1]])}."
    if boolean := re.match(r"flag (--\w+)=(.*?): \('Non-boolean", reason):
        return f"{boolean[1]} is {boolean[2]!r}, but must be true or false."
    return reason.rstrip(".") + "."
