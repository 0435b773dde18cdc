import threading

import pytest
import torch

from understudy.training.step.crew import Crew


def test_results_come_in_order_from_threads_that_share_the_processor_threads() -> None:
    torch.set_num_threads(2)
    crew = Crew(2)
    both = threading.Barrier(2)

    def task(number: int) -> tuple[int, int]:
        both.wait(timeout=10)  # passes only if both run at once
        torch.ones(200_000).add_(1)
        return number, torch.get_num_threads()

    try:
        assert crew.run([lambda: task(1), lambda: task(2)]) == [(1, 1), (2, 1)]
        assert torch.get_num_threads() == 2
    finally:
        crew.close()
        torch.set_num_threads(1)


def test_an_error_reaches_the_caller_after_all_have_ended() -> None:
    crew = Crew(2)
    ended = []

    def fails() -> None:
        raise ValueError("as told")

    try:
        with pytest.raises(ValueError, match="as told"):
            crew.run([fails, lambda: ended.append(1)])
        assert ended == [1]
    finally:
        crew.close()
