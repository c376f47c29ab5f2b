# %% [markdown]
# # Learn a walk and read the weights
#
# A walker goes round a circle of six nodes: one step clockwise with probability p = 0.8, else one step back. We train
# a few one-layer transformers on such walks and then look at what their weights say. There are only three things to
# read: the value matrix V, the score u of each state, and the score a of each position.

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import rw_jax
from rw_jax.analysis.interpret import spectrum
from rw_jax.analysis.statistics import mean_interval, median_interval, rate_interval

SEEDS = 8  # raise it for narrower intervals
P = 0.8

# %% [markdown]
# `rw_jax.base_config()` is the setting of the paper: walks of 97 states, 1,000 of them, 50 steps of gradient descent
# from zero. A seed draws its own walks.

# %%
config = rw_jax.base_config()
config.grid.p = (P,)
config.grid.seed = range(SEEDS)
config.record.parameters = (0, 1, 2, 3, 5, 10, 20, 50)
run = rw_jax.sweep(config, tempfile.mkdtemp())
run


# %%
def in_words(estimate):
    """A number over seeds with its 95% interval."""
    number, low, high, _ = estimate
    return f"{number:.3f} [{low:.3f}, {high:.3f}]"


last = run.evaluate()  # every metric after the last step; the axis that is left out, the seed, stays an axis
optimal = rate_interval(last["predicts_optimally"].values)
print("expected accuracy    ", in_words(mean_interval(last["expected_accuracy"].values)), "of at most", P)
print("predicts optimally   ", in_words(optimal))
print("attends to the parent", in_words(rate_interval(last["parent_is_highest"].values)))
assert optimal.mean >= 0.9

# %% [markdown]
# ## The value matrix
#
# Entry V[i, s] is the vote of state s for the next state i. The best predictor uses Πᵀ, the transposed transition
# matrix. Training does not arrive there. V has the pattern of the elementwise *square root* of Πᵀ, on a small
# constant background. Both predict the same state, because the square root keeps the order of the entries.

# %%
Pi = run.transition_matrix(seed=0)  # the same for all seeds
V = run.trajectory("value", seed=0).sel(step=50).values


def unit(matrix):
    return matrix / np.linalg.norm(matrix)


figure, panels = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
shown = {"V after 50 steps (seed 0)": V, "Πᵀ": Pi.T, "square root of Πᵀ": np.sqrt(Pi.T)}
for panel, (title, matrix) in zip(panels, shown.items(), strict=True):
    image = panel.imshow(unit(matrix), vmin=0, vmax=unit(Pi.T).max())
    panel.set(title=title, xlabel="state now")
panels[0].set_ylabel("next state")
figure.colorbar(image, ax=panels, label="entry at unit norm")
plt.show()

# %%
to_law = last["value_direction_error"].values
to_root = last["value_sqrt_direction_error"].values
print("distance of V from Πᵀ             ", in_words(mean_interval(to_law)))
print("distance of V from its square root", in_words(mean_interval(to_root)))
assert np.mean(to_root < to_law) >= 0.9  # V is nearer to the square root

# %% [markdown]
# ## Attention and spectrum
#
# Left: the weight of each token, averaged over test walks, against its lag: how many states before the target it
# stands. The direct parent has lag 1. The scale is logarithmic. Weights below 1e-20 are not shown.
#
# Right: the eigenvalues of V by Fourier mode, divided by that of mode 0. V is nearly circulant, since the circle looks
# the same from every node. The real parts of Πᵀ and of its square root coincide, so that the orange line is hidden.
# The imaginary parts know the direction of the drift and tell the two apart. V is nearer to 0 than either in every
# other mode, because its constant background adds to mode 0 alone.

# %%
slots = run.trajectory("mean_attention").sel(step=50).values  # seeds x slots, the empty one last
attention = slots[:, :-1][:, ::-1]  # seeds x lags
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
lags = np.arange(1, attention.shape[1] + 1)
left.semilogy(lags, np.where(attention > 1e-20, attention, np.nan).T, ".", color="C0", markersize=3)
left.set(xlabel="lag (states before the target)", ylabel="mean attention weight", title="Attention of each seed")
learned = run.spectrum()
learned = (learned / learned.isel(mode=0)).values
modes = np.arange(6)
for part, marker in ((np.real, "o"), (np.imag, "s")):
    name = "real" if part is np.real else "imaginary"
    right.plot(modes, part(learned).T, marker, color="C0", markersize=3)
    right.plot([], [], marker, color="C0", markersize=3, label=f"V, {name}")
    for matrix, colour, words in ((Pi.T, "C1", "Πᵀ"), (np.sqrt(Pi.T), "C2", "square root")):
        of_matrix = spectrum(matrix)
        style = "-" if part is np.real else "--"
        right.plot(modes, part(of_matrix / of_matrix[0]), style, color=colour, linewidth=1, label=f"{words}, {name}")
right.set(xlabel="Fourier mode", ylabel="eigenvalue over that of mode 0", title="Spectrum of V of each seed")
right.legend(fontsize=7, ncols=2)
plt.show()

# %%
slopes = {"Πᵀ": spectrum(Pi.T)[1], "its root": spectrum(np.sqrt(Pi.T))[1]}
slopes = {name: value.imag / value.real for name, value in slopes.items()}
of_V = learned[:, 1].imag / learned[:, 1].real
print("imaginary over real part in mode 1:", {name: round(value, 3) for name, value in slopes.items()})
print("of V:", in_words(mean_interval(of_V)))
of_root = spectrum(np.sqrt(Pi.T))
assert np.mean(np.abs(learned[:, 1:]) < np.abs(of_root[1:] / of_root[0])) >= 0.9
assert np.mean(np.abs(of_V - slopes["its root"]) < np.abs(of_V - slopes["Πᵀ"])) >= 0.9

# %% [markdown]
# ## What the score of a state does
#
# The score of a token is u[state] + a[position]. The best predictor needs no u, because the circle looks the same
# from every node. Training finds some u all the same. Does it matter? `run.evaluate` takes other parameters in the
# place of the learned ones. We set u to zero, and then a, and measure everything again.

# %%
without_u = run.evaluate(params=lambda own: {"state_scores": np.zeros_like(own["state_scores"])})
without_a = run.evaluate(params=lambda own: {"position_scores": np.zeros_like(own["position_scores"])})
for name, measured in {"as trained": last, "u = 0": without_u, "a = 0": without_a}.items():
    print(f"{name:10} expected accuracy {in_words(mean_interval(measured['expected_accuracy'].values))}")

u = run.trajectory("state_scores").sel(step=50).values
a = run.trajectory("position_scores").sel(step=50).values[:, :-1]
lead = a[:, -1] - a[:, :-1].max(axis=1)
print("range of u over states, median        ", in_words(median_interval(np.ptp(u, axis=1))), "nats")
print("lead of a at the direct parent, median", in_words(median_interval(lead)), "nats")
assert np.median(lead) > 5 * np.median(np.ptp(u, axis=1))
changed = np.abs(without_u["expected_accuracy"] - last["expected_accuracy"]).values
assert np.mean(changed < 1e-3) >= 0.9
assert np.median(without_a["expected_accuracy"]) < 0.25

# %% [markdown]
# Without u nothing changes: the positions lead by many times the range of u, so that u decides nothing. Without a the
# prediction is about as good as chance. The transformer has learned *where* to look from a, and *what follows* from
# V.
