"""One iteration: a batch in, losses out, the weights changed in place."""
