"""Every way to sort: the predecessor's orders, and what any order must be."""

import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import MaterialError, OptionError
from understudy.faces.identity.texture import TextureEmbedder
from understudy.facesets.sorting.look import KINDS
from understudy.facesets.sorting.methods import SORTS, SortSettings
from understudy.facesets.sorting.table import Table, measure
from understudy.job import Job
from understudy.steps.sort import SortName

EVERYTHING = tuple(kind for kind in KINDS if kind != "identity_sface")  # weights of one's own
SCORES = {
    "brightness": "brightness",
    "hue": "hue",
    "black": "black",
    "blur": "blur",
    "motion_blur": "motion_blur",
    "pitch": "pitch",
    "yaw": "yaw",
    "roll": "roll",
    "rect_area": "rect_area",
    "source_filename": "source",
}


@pytest.fixture(scope="module")
def table(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """All measures of the golden faceset, which is left untouched."""
    aligned = tmp_path_factory.mktemp("sorting") / "aligned"
    aligned.symlink_to(shared / "golden/imaging/faceset")
    with pytest.MonkeyPatch.context() as patch:
        cache = aligned.parent / "cache" / "measures.sqlite"
        patch.setattr("understudy.facesets.sorting.cache.cache_path", lambda _: cache)
        return measure(aligned, EVERYTHING, Job("sort"))


def golden(shared: Path, name: str) -> Any:
    return json.loads((shared / f"golden/imaging/sort/{name}.json").read_text())


def test_scores(shared: Path, table: Table) -> None:
    """Sums of the same numbers: equal but for rounding; angles as far as two solvers agree."""
    rows = {row["name"]: row for row in golden(shared, "scores")}
    assert list(table.names) == sorted(rows)
    for index, name in enumerate(table.names):
        for theirs, ours in SCORES.items():
            if theirs not in rows[name]:
                assert not table["is_face"][index]
                continue
            found, expected = table[ours][index], rows[name][theirs]
            if theirs == "source_filename":
                assert found.decode() == expected
            else:
                angle = theirs in ("pitch", "yaw", "roll")
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-3 if angle else 1e-9)


def cases() -> list[tuple[str, str, SortSettings]]:
    others = ("absdiff", "landmark-fit", "duplicate", "identity", "final-by-blur", "final-by-size")
    plain = [(name, name, SortSettings()) for name in SORTS if name not in others]
    for target in (2000, 500, 256, 128):
        settings = SortSettings(target=target)
        plain.append((f"final_{target}", "final-by-blur", settings))
        plain.append((f"final-fast_{target}", "final-by-size", settings))
    plain.append(("absdiff_similar", "absdiff", SortSettings()))
    plain.append(("absdiff_dissimilar", "absdiff", SortSettings(similar=False)))
    return plain


@pytest.mark.parametrize(("case", "name", "settings"), cases(), ids=lambda v: str(v)[:20])
def test_golden_orders(
    shared: Path, table: Table, case: str, name: str, settings: SortSettings
) -> None:
    expected = golden(shared, "sort_orders")[case]
    order = SORTS[name].order(table, settings, Job("sort"))
    assert [table.names[i] for i in order.kept] == expected["kept_order"]
    assert sorted(table.names[i] for i in order.rejected) == sorted(expected["trash"])


