"""The command line: steps become commands, events become lines, errors become exit codes."""
