"""Random Markov chains on infinitely many walks: 527 chains of 15 families on 8 nodes, without a seed.

    python -m rw_jax.main --config=studies/chains/configs/chains.py
    python -m studies chains

Every chain is a label of axes that are paired: its family, with the parameters that it has. All share one program.
Time: about ten minutes on 2 cores. Expect attention on the last token for reversible chains with a uniform law, and on
others where there is drift (docs/chains.md).
"""

import random

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "chains"
    config.task.name = "chain"
    config.task.num_nodes, config.task.walk_length, config.model.position_width = 8, 49, 343  # M = N^1.5
    config.task.walks = "infinite"
    config.precision = "float64"
    config.training.steps = 200
    config.record.every = 200
    config.record.parameters = (1, 2, 3, 10, 50)
    chains = drawn(random.Random(0))
    for name in chains[0]:
        if name != "p":
            config.task.options[name] = chains[0][name]
        config.grid[name] = tuple(chain[name] for chain in chains)
    config.zipped = (tuple(chains[0]),)
    return config


def drawn(generator: random.Random) -> list[dict]:
    """The chains: the axes that tell one from another; a family takes those of its parameters."""
    counts = {
        "cycle": 40, "lazy_cycle": 40, "near_cycle": 80, "path": 40, "regular": 40, "de_bruijn": 40, "dirichlet": 80,
        "reversible": 80, "doubly_stochastic": 80, "star": 1, "complete": 1, "torus": 1, "hypercube": 1, "barbell": 1,
        "tree": 2,
    }  # fmt: skip
    chains = []
    for family, count in counts.items():
        for number in range(count):
            chains.append(
                {
                    "graph_seed": len(chains),
                    "family": family,
                    "p": round(generator.uniform(0.5, 0.99), 3),
                    "laziness": round(generator.uniform(0.05, 0.8), 3),
                    "noise": round(10 ** generator.uniform(-3, -0.5), 4),
                    "spread": round(generator.uniform(0, 0.4), 3),
                    "degree": 2 + number % 2 if family == "tree" else 3 + number % 3,
                    "concentration": round(10 ** generator.uniform(-1, 1), 3),
                    "rows": 2,
                }
            )
    return chains
