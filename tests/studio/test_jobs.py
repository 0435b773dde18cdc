"""Jobs: they queue, are stopped, tell why they failed, and outlive the studio."""

import http.client
import json
import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from made_faceset import make_workspace
from studio_server import Studio, free_port, open_workspace, start, stop
from understudy.errors import OptionError, WorkspaceBusyError
from understudy.steps.demo import CLIPS
from understudy.studio.command_lines import words_of
from understudy.studio.job_record import JobRecord
from understudy.studio.jobs import Jobs


def until(jobs: Jobs, record: JobRecord, *states: str) -> None:
    for _ in range(4800):
        jobs.tick()
        if record.state in states:
            return
        time.sleep(0.05)
    raise AssertionError((record.state, record.log_tail()))


def test_a_failure_tells_its_reason_and_can_be_tried_again(page: Page, faces: Path) -> None:
    (faces / "data_src.mp4").write_bytes(b"no film")
    open_workspace(page, faces)
    page.get_by_label("Or its path on this machine").first.fill(str(faces / "data_src.mp4"))
    page.get_by_role("button", name="Use path").first.click()
    page.goto("/jobs" + page.url[page.url.index("?") :])
    mine = page.locator(f'article[data-state="failed"]:has-text("{faces.name}")').first
    expect(mine.get_by_role("alert")).to_contain_text("data_src.mp4")
    mine.get_by_role("button", name="Details").click()
    expect(mine.locator("[data-log]")).to_contain_text("data_src.mp4")
    mine.get_by_role("button", name="Once more").click()
    expect(page.locator('article[data-job="0002"][data-state="failed"]').first).to_be_visible()
    records = [json.loads(p.read_text()) for p in sorted(faces.glob("studio/jobs/*/job.json"))]
    assert [record["state"] for record in records] == ["failed", "failed"]
    assert records[0]["values"] == records[1]["values"]


def pause(folder: Path) -> None:
    """Tell a job that has just begun to wait."""
    for _ in range(4800):
        if (folder / "input").exists():
            break
        time.sleep(0.05)
    handle = os.open(folder / "input", os.O_WRONLY)
    os.write(handle, b'{"command": "pause"}\n')
    os.close(handle)


def test_a_job_is_paused_and_stopped(page: Page, faces: Path) -> None:
    open_workspace(page, faces)
    page.get_by_label("Or its path on this machine").first.fill(str(CLIPS / "src.mp4"))
    page.get_by_role("button", name="Use path").first.click()
    pause(faces / "studio" / "jobs" / "0001")
    page.get_by_label("Or its path on this machine").nth(1).fill(str(CLIPS / "dst.mp4"))
    page.get_by_role("button", name="Use path").nth(1).click()
    page.get_by_role("link", name="See jobs").click()
    first = page.locator(f'article[data-job="0001"]:has-text("{faces.name}")')
    second = page.locator(f'article[data-job="0002"]:has-text("{faces.name}")')
    expect(second.get_by_text("waiting")).to_be_visible()
    second.get_by_role("button", name="Take off the queue").click()
    expect(second.get_by_text("stopped")).to_be_visible()
    first.get_by_role("button", name="Pause").click()
    first.get_by_role("button", name="Go on").click()
    first.get_by_role("button", name="Pause").click()
    first.get_by_role("button", name="Stop").click()
    expect(first.get_by_text("stopped")).to_be_visible()
    assert not list((faces / "data_dst").glob("*.png"))
    states = [
        json.loads(p.read_text())["state"] for p in sorted(faces.glob("studio/jobs/*/job.json"))
    ]
    assert states == ["cancelled", "cancelled"]


