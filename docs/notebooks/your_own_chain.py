# %% [markdown]
# # Your own chain
#
# Nothing in rw_jax is tied to the circle. Any transition matrix can be the walk: your own, or that of a graph of
# [NetworkX](https://networkx.org). Before training, a formula says which token attention will go to first. We compare
# the two on three chains of eight states.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd

import rw_jax
from rw_jax.analysis.statistics import rate_interval
from rw_jax.tasks.chain import stationary_law
from rw_jax.theory import chains

SEEDS = 8  # samples of each chain; raise it for narrower intervals

# %% [markdown]
# A transition matrix has a row for each state now and a column for each state next. Rows sum to 1.


# %%
def walk_on(graph):
    """The walk that goes to any neighbour with the same probability."""
    edges = nx.to_numpy_array(graph)
    return edges / edges.sum(axis=1, keepdims=True)


forward = np.roll(np.eye(8), 1, axis=1)
matrices = {
    "cube": walk_on(nx.cubical_graph()),  # the corners of a cube
    "clock": 0.3 * np.eye(8) + 0.665 * forward + 0.035 * forward.T,  # mostly forward, sometimes waits
    "lollipop": walk_on(nx.lollipop_graph(4, 4)),  # four nodes that all know each other, and a tail of four
}

# %% [markdown]
# Each matrix is an arm: a condition with a name. A matrix is a value to rw_jax, so that all chains of eight states
# share one compiled program.

# %%
folder = Path(tempfile.mkdtemp())
config = rw_jax.base_config()
config.task.name = "chain"
config.task.num_nodes = 8
config.task.walk_length = 25
config.model.position_width = 125
config.task.options.family = "matrix"
config.task.options.matrix = matrices["cube"]
config.grid.arm = {name: {"matrix": Pi} for name, Pi in matrices.items()}
config.grid.seed = range(SEEDS)
run = rw_jax.sweep(config, folder / "run")

# %% [markdown]
# ## Formula against attention
#
# After the second step of gradient descent attention is highest on the lag k with the largest c_k
# (`chains.token_scores`). The formula knows the matrix and nothing of the training. The bars are c_k, the points are
# the mean attention weights of each seed after two steps.

# %%
figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
rows = []
for panel, (name, Pi) in zip(panels, matrices.items(), strict=True):
    law = stationary_law(Pi)
    scores = chains.token_scores(law, Pi, Pi, walk_length=25, learning_rate=1.0, epsilon=0.1)
    attention = np.array([run.mean_attention(step=2, arm=name, seed=seed)[:-1] for seed in range(SEEDS)])
    lags = np.arange(1, 9)
    panel.bar(lags, (scores - scores.min())[:8] / np.ptp(scores), color="lightgrey", label="c_k")
    panel.plot(lags, attention[:, ::-1][:, :8].T, ".", color="C0", markersize=4)
    panel.plot([], [], ".", color="C0", label="attention of a seed")
    panel.set(title=name, xlabel="lag k (states before the target)")
    same = rate_interval(run.lag(step=2, arm=name).values == 1 + scores.argmax())
    rows.append(
        {
            "chain": name,
            "unevenness of its law": round(chains.unevenness(law), 3),
            "predicted lag": 1 + scores.argmax(),
            "lead": round(chains.lead(scores), 3),
            "seeds that go there": f"{same.mean:.2f} [{same.low:.2f}, {same.high:.2f}]",
        }
    )
    assert same.mean >= (0.7 if name == "clock" else 0.9)
panels[0].set_ylabel("c_k, scaled to 0 to 1; attention weight")
panels[0].legend()
assert [row["predicted lag"] for row in rows] == [1, 2, 1]
pd.DataFrame(rows)

# %% [markdown]
# On the cube the parent wins, as it must: the walk is reversible and its law is uniform, and then c_1 is the largest
# ([proof](../chains.md#where-attention-goes-first)). On the clock the token *before* the parent wins. In samples the
# formula is right for most seeds only, since its lead there is small.
#
# ## Where it ends
#
# Going somewhere first is not staying there. The table shows what the seeds reach after 50 steps.

# %%
rows = []
for name in matrices:
    last = run.evaluate(arm=name)
    optimal, on_parent = (rate_interval(last[metric].values) for metric in ("predicts_optimally", "parent_is_highest"))
    u = run.trajectory("state_scores", arm=name).isel(step=-1).values
    rows.append(
        {
            "chain": name,
            "on the parent": f"{on_parent.mean:.2f} [{on_parent.low:.2f}, {on_parent.high:.2f}]",
            "predicts optimally": f"{optimal.mean:.2f} [{optimal.low:.2f}, {optimal.high:.2f}]",
            "range of u (nats)": round(float(np.ptp(u, axis=1).mean()), 1),
        }
    )
ends = pd.DataFrame(rows).set_index("chain")
assert ends["range of u (nats)"]["lollipop"] > 2 * ends["range of u (nats)"].drop("lollipop").max()
ends

# %% [markdown]
# The lollipop has an uneven law: the walker is often in the group of four and seldom at the end of the tail. There
# the scores u of the *states* move apart by far more than on the other two, and attention goes to states as well as
# to positions. The page [Markov chains](../chains.md) trains 527 chains and finds that an uneven law is what this
# model fails on.
