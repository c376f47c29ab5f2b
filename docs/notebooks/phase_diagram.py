# %% [markdown]
# # A phase diagram
#
# How many walks does a transformer need, and how does that depend on p? Any field of a config can be an axis. Two
# axes and a few seeds give a map.

# %%
# %matplotlib inline
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import rw_jax
from rw_jax.analysis import plots
from rw_jax.analysis.statistics import rate_interval

SEEDS = 8  # raise it for narrower intervals

# %% [markdown]
# The grid below has an axis for p, one for the number of training walks, and one for the seed. All p and seeds share
# a compiled program. Each number of walks is a program of its own, since it changes the shape of the data.

# %%
config = rw_jax.base_config()
config.task.walk_length = 25
config.task.test_walks = 300
config.grid.p = (0.02, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.98)
config.grid.walks = (30, 100, 300, 1000)
config.grid.seed = range(SEEDS)
run = rw_jax.sweep(config, tempfile.mkdtemp())
run

# %% [markdown]
# ## The map
#
# Left: the share of seeds whose attention is highest on the direct parent. Right: the share that predict optimally.

# %%
figure, numbers = plots.success_over(run, "p", "walks")
figure

# %% [markdown]
# The numbers behind the map carry intervals. These are the shares of seeds that predict optimally, over all p
# together.

# %%
last = run.metrics.isel(step=-1)
optimal, on_parent = last["predicts_optimally"], last["parent_is_highest"]
pooled = [rate_interval(optimal.sel(walks=walks).values) for walks in run.metrics.walks.values]
for walks, share in zip(run.metrics.walks.values, pooled, strict=True):
    print(f"{walks:5} walks: {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}] of {share.seeds} runs")
assert pooled[-1].low > pooled[0].high

# %% [markdown]
# More walks help, but the two maps differ. Just beside p = 1/2 many seeds attend to the parent and predict wrongly: a
# small sample often has a wrong majority at some node. Near p = 0 and 1 the two maps agree: what fails there is
# attention.

# %%
right_place = (on_parent - optimal).sel(walks=100).mean("seed")
beside = right_place.sel(p=[0.4, 0.6]).mean().item()
far = right_place.sel(p=[0.1, 0.9]).mean().item()
print(f"with 100 walks, on the parent and not optimal: {beside:.2f} at p = 0.4 and 0.6, {far:.2f} at p = 0.1 and 0.9")
assert beside > far + 0.2
assert far < 0.1
figure, panel = plt.subplots(figsize=(7, 3.2), layout="constrained")
for i, walks in enumerate(run.metrics.walks.values):
    shares = [rate_interval(optimal.sel(p=p, walks=walks).values) for p in run.metrics.p.values]
    mean, low, high = np.array(shares)[:, :3].T
    beyond, of_walks = (mean - low, high - mean), f"{walks} walks"
    panel.errorbar(run.metrics.p + 0.004 * i, mean, beyond, marker=".", linewidth=1, label=of_walks)
panel.set(xlabel="p", ylabel="share of seeds that predict optimally", ylim=(-0.03, 1.03))
figure.legend(loc="outside right", fontsize=8, title="95% Wilson\nintervals", title_fontsize=8)
plt.show()
