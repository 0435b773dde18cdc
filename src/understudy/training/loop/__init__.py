"""A run from its first iteration to its last: what to train, when to save and when to end."""
