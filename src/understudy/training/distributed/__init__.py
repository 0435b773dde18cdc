"""One run in several processes, each of which makes a part of every batch."""
