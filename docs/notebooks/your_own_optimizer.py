# %% [markdown]
# # Your own optimizer
#
# An optimizer is a function of `values`, the numbers of a run such as its learning rate, that gives an
# [Optax](https://optax.readthedocs.io) transformation. This notebook trains with two that rw_jax does not have,
# checks a claim about one, and sweeps over a parameter of the other.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optax

import rw_jax
from rw_jax.analysis.statistics import mean_interval, rate_interval

SEEDS = 8  # raise it for narrower intervals


def setting():
    """Walks of 25 states at p = 0.9, 300 of them, 40 steps."""
    config = rw_jax.base_config()
    config.task.p = 0.9
    config.task.walk_length = 25
    config.task.walks = config.task.test_walks = 300
    config.model.position_width = 60
    config.training.steps = 40
    return config


# %% [markdown]
# ## In one line
#
# Hand the function to `rw_jax.train`. Clipping looks at the norm of all gradients together, and this is another
# algorithm on the reduced form of the model (139 numbers) than on its full form (every entry of W). So rw_jax refuses
# it in the reduced form, and says what to do.


# %%
def clipped(values):
    """Gradient descent whose gradients have norm 0.3 at most."""
    return optax.chain(optax.clip_by_global_norm(0.3), optax.sgd(values["learning_rate"]))


try:
    rw_jax.train(setting(), optimizer=clipped)
except rw_jax.ConfigError as error:
    print(error)
else:
    raise AssertionError("It was not refused.")

# %%
config = setting()
config.model.form = "full"
run = rw_jax.train(config, optimizer=clipped)
print("expected accuracy", run.metrics["expected_accuracy"][-1].item(), "of at most", config.task.p)

# %% [markdown]
# ## An optimizer that is linear in the gradients
#
# A learning rate that falls with the step only multiplies the gradients. Say so, and the fast reduced form may be
# used. It is a claim about your optimizer that rw_jax cannot see, so check it: in float64 both forms must give the
# same V.


# %%
def _falling(values):
    schedule = optax.cosine_decay_schedule(1.0, decay_steps=40)
    return optax.chain(optax.scale_by_schedule(schedule), optax.sgd(values["learning_rate"]))


falling = rw_jax.Optimizer(_falling, is_linear=True)
V = {form: rw_jax.train(setting(), optimizer=falling, form=form, precision="float64").value_matrix()
     for form in ("reduced", "full")}  # fmt: skip
print("largest difference between the forms:", np.abs(V["reduced"] - V["full"]).max())
assert np.allclose(V["reduced"], V["full"], rtol=1e-6)

# %% [markdown]
# ## A grid over a parameter of your own
#
# A grid names its pieces, so the optimizer stands in a file. A function of something else than `values` makes the
# optimizer from its parameters, and each parameter can be an axis: here the largest norm of a gradient.

# %%
folder = Path(tempfile.mkdtemp())
(folder / "mine.py").write_text('''"""Optimizers of my own."""

import optax
import rw_jax


def clipped(limit):
    """Gradient descent whose gradients have a norm of at most `limit`."""

    def transformation(values):
        return optax.chain(optax.clip_by_global_norm(limit), optax.sgd(values["learning_rate"]))

    return rw_jax.Optimizer(transformation)
''')
config = setting()
config.model.form = "full"
config.training.optimizer = "mine.py:clipped"
config.training.options.limit = 0.1
config.grid.limit = (0.03, 0.1, 0.3)
config.grid.seed = range(SEEDS)
run = rw_jax.sweep(config, folder / "run", folders=[folder])

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for colour, group in enumerate(run.groups()):
    for panel, name in zip(panels, ("expected_accuracy", "parent_attention"), strict=True):
        mean, low, high, _ = zip(*map(mean_interval, group.metric(name).T), strict=True)
        panel.plot(group.steps, mean, color=f"C{colour}", label=f"norm at most {group.labels['limit']}")
        panel.fill_between(group.steps, low, high, color=f"C{colour}", alpha=0.2, linewidth=0)
for panel, name in zip(panels, ("expected accuracy", "attention on the parent"), strict=True):
    panel.set(xlabel="gradient step", ylabel=name, ylim=(0, 1.02))
panels[0].legend(fontsize=8)
plt.show()

# %%
success = {}
for group in run.groups():
    success[group.labels["limit"]] = share = rate_interval(group.metric("predicts_optimally")[:, -1])
    print(f"norm at most {group.labels['limit']:<5} optimal: {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]")
arrival = [int((group.metric("parent_attention").mean(axis=0) > 0.5).argmax()) for group in run.groups()]
print("steps until the parent has half of the attention in the mean:", arrival)
assert min(share.mean for share in success.values()) >= 0.9
assert arrival == sorted(arrival, reverse=True)

# %% [markdown]
# The lines are means over seeds with 95% intervals. A smaller norm makes training slower, and changes nothing about
# where it ends. More examples, Adam among them, are in [Extending](../extending.md).
