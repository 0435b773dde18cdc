"""Contact sheets hold every face once, whole, with its caption."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.facesets.survey.canvas import BACKGROUND, Canvas
from understudy.facesets.survey.sheet import MARGIN_PX, Cell, draw_sheet, spread, thumbnail


def plain(level: int, side: int = 40) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def test_every_face_is_on_the_page_once() -> None:
    cells = [Cell(plain(80 + 10 * i)) for i in range(7)]
    page = draw_sheet(cells, columns=3, cell_px=40, title="src")
    for i in range(7):
        ys, xs = np.nonzero((page == 80 + 10 * i).all(2))
        inside = (xs >= MARGIN_PX) & (ys >= MARGIN_PX + 30)
        assert inside.sum() >= 1600
    first = np.argwhere((page[MARGIN_PX + 30 :] == 80).all(2)).min(0)
    second = np.argwhere((page[MARGIN_PX + 30 :] == 90).all(2)).min(0)
    fourth = np.argwhere((page[MARGIN_PX + 30 :] == 110).all(2)).min(0)
    assert second[0] == first[0]
    assert second[1] > first[1]
    assert fourth[0] > first[0]
    assert fourth[1] == first[1]


def test_captions_are_drawn_and_never_leave_their_cell() -> None:
    cells = [Cell(plain(0), caption="x" * 300, note="note"), Cell(plain(0))]
    page = draw_sheet(cells, columns=2, cell_px=120, title="t")
    bare = draw_sheet([Cell(plain(0)), Cell(plain(0))], columns=2, cell_px=120, title="t")
    below = page[bare.shape[0] - MARGIN_PX :]
    assert (below != BACKGROUND).any()
    assert (below[:, MARGIN_PX + 120 + 4 :] == BACKGROUND).all()


def test_oblong_pictures_stay_whole() -> None:
    wide = np.zeros((20, 80, 3), np.float32)
    wide[:, :, 0] = 1
    small = thumbnail(wide, 40)
    red = (small == (255, 0, 0)).all(2)
    assert red.sum() == 40 * 10
    assert red[15:25].all()


def test_names_in_any_script_and_broken_ones() -> None:
    canvas = Canvas(400, 40)
    end = canvas.text("片段 Ünï \x00\ud83d", (10, 30))
    assert end > 40
    assert (canvas.pixels != BACKGROUND).any()
    assert canvas.fitted("00012_0", 400) == "00012_0"
    short = canvas.fitted("a_very_long_name_00012_0", 100)
    assert short.startswith("a_v")
    assert short.endswith("_0")
    assert canvas.text_width(short) <= 100


@given(st.integers(1, 400), st.integers(0, 500))
def test_spread_is_even_and_whole(count: int, wanted: int) -> None:
    places = spread(count, wanted)
    assert len(places) == min(wanted or count, count)
    assert len(set(places)) == len(places)
    assert places == sorted(places)
    assert places[0] == 0
    assert max(places) < count
    gaps = np.diff(places)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
