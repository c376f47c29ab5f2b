"""Markov chains by name: each family is a function of its parameters to a transition matrix, in float64 NumPy.

The parameters of a family are those of its function: `num_nodes` is K, `p` is `task.p`, and all others are given in
`task.options`. Rows are now, columns are next.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx
import numpy as np

from rw_jax.study.errors import ConfigError, meant


def cycle(num_nodes: int, p: float) -> np.ndarray:
    """The circle: +1 with probability p, else -1 (mod K)."""
    _at_least(num_nodes, 3)
    return p * _shift(num_nodes, 1) + (1 - p) * _shift(num_nodes, -1)


def lazy_cycle(num_nodes: int, p: float, laziness: float) -> np.ndarray:
    """The circle that stays where it is with probability `laziness`."""
    _share("laziness", laziness)
    return laziness * np.eye(num_nodes) + (1 - laziness) * cycle(num_nodes, p)


def near_cycle(num_nodes: int, p: float, noise: float, spread: float, graph_seed: int) -> np.ndarray:
    """The circle whose p differs from node to node, uniformly in p -+ spread, and that jumps anywhere with `noise`."""
    _at_least(num_nodes, 3)
    _share("noise", noise)
    _share("spread", spread)
    of_node = np.clip(p + spread * np.random.default_rng(graph_seed).uniform(-1, 1, num_nodes), 0, 1)[:, None]
    walk = of_node * _shift(num_nodes, 1) + (1 - of_node) * _shift(num_nodes, -1)
    return (1 - noise) * walk + noise / num_nodes


def path(num_nodes: int, p: float) -> np.ndarray:
    """A line: +1 with probability p, else -1; from its ends the one way there is."""
    matrix = p * np.eye(num_nodes, k=1) + (1 - p) * np.eye(num_nodes, k=-1)
    matrix[0], matrix[-1] = np.eye(num_nodes)[1], np.eye(num_nodes)[-2]
    return matrix


def star(num_nodes: int) -> np.ndarray:
    """A centre, node 0, with K - 1 leaves."""
    return _walk_on(nx.star_graph(num_nodes - 1))


def complete(num_nodes: int) -> np.ndarray:
    """All nodes except that of the walk are equally likely."""
    return _walk_on(nx.complete_graph(num_nodes))


def torus(num_nodes: int, rows: int) -> np.ndarray:
    """A grid of `rows` by K / rows whose sides are joined."""
    if rows < 1 or num_nodes % rows:
        raise ConfigError(f"task.options.rows is {rows}, but must divide task.num_nodes = {num_nodes}.")
    sides = [range(side) for side in (rows, num_nodes // rows) if side > 1]
    return _walk_on(nx.grid_graph([len(side) for side in sides], periodic=True))


def hypercube(num_nodes: int) -> np.ndarray:
    """The corners of a cube in log2 K dimensions."""
    dimensions = num_nodes.bit_length() - 1
    if num_nodes != 2**dimensions:
        raise ConfigError(f"task.num_nodes is {num_nodes}, but must be a power of 2 for family = 'hypercube'.")
    return _walk_on(nx.hypercube_graph(dimensions))


def tree(num_nodes: int, degree: int) -> np.ndarray:
    """A rooted tree, filled level by level, of which each node has `degree` children."""
    _at_least(degree, 1, "task.options.degree")
    graph = nx.Graph([(0, 0)] if num_nodes == 1 else [((node - 1) // degree, node) for node in range(1, num_nodes)])
    return _walk_on(graph)


def barbell(num_nodes: int) -> np.ndarray:
    """Two complete graphs of K / 2 nodes, joined by one edge."""
    if num_nodes % 2 or num_nodes < 6:
        raise ConfigError(f"task.num_nodes is {num_nodes}, but must be even, and at least 6, for family = 'barbell'.")
    return _walk_on(nx.barbell_graph(num_nodes // 2, 0))


def regular(num_nodes: int, degree: int, graph_seed: int) -> np.ndarray:
    """A random connected graph of which each node has `degree` neighbours."""
    _at_least(num_nodes, 3)
    if not 1 < degree < num_nodes or num_nodes * degree % 2:
        raise ConfigError(
            f"task.options.degree is {degree}, but must be from 2 to {num_nodes - 1}, and an even number if "
            f"task.num_nodes = {num_nodes} is odd."
        )
    generator = np.random.default_rng(graph_seed)
    while True:
        graph = nx.random_regular_graph(degree, num_nodes, int(generator.integers(2**31)))
        if nx.is_connected(graph):
            return _walk_on(graph)


def de_bruijn(num_nodes: int, p: float) -> np.ndarray:
    """Words of bits that move on by a bit: from i to 2i + 1 (mod K) with probability p, else to 2i."""
    if num_nodes & (num_nodes - 1):
        raise ConfigError(f"task.num_nodes is {num_nodes}, but must be a power of 2 for family = 'de_bruijn'.")
    matrix, nodes = np.zeros((num_nodes, num_nodes)), np.arange(num_nodes)
    np.add.at(matrix, (nodes, (2 * nodes + 1) % num_nodes), p)
    np.add.at(matrix, (nodes, 2 * nodes % num_nodes), 1 - p)
    return matrix


def permutation(num_nodes: int, cycles: tuple[int, ...]) -> np.ndarray:
    """Goes round in cycles of the given lengths, without chance."""
    if not isinstance(cycles, tuple) or not all(isinstance(length, int) and length > 0 for length in cycles):
        raise ConfigError(f"task.options.cycles is {cycles}, but must be whole numbers from 1 up, as (2, 4).")
    if sum(cycles) != num_nodes:
        raise ConfigError(f"task.options.cycles is {cycles}, but must sum to task.num_nodes = {num_nodes}.")
    matrix, first = np.zeros((num_nodes, num_nodes)), 0
    for length in cycles:
        matrix[first : first + length, first : first + length] = _shift(length, 1)
        first += length
    return matrix


def dirichlet(num_nodes: int, concentration: float, graph_seed: int) -> np.ndarray:
    """Random rows, each from a Dirichlet law with this concentration: the smaller, the sparser."""
    _positive("concentration", concentration)
    rows = np.random.default_rng(graph_seed).gamma(concentration, size=(num_nodes, num_nodes)) + 1e-12
    return rows / rows.sum(axis=1, keepdims=True)


def reversible(num_nodes: int, concentration: float, graph_seed: int) -> np.ndarray:
    """A walk on the complete graph with loops whose edges have random weights from a Gamma law of this shape."""
    _positive("concentration", concentration)
    weights = np.random.default_rng(graph_seed).gamma(concentration, size=(num_nodes, num_nodes)) + 1e-12
    weights = np.triu(weights) + np.triu(weights, 1).T
    return weights / weights.sum(axis=1, keepdims=True)


def doubly_stochastic(num_nodes: int, concentration: float, graph_seed: int) -> np.ndarray:
    """Random, not reversible, with a uniform stationary law: Gamma weights scaled so that rows and columns sum to 1."""
    _positive("concentration", concentration)
    matrix = np.random.default_rng(graph_seed).gamma(concentration, size=(num_nodes, num_nodes)) + 1e-6
    for _ in range(10_000):
        matrix /= matrix.sum(axis=0)
        matrix /= matrix.sum(axis=1, keepdims=True)
        if np.abs(matrix.sum(axis=0) - 1).max() < 1e-14:
            return matrix
    raise ConfigError(f"task.options.concentration is {concentration:g}, but must be larger for {num_nodes} nodes.")


def two_state(num_nodes: int, p: float, q: float) -> np.ndarray:
    """[[1 - p, p], [q, 1 - q]]."""
    if num_nodes != 2:
        raise ConfigError(f"task.num_nodes is {num_nodes}, but must be 2 for family = 'two_state'.")
    _share("q", q)
    return np.array([[1 - p, p], [q, 1 - q]])


def matrix(num_nodes: int, matrix: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """A matrix of your own, by its rows."""
    try:
        made = np.array(matrix, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError("task.options.matrix must have rows of numbers, all of one length.") from error
    return checked_matrix(made, num_nodes, "task.options.matrix")


FAMILIES: Mapping[str, Callable[..., np.ndarray]] = {
    family.__name__: family
    for family in (
        cycle, lazy_cycle, near_cycle, path, star, complete, torus, hypercube, tree, barbell, regular, de_bruijn,
        permutation, dirichlet, reversible, doubly_stochastic, two_state, matrix,
    )
}  # fmt: skip
"""Every family but "file", by name."""

FAMILY_OPTIONS: tuple[str, ...] = tuple(
    dict.fromkeys(
        name
        for family in FAMILIES.values()
        for name in inspect.signature(family).parameters
        if name not in ("num_nodes", "p")
    )
)
"""The parameters of all families except K and p, which are fields of every task."""


def transition_of(labels: Mapping[str, Any], num_nodes: int) -> np.ndarray:
    """The transition matrix of the family that labels name, float64[K, K].

    Raises:
      ConfigError: if there is no such family, or a parameter is missing or not right.
    """
    name = labels["family"]
    if name not in FAMILIES:
        known = (*FAMILIES, "file")
        raise ConfigError(
            f"task.options.family is {name!r}, but must be one of {', '.join(known)}.{meant(name, known)}"
        )
    given = {}
    for parameter in inspect.signature(FAMILIES[name]).parameters.values():
        of_parameter = num_nodes if parameter.name == "num_nodes" else labels.get(parameter.name)
        if of_parameter is None:
            raise ConfigError(f"task.options.{parameter.name} must be given for task.options.family = {name!r}.")
        given[parameter.name] = _as_declared(parameter, of_parameter)
    return FAMILIES[name](**given)


def _as_declared(parameter: inspect.Parameter, given: Any) -> Any:
    """A parameter as the number that its family wants."""
    if parameter.annotation not in (int, float):
        return given
    is_number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    if not is_number or (parameter.annotation is int and given != int(given)):
        wanted = "a whole number" if parameter.annotation is int else "a number"
        raise ConfigError(f"task.options.{parameter.name} is {given!r}, but must be {wanted}.")
    return parameter.annotation(given)


def checked_matrix(made: np.ndarray, num_nodes: int, name: str) -> np.ndarray:
    """The matrix, if it is a transition matrix of so many states.

    Raises:
      ConfigError: a sentence that says what is wrong with it.
    """
    if made.shape != (num_nodes, num_nodes):
        raise ConfigError(f"{name} has the shape {made.shape}, but must have {(num_nodes, num_nodes)}.")
    if not np.isfinite(made).all():
        raise ConfigError(f"{name} has an entry that is no finite number, but must have probabilities.")
    if (made < 0).any():
        row, column = np.argwhere(made < 0)[0]
        raise ConfigError(f"{name} is {made[row, column]:g} in row {row}, column {column}, but must not be negative.")
    sums = made.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-6:  # rows of 32 bits
        row = int(np.abs(sums - 1).argmax())
        raise ConfigError(
            f"{name} sums to {sums[row]:.10g} in row {row}, but every row must sum to 1; divide it by its sum."
        )
    return made if np.abs(sums - 1).max() <= 1e-9 else made / sums[:, None]


def _shift(num_nodes: int, offset: int) -> np.ndarray:
    return np.roll(np.eye(num_nodes), offset, axis=1)


def _walk_on(graph: nx.Graph) -> np.ndarray:
    """The walk that goes to each neighbour with the same probability."""
    adjacency = nx.to_numpy_array(graph)
    return adjacency / adjacency.sum(axis=1, keepdims=True)


def _at_least(number: int, least: int, name: str = "task.num_nodes") -> None:
    if number < least:
        raise ConfigError(f"{name} is {number}, but must be at least {least} for this family.")


def _share(name: str, number: float) -> None:
    if not 0 <= number <= 1:
        raise ConfigError(f"task.options.{name} is {number:g}, but must be from 0 to 1.")


def _positive(name: str, number: float) -> None:
    if not 0.05 <= number <= 1e6:  # below, whole rows of Gamma numbers would be 0 without the floor
        raise ConfigError(f"task.options.{name} is {number:g}, but must be from 0.05 to 1e6.")
