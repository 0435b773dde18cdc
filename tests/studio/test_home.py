"""Home: from two clips onwards by mouse, with what is on disk to show for it."""

import json
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from studio_server import Studio, open_workspace


def room(page: Page, key: str) -> Locator:
    return page.locator(f'[data-room="{key}"]')


def test_two_clips_become_faces_on_disk(
    page: Page, studio: Studio, clips: tuple[Path, Path]
) -> None:
    page.goto("/")
    page.get_by_label("Name").fill("first job")
    page.get_by_role("button", name="Make workspace").click()
    expect(page.get_by_role("heading", name="first job")).to_be_visible()
    root = studio.projects / "first job"
    assert (root / "workspace.json").is_file()
    expect(page.get_by_text("Bring in the clip with the face to put on")).to_be_visible()

    page.locator("#pick-src").set_input_files(clips[0])
    expect(room(page, "frames")).to_contain_text("6")
    assert (root / "data_src.mp4").read_bytes() == clips[0].read_bytes()
    assert len(list((root / "data_src").glob("*.png"))) == 6

    page.get_by_role("button", name="Find faces of src").click()
    expect(room(page, "extract")).to_contain_text("6")
    assert len(list((root / "data_src" / "aligned").glob("*.jpg"))) == 6

    expect(page.get_by_text("Bring in the plate the face is put into")).to_be_visible()
    page.get_by_label("Or its path on this machine").nth(1).fill(str(clips[1]))
    page.get_by_role("button", name="Use path").nth(1).click()
    expect(room(page, "frames")).to_contain_text("5")
    assert len(list((root / "data_dst").glob("*.png"))) == 5
    assert not list(root.glob(".*partial*"))


def test_a_clip_is_refused_with_its_reason(
    page: Page, console: list[str], faces: Path, tmp_path: Path
) -> None:
    open_workspace(page, faces)
    text = tmp_path / "notes.txt"
    text.write_text("no clip")
    page.locator("#pick-src").set_input_files(text)
    expect(page.locator('[data-side="src"] output')).to_contain_text("expected a clip")
    assert not list(faces.glob("data_src.*"))
    assert "400" in console.pop(), "the browser notes the refused request"


def test_consent_is_recorded(page: Page, faces: Path) -> None:
    open_workspace(page, faces)
    expect(page.locator("[data-consent]")).to_contain_text("not recorded")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("alert").filter(has_text="Expected a value")).to_be_visible()
    page.get_by_label("subject").fill("double-7")
    page.get_by_label("basis").click()
    page.get_by_role("option", name="synthetic").click()
    page.get_by_label("expires").fill("2031-05-01")
    page.get_by_role("button", name="Record").click()
    expect(page.locator("[data-consent]")).to_contain_text("double-7")
    record = json.loads((faces / "consent.json").read_text())
    assert (record["subject"], record["basis"]) == ("double-7", "synthetic")
    assert record["expires"] == "2031-05-01"


def test_two_tabs_see_the_same(page: Page, faces: Path) -> None:
    open_workspace(page, faces)
    other = page.context.new_page()
    other.goto(page.url)
    expect(room(other, "extract")).to_contain_text("6")
    (faces / "data_src" / "aligned" / "00001_0.jpg").unlink()
    for tab in (page, other):
        expect(room(tab, "extract")).to_contain_text("5")


def test_keys_lead_through_the_rooms(page: Page, faces: Path) -> None:
    open_workspace(page, faces)
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keys")
    expect(help_).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    jobs = page.get_by_role("navigation").get_by_role("link", name="Jobs")
    page.keyboard.press(jobs.get_attribute("data-key") or "")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    assert "?w=" in page.url, "the workspace is kept"
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name=faces.name, exact=True)).to_be_visible()


def test_settings_tell_devices_models_and_signer(page: Page, studio: Studio) -> None:
    page.goto("/settings")
    expect(page.get_by_text("processor threads")).to_be_visible()
    expect(page.get_by_text("processor", exact=False).first).to_be_visible()
    expect(page.get_by_text("mediapipe").first).to_be_visible()
    expect(page.get_by_text("certificate.pem")).to_be_visible()
