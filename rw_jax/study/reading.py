"""How a config is read: from nested mappings, such as a config file's ConfigDict or the JSON of a run directory."""

import collections
import dataclasses
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rw_jax.study import fields, labels
from rw_jax.study.config import ARM, AXES, DECLARATIONS, Config, Options, axis_groups, changes_of, group_labels
from rw_jax.study.errors import ConfigError, meant
from rw_jax.study.fields import NO_NEUTRAL, Scalar, shown


def parse(mapping: Mapping[str, Any]) -> Config:
    """The config of nested mappings of fields.

    Raises:
      ConfigError: if a field is missing, unknown or not right, or its axes do not make a grid.
    """
    config = _group_from(Config, mapping, "")
    _check_axes(config)
    return config


def checked(config: Config) -> Config:
    """The config itself, if every field of it is right. Raises: as parse."""
    return parse(config.as_mapping())


def differences(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configs differ, by path, each with both values; the order of the axes is one of them."""
    mine, theirs = (
        _flatten(config.as_mapping() | {"grid": {"axes": [axis for axis, _ in config.grid], **dict(config.grid)}})
        for config in (one, other)
    )
    return {
        path: (mine.get(path), theirs.get(path)) for path in {**mine, **theirs} if mine.get(path) != theirs.get(path)
    }


def _flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in mapping.items():
        flat.update(_flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value})
    return flat


def describe_field(path: str, options: Collection[str] = ()) -> str:
    """What the field at a path of the config, such as "task.p" or "grid.seed", can be set to, in words.

    Args:
      path: the path.
      options: the names of parameters of pieces, which can be axes, too.

    Raises:
      ConfigError: if there is no such field, or it is a group of fields.
    """
    if path in DECLARATIONS:
        return DECLARATIONS[path].right.words
    if path == "zipped":
        return _GROUPS_OF_AXES
    first, _, rest = path.partition(".")
    if first == "grid" and rest == ARM:
        return _ARMS
    if first == "grid" and (rest in AXES or rest in options):
        right = DECLARATIONS[AXES[rest]].right if rest in AXES else labels.OPTION
        return f"a tuple of labels, each {right.words}"
    kind: Any = Config
    group = ""
    for name in path.split("."):
        _check_name(kind, group, name)
        types: dict[str, Any] = {each.name: each.type for each in dataclasses.fields(kind)}
        kind, group = types[name], f"{group}{name}."
        if name == "options":
            return labels.OPTION.words
        if name == "grid":
            raise ConfigError(_no_axis(rest) if rest else _a_group("grid", AXES))
    raise ConfigError(_a_group(path, _names(kind)))


def describe_fields(pieces: Mapping[str, Iterable[str]]) -> str:
    """Every field with what it is, what is right for it, and its axis: a line each.

    Args:
      pieces: the names of the pieces that there are, by the name of the field that names them.
    """
    lines = []
    for path, declared in DECLARATIONS.items():
        axis = f"; axis {declared.axis}" if declared.axis else ""
        named, right = ", ".join(pieces.get(declared.axis or path.rpartition(".")[2], ())), declared.right.words
        if named:
            ours = f"one of {named}, or 'file.py:attribute' or 'module:attribute'"
            right = ours if declared.right.is_piece else f"{right}; each {ours}"
        lines.append(f"  {path}: {declared.what}; {right}{axis}")
    return "\n".join(lines)


def _a_group(path: str, names: Any) -> str:
    return f"{path} is a group of fields; set one of them, such as {path}.{next(iter(names))}."


def _no_axis(name: str) -> str:
    return (
        f"grid.{name} is not a field that can be an axis; those are {ARM}, {', '.join(AXES)}, and a parameter of a "
        f"piece that has a value, too, as in --config.training.options.{name}=VALUE.{meant(name, AXES)}"
    )


def _group_from(cls: Any, mapping: Any, prefix: str) -> Any:
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{prefix.rstrip('.')} is {shown(mapping)}, but must be a group of fields.")
    for name in mapping:
        _check_name(cls, prefix, name)
    values = {}
    for each in dataclasses.fields(cls):
        path = prefix + each.name
        if path == "arms":
            values["arms"] = _arms_from(mapping, values)
            continue
        declared = DECLARATIONS.get(path)
        if each.name not in mapping and declared is not None and declared.neutral is not NO_NEUTRAL:
            values[each.name] = declared.neutral  # a field that came later than what is read
            continue
        if each.name not in mapping:
            raise ConfigError(f"{path} is missing, but every field must be given.")
        given = mapping[each.name]
        if path in DECLARATIONS:
            values[each.name] = labels.read(path, DECLARATIONS[path].right, given)
        elif each.name == "options":
            values[each.name] = _options_from(path, given)
        elif path == "grid":
            values[each.name] = _grid_from(given, cls, values)
        elif path == "zipped":
            values[each.name] = _zipped_from(given)
        else:
            values[each.name] = _group_from(each.type, given, f"{path}.")
    return cls(**values)


def _check_name(cls: Any, prefix: str, name: Any) -> None:
    if not dataclasses.is_dataclass(cls):
        path = prefix.rstrip(".")
        raise ConfigError(f"{prefix}{name} is not a field of the config; {path} is a single value without sub-fields.")
    if name not in _names(cls):
        path, where = f"{prefix}{name}" or "An empty name", prefix.rstrip(".") or "it"
        names = ", ".join(_names(cls))
        raise ConfigError(f"{path} is not a field of the config; {where} has {names}.{meant(name, _names(cls))}")


def _names(cls: Any) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(cls))


def _options_from(path: str, given: Any) -> Options:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{path} is {shown(given)}, but must be a group of parameters by name.")
    options = []
    for name, value in given.items():
        if not isinstance(name, str) or not name.isidentifier() or name in {*AXES, ARM}:
            raise ConfigError(
                f"{path} has {shown(name)}, but must have names of parameters, other than those of the fields that can "
                f"be axes: {', '.join(AXES)}."
            )
        options.append((name, labels.read_option(f"{path}.{name}", value)))
    return tuple(options)


def _grid_from(given: Any, cls: Any, groups: Mapping[str, Any]) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    """The axes that were given; a field of the grid that is None is no axis."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"grid is {shown(given)}, but must be a group of axes.")
    of_pieces = {name for group in ("task", "model", "training") for name, _ in groups[group].options}
    axes = []
    for axis, values in given.items():
        if axis not in AXES and axis not in of_pieces and axis != ARM:
            raise ConfigError(_no_axis(axis))
        if axis == ARM and isinstance(values, Mapping):
            values = tuple(labels.read("grid.arm", _NAME_OF_ARM, name) for name in values)
        if values is None or (isinstance(values, tuple | list) and len(values) == 1 and values[0] is None):
            continue  # None on the command line arrives as (None,)
        right = _NAME_OF_ARM if axis == ARM else DECLARATIONS[AXES[axis]].right if axis in AXES else labels.OPTION
        axes.append((axis, labels.read_labels(f"grid.{axis}", right, values)))
    return tuple(axes)


_ARMS = "conditions by name, each with changes of fields, such as {'paper': {}, '2 heads': {'heads': 2}}"
_NAME_OF_ARM = fields.name_of_arm()


def _arms_from(mapping: Mapping[str, Any], groups: Mapping[str, Any]) -> tuple[tuple[str, Options], ...]:
    """The arms that the axis of arms names: `grid.arm` has them, or it has names and `arms` has what they are."""
    names = dict(groups["grid"]).get(ARM, ())
    of_grid = mapping["grid"].get(ARM)
    given = of_grid if isinstance(of_grid, Mapping) else mapping.get("arms") or {}
    of_pieces = {name for group in ("task", "model", "training") for name, _ in groups[group].options}
    arms = []
    for name in dict.fromkeys(names):
        if name not in given:
            raise ConfigError(
                f"grid.arm has {shown(name)}, but must have some of {', '.join(given) or 'none'}.{meant(name, given)}"
            )
        path, changes = f"grid.arm[{name!r}]", given[name]
        if not isinstance(changes, Mapping):
            raise ConfigError(f"{path} is {shown(changes)}, but must be changes of fields, such as {{'heads': 2}}.")
        read = []
        for field, value in changes.items():
            if (field not in AXES and field not in of_pieces) or field == "seed":
                known = [axis for axis in AXES if axis != "seed"]
                raise ConfigError(
                    f"{path} has {shown(field)}, which is no field that an arm can change; those are "
                    f"{', '.join(known)}, and options that the config has.{meant(field, known)}"
                )
            if field in dict(groups["grid"]):
                raise ConfigError(
                    f"{path} changes {field}, which is an axis of the grid, too; leave it to one of them."
                )
            right = DECLARATIONS[AXES[field]].right if field in AXES else labels.OPTION
            read.append((field, labels.read(f"{path}[{field!r}]", right, value)))
        arms.append((name, tuple(read)))
    return tuple(arms)


_GROUPS_OF_AXES = "a tuple of groups of axes, such as (('num_nodes', 'walk_length'),)"


def _zipped_from(groups: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(groups, tuple | list) or not all(isinstance(group, tuple | list) for group in groups):
        raise ConfigError(f"zipped is {shown(groups)}, but must be {_GROUPS_OF_AXES}.")
    return tuple(tuple(group) for group in groups)


def _check_axes(config: Config) -> None:
    by_axis, seen = dict(config.grid), []
    for (one, changes), (other, others) in itertools.combinations(changes_of(config).items(), 2):
        if changes == others:
            raise ConfigError(f"grid.arm has {one!r} and {other!r}, which are the same runs, but arms must differ.")
    for name, count in collections.Counter(
        name for group in (config.task, config.model, config.training) for name, _ in group.options
    ).items():
        if count > 1:
            raise ConfigError(f"The parameter {name} is in the options of {count} groups, but must be in one only.")
    for group in config.zipped:
        if not group:
            raise ConfigError(f"zipped has an empty group, but must be {_GROUPS_OF_AXES}.")
        for axis in group:
            if not isinstance(axis, str) or axis not in by_axis:
                known = ", ".join(by_axis) or "none"
                raise ConfigError(f"zipped has {shown(axis)}, but must name axes of the grid; those are {known}.")
            if axis in seen:
                raise ConfigError(f"zipped has {axis!r} twice, but an axis can be paired in one group only.")
            seen.append(axis)
        lengths = [len(by_axis[axis]) for axis in group]
        if len(set(lengths)) > 1:
            raise ConfigError(
                f"zipped has {', '.join(group)} with {', '.join(map(str, lengths))} labels, but axes that are paired "
                "need equally many."
            )
        if "seed" in group and set(group) != set(by_axis):  # with all others it is a list of runs
            raise ConfigError(
                f"zipped has {', '.join(group)}, but the seed must multiply the other axes, or be paired with all of "
                "them: intervals are over seeds."
            )
    for group in axis_groups(config):
        columns = [by_axis[axis] for axis in group]
        every = columns[0] if len(group) == 1 else group_labels(config, group)
        where = f"grid.{', '.join(group)}"
        if len(set(every)) < len(every):
            repeated = collections.Counter(every).most_common(1)[0][0]
            raise ConfigError(f"{where} has the label {shown(repeated)} more than once, but labels must differ.")
        if all(set(map(type, column)) <= {int, str} for column in columns):
            continue
        of_group = sorted(zip(*columns, strict=True), key=lambda row: [(isinstance(x, str), x) for x in row])
        for one, other in itertools.pairwise(of_group):
            if all(map(labels.same_label, one, other)):
                pair = [row[0] if len(group) == 1 else row for row in (one, other)]
                raise ConfigError(
                    f"{where} has the labels {shown(pair[0])} and {shown(pair[1])}, but labels must differ by more "
                    "than rounding."
                )
