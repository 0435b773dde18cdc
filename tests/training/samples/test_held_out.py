"""What is kept aside: few faces, far apart, neighbours on film."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.training.samples.held_out import names_in_time, split_held_out


@given(st.integers(0, 200), st.floats(0, 0.5), st.integers(0, 3))
def test_held_out_faces_are_few_and_apart(count: int, share: float, seed: int) -> None:
    names = [f"{i:05d}" for i in range(count)]
    trained, aside = split_held_out(names, share=share, seed=seed)
    assert sorted([*trained, *aside]) == list(range(count))
    assert len(aside) <= count // 2
    assert (len(aside) > 0) == (count > 8 and share > 0)
    again = split_held_out(names, share=share, seed=seed)
    np.testing.assert_array_equal(aside, again[1])


def test_held_out_faces_are_neighbours_on_film() -> None:
    names = [f"{(i * 37) % 200:05d}" for i in range(200)]
    _, aside = split_held_out(names, share=0.04, seed=1)
    frames = sorted(int(names[i]) for i in aside)
    assert len(frames) == 8
    assert frames[3] - frames[0] == 3
    assert frames[7] - frames[4] == 3
    assert frames[4] - frames[3] > 1


def test_names_in_time(make_faces) -> None:
    assert names_in_time(make_faces(2)) == ["00000.png", "00001.png"]
