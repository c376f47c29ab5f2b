"""A whole grid on all devices: the only vmap over runs, jit and sharding of training; the host loop over chunks."""
