"""The exact loss and gradients on infinitely many walks of a Markov chain (log-loss, one head, V >= -epsilon).

With weights w_j(s) = exp(u[s] + a_j), w_N = exp(a_N), Z = sum_j w_j(s_j) + w_N and, for the target y,
D_y = sum_j w_j(s_j) (V[y, s_j] + epsilon) + epsilon w_N, the model has f_y + epsilon = D_y / Z. So Z cancels in the
gradient by V, and the loss is L = E[log Z] - E[log D_y], with

  -dL/dV[y, s] = sum_j E[w_j(s) 1(s_j = s) / D_y; s_N = y]
  -dL/da_j     = sum_y E[w_j(s_j) (V[y, s_j] + epsilon) / D_y; s_N = y] - E[w_j(s_j) / Z],   u[s] alike, over s_j = s
  -dL/da_N     = sum_y E[epsilon w_N / D_y; s_N = y] - E[w_N / Z].

Each is an integral, 1/X = int_0^inf exp(-z X) dz and log X = int_0^inf (exp(-z) - exp(-z X)) / z dz (Frullani), of
E[exp(-z X); s_j = s, s_N = y]. As X is a sum over positions, that is a forward-backward pass over the chain with the
state s at position j weighted by exp(-z w_j(s) (V[y, s] + epsilon)). The trapezoidal rule in log z with step h has a
relative error of at most 2 |Gamma(1 + 2 pi i / h)| in 1/X, which falls as exp(-pi^2 / h), if its range covers log X; X
is bounded from V, u and a at every step.

Once attention is all but one-hot (`Quadrature.one_hot`), X is that position's part alone, and its expectations are
sums over one state: such a step takes 16 us in place of 0.4 to 0.9 ms at K = 6 and N = 97. Of runs that are trained
together all go through as many nodes as the one that needs most.

Walks of several lengths (`Task.begins_L`) are one sum with the others: a walk that begins at position j joins the
forward pass there, with the law of the state at j. What is bounded, or one-hot, must be so for the shortest walk, too.

A chain that is the same from every node (`Task.offsets`), from a start that is, too, stays so: V is circulant and u is
equal over the states, so that one target stands for all, and Z is a constant of each length.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Scores
from rw_jax.tasks import Law, Task, Values

_BLOCK = 64
"""Nodes of the quadrature that are gone through together."""

MOST_NODES = 8192
"""What takes more nodes spreads over so many orders of magnitude that it is no longer trusted: its numbers are NaN."""


class Parts(NamedTuple):
    """What f(X) is made of where it is V times the averaged token: V, and the scores that average it."""

    value_KxK: jax.Array
    scores: Scores


OnParts = Callable[[Parts], tuple[dict[str, jax.Array], Parts]]
"""(V and scores) -> (what is measured by name, the gradients by V and scores)."""


class Quadrature(NamedTuple):
    """The trapezoidal rule in log z.

    Attributes:
      step: h.
      below: how far it begins below -log of the largest X: what is left out there is exp(-below), relatively.
      above: how far it ends above -log of the smallest X: what is left out there is exp(-exp(above)).
      one_hot: attention is one-hot where leaving out all other positions changes 1/X by less than this, relatively.
    """

    step: float
    below: float
    above: float
    one_hot: float


def rule_of(dtype: jnp.dtype) -> Quadrature:
    """A rule for the arithmetic: its relative error of 1/X is 1.3e-13 in float64 and 5e-8 in float32."""
    return Quadrature(0.3, 40.0, 4.5, 1e-8) if dtype == jnp.float64 else Quadrature(0.5, 18.0, 3.5, 1e-5)


Move = Callable[[jax.Array], jax.Array]
"""Of an array with states along its second axis, [Q, K, nodes]: the same after, or before, a step of the chain."""


class Chain(NamedTuple):
    """What of a chain does not change in training.

    Attributes:
      law: its law.
      powers_LxKxK: Pi^0 to Pi^(L - 1).
      before_LxK: the law of the state at each position, of all walks.
      begins_L: the share of walks whose first token is at each position; None where all begin at the first.
      forward: alpha[q, s, z] -> sum_s alpha[q, s, z] Pi[s, s'].
      backward: beta[q, s', z] -> sum_s' Pi[s, s'] beta[q, s', z].
    """

    law: Law
    powers_LxKxK: jax.Array
    before_LxK: jax.Array
    begins_L: np.ndarray | None
    forward: Move
    backward: Move

    @property
    def has_begun_L(self) -> np.ndarray:
        """The share of walks that have a token at each position; exactly 1 where all have."""
        L = len(self.powers_LxKxK)
        if self.begins_L is None:
            return np.ones(L)
        return np.where(np.arange(L) >= np.flatnonzero(self.begins_L)[-1], 1.0, np.cumsum(self.begins_L))


class Constants(NamedTuple):
    """A quantity that takes a few values, each for a share of the walks."""

    values_C: jax.Array
    shares_C: jax.Array | np.ndarray


class Sums(NamedTuple):
    """Q quantities X = sum_j rate_j(s_j) + rest of a walk, each on an event of its last token: a target that follows.

    Attributes:
      rate_LxQxK: what each state adds at each position.
      rest_Q: what is added to every walk.
      last_QxK: the probability of the event, from the state at position L.
    """

    rate_LxQxK: jax.Array
    rest_Q: jax.Array
    last_QxK: jax.Array


class Expectations(NamedTuple):
    """Expectations over all walks.

    Attributes:
      inverse_LxQxK: E[1(s_j = s) / X; event].
      inverse_Q: E[1 / X; event].
      log: minus the sum over quantities of sign * E[log X; event], for signs that sum to zero over what is certain.
      error: the relative error of inverse_LxQxK: of its largest entry, estimated from the rule with every other node;
        with one-hot attention that of 1/X, as a mean over walks, to first order.
    """

    inverse_LxQxK: jax.Array
    inverse_Q: jax.Array
    log: jax.Array
    error: jax.Array


def expectations(
    sums: Sums,
    chain: Chain,
    sign_Q: jax.Array,
    constants: Constants | None = None,
) -> Expectations:
    """The expectations of the inverse and of the logarithm of quantities of a walk.

    Args:
      sums: the quantities.
      chain: the chain of the walks.
      sign_Q: by what each logarithm is multiplied.
      constants: one more quantity, the same on all walks of a length, of sign -1.
    """
    rate_LxQxK, rest_Q, last_QxK = sums
    dtype = rate_LxQxK.dtype
    rule = rule_of(dtype)
    is_in_all_L = chain.has_begun_L == 1
    smallest = jnp.min(jnp.sum(jnp.min(rate_LxQxK, axis=2)[is_in_all_L], axis=0) + rest_Q)
    largest = jnp.max(jnp.sum(jnp.max(rate_LxQxK, axis=2), axis=0) + rest_Q)
    if constants is not None:
        smallest = jnp.minimum(smallest, jnp.min(constants.values_C))
        largest = jnp.maximum(largest, jnp.max(constants.values_C))
    first = -rule.below - jnp.log(largest)
    num_nodes = jnp.ceil((rule.above - jnp.log(smallest) - first) / rule.step) + 1
    is_right = (smallest > 0) & (num_nodes <= MOST_NODES)
    of_one_hot, is_one_hot = _of_one_hot(sums, chain, sign_Q, constants, rule)
    blocks = jnp.where(is_right & ~is_one_hot, jnp.ceil(num_nodes / _BLOCK), 0).astype(jnp.int32)
    alternate = jnp.arange(_BLOCK) % 2 == 0

    def block(i, so_far: Expectations) -> Expectations:
        log_z = first + rule.step * (i * _BLOCK + jnp.arange(_BLOCK, dtype=dtype))
        z = jnp.exp(log_z)

        def tilted(rate_QxK: jax.Array) -> jax.Array:
            return jnp.exp(-rate_QxK[:, :, None] * z)

        alpha_LxQxKxZ = _forward_pass(chain, rate_LxQxK, tilted)
        weight_QxZ = rule.step * z * jnp.exp(-rest_Q[:, None] * z)

        def come(beta, given):
            rate_QxK, alpha = given
            terms = alpha * beta * weight_QxZ[:, None, :]
            found = jnp.sum(terms, axis=-1), jnp.sum(jnp.where(alternate, terms, 0), axis=-1)
            return chain.backward(beta * tilted(rate_QxK)), found

        end = jnp.broadcast_to(last_QxK[:, :, None], (*last_QxK.shape, _BLOCK))
        _, (inverse_LxQxK, every_other_LxQxK) = jax.lax.scan(come, end, (rate_LxQxK, alpha_LxQxKxZ), reverse=True)
        total_QxZ = jnp.sum(alpha_LxQxKxZ[-1] * last_QxK[:, :, None], axis=1) * jnp.exp(-rest_Q[:, None] * z)
        return Expectations(
            so_far.inverse_LxQxK + inverse_LxQxK,
            so_far.inverse_Q + rule.step * jnp.sum(z * total_QxZ, axis=-1),
            so_far.log + rule.step * jnp.sum(sign_Q @ total_QxZ - _mean(lambda value: jnp.exp(-z * value), constants)),
            so_far.error + every_other_LxQxK,
        )

    nothing = Expectations(
        jnp.zeros_like(rate_LxQxK), jnp.zeros_like(rest_Q), jnp.zeros((), dtype), jnp.zeros_like(rate_LxQxK)
    )
    found = jax.lax.fori_loop(0, blocks, block, nothing)
    missed = jnp.max(jnp.abs(2 * found.error - found.inverse_LxQxK)) / jnp.max(jnp.abs(found.inverse_LxQxK))
    # The error falls as exp(-pi^2 / h): with the half step it is the square.
    found = jax.tree.map(lambda leaf: jnp.where(is_right, leaf, jnp.nan), found._replace(error=missed**2))
    return jax.tree.map(lambda ours, other: jnp.where(is_one_hot, ours, other), of_one_hot, found)


def _forward_pass(chain: Chain, rate_LxQxK: jax.Array, tilted: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """E[exp(-z (the sum so far)); s_j = s] at each position j, float[L, Q, K, nodes], of the walks that have begun."""
    _, Q, K = rate_LxQxK.shape

    def go(alpha, rate_QxK):
        alpha = alpha * tilted(rate_QxK)
        return chain.forward(alpha), alpha

    def join_and_go(alpha, given):
        rate_QxK, begin_K = given
        return go(alpha + begin_K[:, None], rate_QxK)

    if chain.begins_L is None:
        start = jnp.broadcast_to(chain.law.start_K[:, None], (Q, K, _BLOCK))
        return jax.lax.scan(go, start, rate_LxQxK)[1]
    begin_LxK = jnp.asarray(chain.begins_L, rate_LxQxK.dtype)[:, None] * chain.before_LxK
    nobody = jnp.zeros((Q, K, _BLOCK), rate_LxQxK.dtype)
    return jax.lax.scan(join_and_go, nobody, (rate_LxQxK, begin_LxK))[1]


def _mean(function: Callable[[jax.Array], jax.Array], constants: Constants | None) -> jax.Array | int:
    """The mean of a function of a quantity that takes a few values; 0 of none."""
    if constants is None:
        return 0
    if len(constants.values_C) == 1:
        return function(constants.values_C[0])
    return jnp.asarray(constants.shares_C) @ jax.vmap(function)(constants.values_C)


def _of_one_hot(
    sums: Sums, chain: Chain, sign_Q: jax.Array, constants: Constants | None, rule: Quadrature
) -> tuple[Expectations, jax.Array]:
    """The expectations where one position alone makes up X, and whether it does, as far as the rule asks."""
    rate_LxQxK, rest_Q, last_QxK = sums
    L = len(rate_LxQxK)
    top = jnp.argmax(jnp.max(rate_LxQxK, axis=(1, 2)))
    has_begun_L = chain.has_begun_L
    before_LxK = chain.before_LxK  # the law of each state
    if chain.begins_L is not None:
        before_LxK = before_LxK * jnp.asarray(has_begun_L, before_LxK.dtype)[:, None]
    after_LxQxK = jnp.einsum("lst,qt->lqs", chain.powers_LxKxK[::-1], last_QxK)  # the event, given each state
    joint_QxK = before_LxK[top] * after_LxQxK[top]
    can_be = joint_QxK > 0
    inverse_QxK = jnp.where(can_be, 1 / jnp.where(can_be, rate_LxQxK[top], 1), 0)
    apart_LxKxK = chain.powers_LxKxK[jnp.abs(jnp.arange(L) - top)]
    earlier_LxQxK = before_LxK[:, None] * jnp.einsum("lst,qt->lqs", apart_LxKxK, after_LxQxK[top] * inverse_QxK)
    later_LxQxK = after_LxQxK * jnp.einsum("lts,qt->lqs", apart_LxKxK, before_LxK[top] * inverse_QxK)
    others_Q = jnp.sum(jnp.max(rate_LxQxK, axis=2).at[top].set(0), axis=0) + rest_Q
    # What E[1/X; event] is too large by, to first order, relative to itself; an event may have no probability.
    expected_Q = jnp.sum(joint_QxK * inverse_QxK, axis=1)
    change_Q = others_Q * jnp.sum(joint_QxK * inverse_QxK**2, axis=1)
    left_out = jnp.max(jnp.where(expected_Q > 0, change_Q / jnp.where(expected_Q > 0, expected_Q, 1), 0))
    logs_Q = jnp.sum(joint_QxK * jnp.log(jnp.where(can_be, rate_LxQxK[top], 1)), axis=1)
    found = Expectations(
        jnp.where((jnp.arange(L) <= top)[:, None, None], earlier_LxQxK, later_LxQxK),
        expected_Q,
        _mean(jnp.log, constants) - sign_Q @ logs_Q,
        left_out,
    )
    return found, (left_out < rule.one_hot) & jnp.asarray(has_begun_L == 1)[top]


def log_loss_on_all_walks(task: Task, values: Values, is_symmetric: bool) -> OnParts:
    """The log-loss on all walks of the task's chain: (parts) -> (what is measured, the gradients by the parts).

    Measured are train_loss and quadrature_error, the relative error of the gradients.

    Args:
      task: one with a law.
      values: the values of the run; epsilon is that of the log-loss.
      is_symmetric: whether V is circulant and u is equal over the states at the start, on a task with offsets.
    """
    if task.law is None:
        raise ValueError("infinite walks need the law of a chain")
    of_targets, chain = (
        (_of_one_target, _same_from_every_node(task, task.law(values)))
        if is_symmetric and task.offsets
        else (_of_every_target, _any_chain(task, task.law(values)))
    )

    def loss_and_gradients(parts: Parts) -> tuple[dict[str, jax.Array], Parts]:
        loss, (value_KxK, (states_K, positions_N)), error = of_targets(parts, chain, jnp.asarray(values["epsilon"]))
        # The gradients of all scores sum to zero, so that the largest is known from the others: as a difference of
        # terms of order 1 it would carry an error that adds up over a long training.
        top = jnp.argmax(parts.scores.position_N.at[:-1].add(jnp.max(parts.scores.state_K)))
        positions_N = positions_N.at[top].set(positions_N[top] - jnp.sum(positions_N))
        states_K += (jnp.sum(positions_N[:-1]) - jnp.sum(states_K)) / task.num_nodes  # they sum the same terms
        measured = {"train_loss": loss, "quadrature_error": error}
        return measured, Parts(value_KxK, Scores(states_K, positions_N))

    return loss_and_gradients


def mean_attention(scores: Scores, task: Task, values: Values, is_symmetric: bool) -> jax.Array:
    """The exact mean attention weight of every slot over all walks, float[N], the last of the empty slot."""
    if task.law is None:
        raise ValueError("infinite walks need the law of a chain")
    if is_symmetric and task.offsets:
        return jax.nn.softmax(scores.position_N.at[:-1].add(scores.state_K[0]))
    weights_LxK, empty = _weights(scores)
    sums = Sums(weights_LxK[:, None], empty[None], jnp.ones((1, task.num_nodes), empty.dtype))
    found = expectations(sums, _any_chain(task, task.law(values)), jnp.ones(1, empty.dtype))
    tokens_L = jnp.sum(weights_LxK * found.inverse_LxQxK[:, 0], axis=1)
    return jnp.append(tokens_L, empty * found.inverse_Q[0])


def _weights(scores: Scores) -> tuple[jax.Array, jax.Array]:
    """w_j(s), float[L, K], and w_N, all divided by the largest: a common factor cancels."""
    scores_LxK = scores.state_K + scores.position_N[:-1, None]
    empty = scores.position_N[-1]
    largest = jnp.maximum(jnp.max(scores_LxK), empty)
    return jnp.exp(scores_LxK - largest), jnp.exp(empty - largest)


def _any_chain(task: Task, law: Law) -> Chain:
    def forward(alpha):
        return jnp.einsum("qsz,st->qtz", alpha, law.transition_KxK)

    def backward(beta):
        return jnp.einsum("qtz,st->qsz", beta, law.transition_KxK)

    return _chain(task, law, forward, backward)


def _chain(task: Task, law: Law, forward: Move, backward: Move) -> Chain:
    powers_LxKxK = _powers(task, law)
    before_LxK = jnp.einsum("s,lst->lt", law.start_K, powers_LxKxK)
    return Chain(law, powers_LxKxK, before_LxK, task.begins_L, forward, backward)


def _same_from_every_node(task: Task, law: Law) -> Chain:
    def moved(sign: int) -> Move:
        def move(array: jax.Array) -> jax.Array:
            parts = [  # from node 0 the chain goes to each of the offsets
                law.transition_KxK[0, offset % task.num_nodes] * jnp.roll(array, sign * offset, axis=1)
                for offset in task.offsets or ()
            ]
            return functools.reduce(jnp.add, parts)

        return move

    return _chain(task, law, moved(1), moved(-1))


def _powers(task: Task, law: Law) -> jax.Array:
    """Pi^0 to Pi^(L - 1), float[L, K, K]."""
    identity = jnp.eye(task.num_nodes, dtype=law.transition_KxK.dtype)
    return jax.lax.scan(lambda power, _: (power @ law.transition_KxK, power), identity, length=task.walk_length - 1)[1]


def _of_every_target(parts: Parts, chain: Chain, epsilon: jax.Array) -> tuple[jax.Array, Parts, jax.Array]:
    """Loss, gradients and error on any chain: the K targets, and Z as one more quantity, whose event is certain."""
    weights_LxK, empty = _weights(parts.scores)
    K = weights_LxK.shape[1]
    certain_1xK = jnp.ones((1, K), empty.dtype)
    factor_QxK = jnp.concatenate([parts.value_KxK + epsilon, certain_1xK])
    last_QxK = jnp.concatenate([chain.law.target_KxK.T, certain_1xK])
    rest_Q = jnp.append(jnp.full(K, epsilon * empty), empty)
    sums = Sums(weights_LxK[:, None, :] * factor_QxK, rest_Q, last_QxK)
    is_allowed = jnp.all(factor_QxK >= 0)
    sign_Q = jnp.append(jnp.ones(K), -1.0).astype(empty.dtype)
    found = expectations(sums, chain, sign_Q)
    terms_LxK = jnp.einsum("lqk,q->lk", sums.rate_LxQxK * found.inverse_LxQxK, sign_Q)
    gradients = Parts(
        -jnp.sum(weights_LxK[:, None, :] * found.inverse_LxQxK[:, :-1], axis=0),
        Scores(
            -jnp.sum(terms_LxK, axis=0),
            -jnp.append(jnp.sum(terms_LxK, axis=1), sign_Q @ (rest_Q * found.inverse_Q)),
        ),
    )
    return _or_nan(is_allowed, found.log, gradients, found.error)


def _of_one_target(parts: Parts, chain: Chain, epsilon: jax.Array) -> tuple[jax.Array, Parts, jax.Array]:
    """The same where the chain, V and u are the same from every node: target 0 stands for all, and Z is a constant."""
    weights_LxK, empty = _weights(parts.scores)
    K = weights_LxK.shape[1]
    weights_L = weights_LxK[:, 0]
    totals = _totals(weights_L, empty, chain.begins_L)
    factor_K = parts.value_KxK[0] + epsilon
    sums = Sums(weights_L[:, None, None] * factor_K, (epsilon * empty)[None], chain.law.target_KxK[None, :, 0])
    found = expectations(sums, chain, jnp.full(1, K, empty.dtype), totals)
    value_K = -jnp.sum(weights_L[:, None] * found.inverse_LxQxK[:, 0], axis=0)  # by V[0, s]
    if chain.begins_L is None:
        (total,) = totals.values_C
        of_all_L, of_all = weights_L / total, empty / total
    else:  # E[w_j / Z] is over the walks that have begun by j
        inverse_L = jnp.cumsum(
            jnp.zeros(len(weights_L), empty.dtype).at[_begins(chain.begins_L)].set(totals.shares_C / totals.values_C)
        )
        of_all_L, of_all = weights_L * inverse_L, empty * inverse_L[-1]
    tokens_L = K * jnp.sum(sums.rate_LxQxK[:, 0] * found.inverse_LxQxK[:, 0], axis=1) - of_all_L
    rest = K * sums.rest_Q[0] * found.inverse_Q[0] - of_all
    states = jnp.arange(K)
    gradients = Parts(
        value_K[(states - states[:, None]) % K],
        Scores(jnp.full(K, -jnp.sum(tokens_L) / K), -jnp.append(tokens_L, rest)),
    )
    return _or_nan(jnp.all(factor_K >= 0), found.log, gradients, found.error)


def _begins(begins_L: np.ndarray) -> np.ndarray:
    """The positions at which walks begin."""
    return np.flatnonzero(begins_L)


def _totals(weights_L: jax.Array, empty: jax.Array, begins_L: np.ndarray | None) -> Constants:
    """Z of walks whose weights are the same on all of a length."""
    if begins_L is None:
        return Constants((jnp.sum(weights_L) + empty)[None], np.ones(1, empty.dtype))
    from_L = jnp.cumsum(weights_L[::-1])[::-1] + empty
    return Constants(from_L[_begins(begins_L)], begins_L[_begins(begins_L)].astype(empty.dtype))


def _or_nan(is_allowed: jax.Array, loss: jax.Array, gradients: Parts, error: jax.Array):
    """NaN where V < -epsilon: there D need not be positive, and the run counts as diverged."""
    return jax.tree.map(lambda leaf: jnp.where(is_allowed, leaf, jnp.nan), (loss, gradients, error))
