"""Training of face and mask models.

A room for each part of it, and each imports only those before it: plan, samples, step, state,
memory, monitor, loop, distributed.
"""
