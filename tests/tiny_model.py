"""Options of the smallest model worth training, for tests that run commands."""

TINY = ["--resolution", "64", "--ae-dims", "16", "--e-dims", "8", "--d-dims", "8"]
TINY += ["--d-mask-dims", "4", "--batch-size", "2", "--threads", "1"]
TINY += ["--no-memory-check"]  # two seconds of libraries; tests of memory have it on