@pytest.mark.parametrize("name", SORTS)
def test_an_order_is_a_permutation(table: Table, name: str) -> None:
    part = table.part(range(3, 40, 2))
    columns = {key: column.copy() for key, column in part.columns.items()}
    orders = [SORTS[name].order(part, SortSettings(target=5), Job("sort")) for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(orders[0].kept + orders[0].rejected) == list(range(len(part)))
    assert all(np.array_equal(part[key], column) for key, column in columns.items())
    assert set(SORTS[name].kinds_with(SortSettings())) <= set(EVERYTHING)
    assert SORTS[name].sentence.endswith(".")


@pytest.mark.parametrize("name", SORTS)
def test_a_table_of_one(table: Table, name: str) -> None:
    order = SORTS[name].order(table.part([0]), SortSettings(), Job("sort"))
    assert order.kept == (0,) and order.rejected == ()


def test_the_step_offers_every_sort() -> None:
    assert set(typing.get_args(SortName)) == set(SORTS)


@pytest.mark.parametrize("target", [1, 10, 40, 64])
def test_few_best_faces_are_as_many_as_asked_for(table: Table, target: int) -> None:
    """Where the predecessor throws all away."""
    for name in ("final-by-blur", "final-by-size"):
        order = SORTS[name].order(table, SortSettings(target=target), Job("sort"))
        assert len(order.kept) == min(target, 61)
    faces = np.array(order.kept)
    if target == 40:
        yaw = table["yaw"][table["is_face"]]
        assert np.ptp(table["yaw"][faces]) > 0.8 * np.ptp(yaw), "spread over the directions"


def test_duplicates_leave_the_better_one(table: Table) -> None:
    twice = table.part([5, 6, 5, 7, 6])
    twice["blur"][:] = [0.1, 0.9, 0.2, 0.3, 0.8]
    order = SORTS["duplicate"].order(twice, SortSettings(closeness=1.0), Job("sort"))
    assert order.kept == (1, 2, 3) and order.rejected == (0, 4)
    noisy = table.part([5, 6])
    noisy["picture"][1] = np.clip(noisy["picture"][0].astype(int) + 3, 0, 255)
    for closeness, kept in ((1.0, 2), (4.0, 1)):
        settings = SortSettings(closeness=closeness)
        assert len(SORTS["duplicate"].order(noisy, settings, Job("sort")).kept) == kept


def test_a_blink_is_no_duplicate(table: Table) -> None:
    """The whole differs by less than its limit, one place by more than its own."""
    two = table.part([5, 5])
    two["picture"][1, 12:16, 8:12] ^= 32
    assert len(SORTS["duplicate"].order(two, SortSettings(closeness=5.0), Job("sort")).kept) == 2
    assert len(SORTS["duplicate"].order(two, SortSettings(closeness=17.0), Job("sort")).kept) == 1


def test_identity_puts_people_together(shared: Path, table: Table) -> None:
    said: list[str] = []
    job = Job("sort", sinks=[lambda event: said.append(event.data["text"])])
    order = SORTS["identity"].order(table, SortSettings(), job)
    assert table.names[order.rejected[0]] == "00902_0.jpg" and len(order.kept) == 61
    assert "people" in said[0]
    with pytest.raises(OptionError, match="embedder"):
        SORTS["identity"].kinds_with(SortSettings(embedder="none"))


def test_identity_keeps_one_person(table: Table) -> None:
    faces = np.flatnonzero(table["is_face"])
    likeness = table["embedding"][faces] @ table["embedding"][5]
    settings = SortSettings(like=(table.path(5),))
    order = SORTS["identity"].order(table, settings, Job("sort"))
    assert sorted(order.kept) == sorted(faces[likeness >= TextureEmbedder.same_person].tolist())
    assert 5 in order.kept and 0 < len(order.kept) < len(faces)
    assert sorted(order.kept + order.rejected) == list(range(len(table)))
    no_face = SortSettings(like=(table.aligned_dir / "00902_0.jpg",))
    with pytest.raises(MaterialError, match="face out of a faceset"):
        SORTS["identity"].order(table, no_face, Job("sort"))


def test_landmark_fit_shows_the_worst_first(table: Table) -> None:
    order = SORTS["landmark-fit"].order(table, SortSettings(), Job("sort"))
    assert table.names[order.kept[0]] == "00902_0.jpg", "no landmarks at all"
    misfit = table["misfit"][list(order.kept[1:])]
    assert (np.diff(misfit) <= 0).all() and misfit[0] > 0


def test_oneface_leaves_other_names_alone(table: Table) -> None:
    names = ["a.jpg", "00004_0.jpg", "00004_1.jpg", "7_x.jpg", "00005_0.jpg"]
    part = Table(table.aligned_dir, names, {})
    order = SORTS["oneface"].order(part, SortSettings(), Job("sort"))
    assert order.kept == (0, 3, 4) and order.rejected == (1, 2)


def test_absdiff_needs_one_size(table: Table) -> None:
    part = table.part([0, 1])
    part["shape"][1] = 512
    with pytest.raises(MaterialError, match=r"256x256, 512x512.*resize"):
        SORTS["absdiff"].order(part, SortSettings(), Job("sort"))
