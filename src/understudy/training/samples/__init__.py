"""Faces and labels in, batches out: what the network is shown at each iteration."""
