"""Masks: polygons drawn by mouse and keys, and what the face's file holds then."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from labelled import LABEL, content, pixels_of
from studio_server import Studio, open_workspace
from understudy.masks.labels import LabelHistory, read_labels, write_labels
from understudy.types import Polygon
from understudy.workspace import Workspace


def until_labels(path: Path, count: int) -> tuple[Polygon, ...]:
    """The face's polygons as soon as they are so many."""
    for _ in range(600):
        labels = read_labels(path)
        if len(labels) == count:
            return labels
        time.sleep(0.05)
    raise AssertionError(f"{len(labels)} polygons, not {count}")


def until_points(path: Path, polygon: int, count: int) -> np.ndarray:
    for _ in range(600):
        labels = read_labels(path)
        if len(labels) > polygon and len(labels[polygon].points) == count:
            return labels[polygon].points
        time.sleep(0.05)
    raise AssertionError(labels)


class Canvas:
    """The face on the screen: where its pixels lie while it is fitted."""

    def __init__(self, page: Page, side_px: int = 128) -> None:
        self.page = page
        box = page.locator("canvas.mask-canvas").bounding_box()
        assert box is not None
        self.scale = min(box["width"] - 16, box["height"] - 16) / side_px
        self.left = box["x"] + (box["width"] - side_px * self.scale) / 2
        self.top = box["y"] + (box["height"] - side_px * self.scale) / 2

    def to_screen(self, x: float, y: float) -> tuple[float, float]:
        return self.left + x * self.scale, self.top + y * self.scale

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.to_screen(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.to_screen(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.to_screen(*end), steps=3)
        self.page.mouse.up()


@pytest.fixture
def aligned(page: Page, faces: Path) -> Path:
    """The folder of six faces whose first one the page shows."""
    open_workspace(page, faces)
    page.get_by_role("link", name="Masks").click()
    expect(page.locator(".mask-status")).to_contain_text("1 / 6")
    return faces / "data_src" / "aligned"


def shows(page: Page, name: str) -> None:
    expect(page.locator(".mask-name")).to_have_text(name)


def test_polygons_are_drawn_changed_and_undone_on_disk(page: Page, aligned: Path) -> None:
    face = aligned / "00001_0.jpg"
    pixels, others = pixels_of(face), content(aligned)
    canvas = Canvas(page)
    for point in ((20, 20), (100, 24), (96, 100), (24, 104)):
        canvas.click(*point)
    canvas.click(20, 20)  # closes it
    points = until_points(face, 0, 4)
    np.testing.assert_allclose(points, [(20, 20), (100, 24), (96, 100), (24, 104)], atol=0.3)
    (drawn,) = read_labels(face)
    assert drawn.include

    canvas.drag((100, 24), (110, 30))
    for _ in range(100):
        if abs(read_labels(face)[0].points[1][0] - 110) < 0.3:
            break
        time.sleep(0.05)
    np.testing.assert_allclose(read_labels(face)[0].points[1], (110, 30), atol=0.3)
    page.keyboard.down("Control")
    canvas.click(22, 62)
    until_points(face, 0, 5)
    canvas.click(96, 100)
    page.keyboard.up("Control")
    assert len(until_points(face, 0, 4)) == 4
    page.keyboard.press("Escape")

    page.keyboard.press("w")
    for point in ((50, 50), (70, 50), (60, 70)):
        canvas.click(*point)
    page.keyboard.press("Enter")
    _, hole = until_labels(face, 2)
    assert not hole.include
    page.keyboard.press("Delete")
    until_labels(face, 1)
    page.keyboard.press("Control+z")
    until_labels(face, 2)
    page.keyboard.press("Control+Shift+z")
    until_labels(face, 1)

    assert pixels_of(face) == pixels
    after = content(aligned)
    assert {name for name in others if others[name] != after[name]} == {"00001_0.jpg"}
    assert LabelHistory(aligned).undo().name == "00001_0.jpg", "what was saved can be taken back"


def test_faces_are_flipped_through_by_keys_numbers_and_names(page: Page, aligned: Path) -> None:
    write_labels(aligned / "00005_0.jpg", LABEL)
    for key, name in (
        ("d", "00002_0.jpg"), ("Shift+D", "00006_0.jpg"), ("a", "00005_0.jpg"),
        ("Shift+A", "00001_0.jpg"), ("Control+d", "00005_0.jpg"),
    ):  # fmt: skip
        page.keyboard.press(key)
        shows(page, name)
    expect(page.locator(".mask-status")).to_contain_text("labelled 1")
    page.keyboard.press("d")
    shows(page, "00006_0.jpg")
    page.keyboard.press("c")  # polygons of the face before
    copied = until_labels(aligned / "00006_0.jpg", 2)
    for one, other in zip(copied, LABEL, strict=True):
        assert one.include == other.include
        assert (one.points == other.points).all(), "to the last bit"
    page.keyboard.press("g")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    shows(page, "00003_0.jpg")
    page.keyboard.press("x")
    shows(page, "00004_0.jpg")
    assert (aligned.with_name("aligned_trash") / "00003_0.jpg").is_file()
    assert not (aligned / "00003_0.jpg").exists()


def test_masks_are_shown_and_traced(page: Page, aligned: Path) -> None:
    page.keyboard.press("d")
    shows(page, "00002_0.jpg")
    page.keyboard.press("5")
    expect(page.get_by_role("button", name="Applied mask", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    page.wait_for_timeout(300)
    pixel = page.evaluate(
        "() => { const c = document.querySelector('canvas.mask-canvas');"
        "return [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]; }"
    )
    assert pixel == [255, 255, 255, 255], "the mask covers the middle of the face"
    page.keyboard.press("5")
    page.get_by_role("button", name="Trace applied mask").click()
    (traced,) = until_labels(aligned / "00002_0.jpg", 1)
    assert traced.include
    radii = np.hypot(*(traced.points - np.array([64, 70])).T)
    np.testing.assert_allclose(radii, 35, atol=1.5)


def test_a_conflict_is_told_and_nothing_is_lost(page: Page, aligned: Path) -> None:
    face = aligned / "00001_0.jpg"
    canvas = Canvas(page)
    for choice, left in (("Take theirs", 2), ("Keep mine", 1)):
        canvas.click(20, 20)
        canvas.click(100, 24)
        write_labels(face, LABEL)
        canvas.click(96, 100)
        expect(page.get_by_role("alert").filter(has_text="Another tab")).to_be_visible()
        assert len(read_labels(face)) == 2, "theirs stay until the user decides"
        page.keyboard.press("Enter")
        page.keyboard.press("d")
        page.wait_for_timeout(200)
        shows(page, "00001_0.jpg")
        page.get_by_role("button", name=choice).click()
        until_labels(face, left)
        expect(page.locator(".mask-state")).to_have_text("Saved")
        page.keyboard.press("Escape")
        write_labels(face, ())
        expect(page.locator(".mask-state")).to_contain_text("another tab")


def test_two_tabs_see_the_same_polygons(page: Page, aligned: Path) -> None:
    other = page.context.new_page()
    other.goto(page.url)
    shows(other, "00001_0.jpg")
    canvas = Canvas(page)
    for point in ((20, 20), (100, 24), (96, 100)):
        canvas.click(*point)
    page.keyboard.press("Enter")
    expect(other.locator(".mask-state")).to_contain_text("another tab")
    other.keyboard.press("n")
    other.keyboard.press("Delete")
    until_labels(aligned / "00001_0.jpg", 0)
    other.close()


def test_work_of_another_process_is_waited_for(page: Page, faces: Path, aligned: Path) -> None:
    face, canvas = aligned / "00001_0.jpg", Canvas(page)
    with Workspace.open(faces).lock():
        for point in ((20, 20), (100, 24), (96, 100)):
            canvas.click(*point)
        expect(page.get_by_role("alert").filter(has_text="process")).to_be_visible()
        assert not read_labels(face)
    assert len(until_labels(face, 1)[0].points) == 3, "saved by itself when it is over"


def test_malformed_questions_are_answered_with_their_reason(
    page: Page, studio: Studio, aligned: Path
) -> None:
    before = content(aligned)
    ask = """async ([key, questions]) => {
      const socket = new WebSocket(`ws://${location.host}/socket/labels/${key}`);
      await new Promise((done) => (socket.onopen = done));
      const answers = [];
      for (const [id, question] of questions.entries()) {
        socket.send(JSON.stringify({ id, ...question }));
        answers.push((await new Promise((done) => (socket.onmessage = done))).data);
      }
      return answers;
    }"""
    face = {"do": "save", "side": "src", "name": "00001_0.jpg", "version": ""}
    questions = [
        {"do": "format"},
        {"do": "face", "side": "../dst", "name": "00001_0.jpg"},
        {"do": "face", "side": "src", "name": "../../workspace.json"},
        {"do": "trash", "side": "src", "name": "/etc/passwd"},
        face | {"outlines": [[1, []]]},
        face | {"outlines": [[True, [[1, 10**300]]]]},
        face | {"outlines": [[True, [[True, "x"]]]]},
        {"do": "labelled", "side": "src", "names": ["x"] * 501},
    ]
    key = page.locator("#mask-editor").get_attribute("data-workspace")
    for answer in page.evaluate(ask, [key, questions]):
        assert "expected" in json.loads(answer)["error"].lower()
    assert content(aligned) == before
    assert studio.log_path.exists()
