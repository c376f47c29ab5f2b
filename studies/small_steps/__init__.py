"""Which findings survive small steps: success by the learning rate, from 1 down to gradient flow."""
