# %% [markdown]
# # Break the symmetry at p = 1
#
# At p = 1 the walk has no chance in it: the next state is always one clockwise. It should be the easiest walk of all.
# Yet gradient descent from zero never learns it (Theorem 4.1 of the paper). The failure needs a start of exactly zero
# and walks of N = rK + 1 states. Here we watch it, and then end it in three ways.

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import rw_jax
from rw_jax.analysis.statistics import rate_interval

SEEDS = 8  # raise it for narrower intervals


def setting():
    """Walks of 25 = 4 * 6 + 1 states at p = 1, zero start, 30 steps."""
    config = rw_jax.base_config()
    config.task.p = 1.0
    config.task.walk_length = 25
    config.task.test_walks = "all"  # at p = 1 there are six
    config.training.steps = 30
    config.grid.seed = range(SEEDS)
    return config


# %% [markdown]
# Each change is a line or two. *Small start*: Gaussian parameters of scale 1e-8 in the place of zero. *Mixed
# lengths*: the training walks have 13 to 25 states. *Curriculum*: the first three steps are at p = 0.9, the rest at p
# = 1.

# %%
configs = {name: setting() for name in ("zero start", "small start", "mixed lengths", "curriculum")}
configs["small start"].model.init = "gaussian"
configs["small start"].model.init_scale = 1e-8
configs["mixed lengths"].training.shortest_walk = 13
configs["curriculum"].task.p = 0.9
configs["curriculum"].training.stages = "3: p=1"
runs = {name: rw_jax.sweep(config, tempfile.mkdtemp()) for name, config in configs.items()}

# %%
for name, run in runs.items():
    share = rate_interval(run.metrics["predicts_optimally"].isel(step=-1).values)
    print(f"{name:14} predicts optimally: {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}] of {share.seeds} seeds")
    assert share.mean == 0 if name == "zero start" else share.mean >= 0.9

# %% [markdown]
# ## Zero start: nothing ever moves
#
# Every walk visits each state four times, so that the averaged token is the same whatever the walk. Then no token is
# better than another, and all keep equal weights. It is not that the weights are nearly equal. They are equal to the
# last bit at every step, and the accuracy stays at chance, 1/6.

# %%
zero = runs["zero start"].metrics
assert (zero["attention_spread"] == 0).all()
assert np.allclose(zero["accuracy"], 1 / 6)
figure, panels = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained", sharey=True)
for panel, (name, run) in zip(panels, runs.items(), strict=True):
    panel.plot(
        run.metrics["step"], run.metrics["accuracy"].transpose("step", "seed"), color="C0", linewidth=1, alpha=0.6
    )
    panel.axhline(1 / 6, color="grey", linestyle=":", linewidth=1)
    panel.set(title=name, xlabel="gradient step")
panels[0].set_ylabel("accuracy (a line for each seed)")
plt.show()

# %% [markdown]
# ## Where attention goes
#
# At p = 1 the parent is not the only good token. Six states earlier the walker was at the same node, so the tokens of
# lags 1, 7, 13, ... say the same. In fact any lag determines the target. What has to be broken is the tie between the
# six *classes* of lags. The bars show the attention on each class for each seed.


# %%
def by_class(run, seed):
    """Mean attention on the tokens of lags 1, 7, 13, ..., of lags 2, 8, ..., and so on."""
    by_lag = run.mean_attention(seed=seed)[:-1][::-1]
    return by_lag.reshape(-1, 6).sum(axis=0)


figure, panels = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained", sharey=True)
shares = {name: np.array([by_class(run, seed) for seed in range(SEEDS)]) for name, run in runs.items()}
for panel, (name, of_seeds) in zip(panels, shares.items(), strict=True):
    image = panel.imshow(of_seeds, vmin=0, vmax=1, aspect="auto", extent=(0.5, 6.5, SEEDS - 0.5, -0.5))
    panel.set(title=name, xlabel="class of lags: 1, 2, ..., 6", xticks=range(1, 7))
panels[0].set_ylabel("seed")
figure.colorbar(image, ax=panels, label="attention on the class")
plt.show()

# %%
for name in ("small start", "mixed lengths", "curriculum"):
    on_one_class = shares[name].max(axis=1) > 0.99
    on_parents = rate_interval(shares[name].argmax(axis=1) == 0)
    print(f"{name:14} on the class of the parent: {on_parents.mean:.2f} [{on_parents.low:.2f}, {on_parents.high:.2f}]")
    assert on_one_class.mean() >= 0.9
    assert name == "small start" or on_parents.mean >= 0.9

# %% [markdown]
# All three end the failure. A random start picks a class by chance. Mixed lengths and the curriculum pick the
# parent's: a walk of any length has at least as many tokens of that class as of any other, and at p = 0.9 the parent
# tells most of the target. The page [What breaks the symmetry](../symmetry.md) tries 27 changes and says what each
# costs at other p.
