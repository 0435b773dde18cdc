"""What `bench merge` measures is what it says, and there is a case for every option offered."""

from typing import get_args

import numpy as np
import pytest

from understudy.bench import merge as bench
from understudy.merging.merge import merge_into
from understudy.merging.settings import MergeSettings
from understudy.steps.bench import MergeCase


def test_every_case_that_is_offered_is_there():
    assert list(get_args(MergeCase)) == list(bench.CASES)


@pytest.mark.parametrize("case", [name for name in bench.CASES if name not in ("overlay", "4k")])
def test_every_case_changes_the_picture(case):
    shape = (180, 320)
    plate = np.random.default_rng(0).integers(60, 200, (*shape, 3)).astype(np.uint8)
    landmarks = (bench._landmarks(shape) - [160, 90]) * 0.25 + [160, 90]
    predictor = bench.PlainPredictor(64)

    def merged(values: dict[str, object]) -> np.ndarray:
        settings = MergeSettings(**values)
        return merge_into(plate, [landmarks], predictor, settings, motions=[bench.MOTION])[0]

    assert not np.array_equal(merged(bench.CASES[case]), merged({}))
