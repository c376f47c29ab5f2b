"""What one-layer decoders with two kinds of query learn of whole walks, of all positions and of all lengths: 180 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths_decoder.py
    python -m studies all_lengths

Time: about ten minutes on 2 cores. Expect the loss over all positions to do what walks of all lengths do where the last
token is the query, and to fail where the query is an empty slot, which is at the same place for every length.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "all_lengths_decoder"
    config.task.num_nodes, config.task.walk_length, config.model.position_width = 12, 25, 125
    config.model.form = "decoder"
    config.record.every, config.record.parameters = 50, ()
    trained_on = {"whole walks": {}, "all positions": {"target": "all"}, "all lengths": {"shortest_walk": 2}}
    config.grid.arm = {
        f"{query}; {words}": {"query": name, **changes}
        for query, name in (("empty slot", "empty"), ("last token", "last"))
        for words, changes in trained_on.items()
    }
    config.grid.p = (0.9, 0.93, 0.97)
    config.grid.seed = range(10)
    return config
