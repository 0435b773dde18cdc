"""Steps that look after models, one file for each word after `understudy model`."""
