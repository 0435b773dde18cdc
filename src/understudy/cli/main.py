"""The entry: one command in, its report drawn, an exit code out.

0 done; 2 the user's input; 3 finished with failed items; 130 cancelled; 1 a bug, with its trace.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from understudy.errors import Cancelled, UnderstudyError
from understudy.processes import is_further_one

if TYPE_CHECKING:  # loaded once a command is asked for
    from understudy.options import Options
    from understudy.steps import Step


def main(tokens: Sequence[str] | None = None) -> int:
    """Exit code of one command line; `tokens` are those of the process if not given."""
    given = list(sys.argv[1:] if tokens is None else tokens)
    # Threads that wait for one another sleep instead of spinning: on a machine with other work to
    # do, spinning costs most of the time. Read once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Large tensors in pages of 2 MB: fewer look-ups of where memory lies.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        return _command(given)
    except UnderstudyError as error:
        print(f"understudy: {_one_line(error)}", file=sys.stderr)
        return error.exit_code
    except (Cancelled, KeyboardInterrupt):
        print("cancelled: what was finished is kept; start again to go on", file=sys.stderr)
        return Cancelled.exit_code
    except BrokenPipeError:  # the reader of our output went away
        return 0
    except Exception:  # noqa: BLE001 - the outermost entry: a bug is shown, never swallowed
        traceback.print_exc()
        print("understudy: this is a bug; the trace above says where", file=sys.stderr)
        return 1


def _command(tokens: Sequence[str]) -> int:
    from understudy.cli.commands import checked, parse_command

    parsed = parse_command(tokens)
    if parsed is None:
        return 0
    step, values, events = parsed
    options = checked(step, values)
    if is_further_one():
        return _help(step, options)

    from understudy.cli.drawing import Drawing, EventLog
    from understudy.cli.steering import obey_signals, obey_standard_input
    from understudy.job import Job
    from understudy.steps.perform import perform

    with contextlib.ExitStack() as stack:
        drawing = stack.enter_context(Drawing())
        sinks = [drawing]
        if events is not None:
            log = EventLog(events)
            stack.callback(log.close)
            sinks.append(log)  # type: ignore[arg-type]
        job = Job(step.name, sinks=sinks)
        obey_signals(job)
        obey_standard_input(job)
        report = perform(step.name, options, job)
    from understudy.cli.last_word import print_report

    print_report(report)
    return 3 if report.failed else 0


def _help(step: "Step", options: "Options") -> int:
    """Exit code of a process that torchrun started beside the first, which alone talks.

    Raises:
        OptionError: the step is one that runs in one process.
    """
    from understudy.cli.steering import obey_signals
    from understudy.job import Job
    from understudy.steps.together import check_may_run_together

    check_may_run_together(step.name)
    job = Job(step.name)
    obey_signals(job)
    step.function(options, job)
    return 0


def _one_line(error: UnderstudyError) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
