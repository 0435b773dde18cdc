"""Options of the smallest model worth training, for tests that run commands."""

# the check takes two seconds for its libraries; tests of memory have it on
TINY = ["--no-memory-check", "--resolution", "64", "--ae-dims", "16", "--e-dims", "8"]
TINY += ["--d-dims", "8", "--d-mask-dims", "4", "--batch-size", "2", "--threads", "1"]