def test_a_job_outlives_its_studio(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w").root
    first = Jobs()
    first.open(root)
    values = {"side": "src", "workspace": root, "video": (CLIPS / "src.mp4",)}
    record = first.add("frames", values, workspace=root)
    first.tell(record, {"command": "pause"})
    looks = first.add("model list", {"workspace": root}, workspace=root)
    waits = first.add("consent", {"workspace": root}, workspace=root)
    until(first, looks, "done")  # it only looks, and does not wait for its turn
    assert (record.state, waits.state) == ("running", "waiting")
    with pytest.raises(WorkspaceBusyError, match="no other studio"):
        Jobs().open(root)
    first.close()

    later = Jobs()
    later.open(root)
    again = later.find(root, record.key)
    later.tick()
    assert again.state == "running"
    later.tell(again, {"command": "resume"})
    until(later, again, "done")
    assert (again.heard.report or {})["done"] == 150
    assert len(list((root / "data_src").glob("*.png"))) == 150
    until(later, later.find(root, waits.key), "done")
    assert not again.input_path.exists()
    with pytest.raises(OptionError, match="a job that runs"):
        later.tell(again, {"command": "save"})
    later.close()


def test_a_studio_that_starts_again_shows_what_it_had(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "projects" / "kept").root
    port, memory = free_port(), tmp_path / "home" / "studio" / "workspaces.json"
    stop(start(tmp_path, projects=root.parent, port=port, workspace=root))
    known = json.loads(memory.read_text())["workspaces"]
    assert known == [str(root)]
    memory.write_text(json.dumps({"workspaces": [str(tmp_path / "gone"), *known]}))
    child = start(tmp_path, projects=root.parent, port=port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    shown = connection.getresponse().read().decode()
    connection.close()
    stop(child)
    assert "kept" in shown
    assert "not opened again" in (tmp_path / "log.txt").read_text()


def test_words_are_what_a_user_would_type(tmp_path: Path) -> None:
    values = {"side": "dst", "workspace": tmp_path, "video": ["-a.mp4", "b c.mp4"], "fps": 12}
    assert words_of("frames", values) == [
        *("frames", "dst", f"--workspace={tmp_path}"),
        *("--video=-a.mp4", "--video=b c.mp4", "--fps=12.0"),
    ]
    flags = words_of("train", {"workspace": tmp_path, "random_warp": False, "gan_power": 0.1})
    assert set(flags[1:]) == {f"--workspace={tmp_path}", "--gan-power=0.1", "--no-random-warp"}
    with pytest.raises(OptionError, match="--fps"):
        words_of("frames", {"side": "dst", "fps": -1})


def test_events_of_a_step_within_end_nothing(tmp_path: Path) -> None:
    values = {"workspace": str(tmp_path)}
    record = JobRecord.create(tmp_path / "0001", "run", values, workspace=tmp_path, now=1.0)
    lines = [
        {"event": "started", "step": "run", "time": 1.0, "options": {}},
        {"event": "progress", "step": "frames src", "time": 2.0, "done": 3, "total": 9,
         "message": "a"},
        {"event": "finished", "step": "frames src", "time": 3.0, "report": {"failed": []}},
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    record.events_path.write_text(text + '{"event": "fin')
    assert record.listen()
    assert (record.heard.end, record.heard.done, record.heard.step) == ("", 3, "frames src")
    with record.events_path.open("a") as file:
        file.write('ished", "step": "run", "time": 4.0, "report": {"failed": [1]}}\nno json\n')
    record.listen()
    assert record.heard.end == "finished"
    assert "unreadable event" in record.heard.messages[-1][1]
    assert not record.listen()


def test_the_page_of_a_long_queue_has_no_end_of_memory(studio: Studio, tmp_path: Path) -> None:
    record = JobRecord.create(tmp_path / "0001", "train", {}, workspace=tmp_path, now=1.0)
    line = json.dumps({"event": "message", "step": "train", "time": 2.0, "text": "x" * 80}) + "\n"
    with record.events_path.open("w") as file:
        for _ in range(100_000):
            file.write(line)
    while record.listen():
        pass
    assert len(record.heard.messages) == 300
    assert all(text == "x" * 80 for _, text in record.heard.messages)
