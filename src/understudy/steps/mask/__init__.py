"""Steps on masks and their labels, one file for each word after `understudy mask`."""
