"""Sessions of DeepFaceLab's merger: taken over frame by frame, or refused."""

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.errors import FormatError, UnsafeFileError
from understudy.job import Job
from understudy.media.images import list_unique_images, read_pixels
from understudy.merging.dfl_session import readable_settings
from understudy.merging.merge import merge_into
from understudy.merging.settings import MergeSettings, from_dfl
from understudy.options import parse
from understudy.steps.merge import faces_by_frame
from understudy.steps.merge_networks import load_predictor
from understudy.steps.merge_plan import plan_merge
from understudy.steps.merge_work import FrameWork
from understudy.workspace import Workspace

START = {
    "type": 1,
    "sharpen_dict": {0: "None", 1: "box", 2: "gaussian"},
    "sharpen_mode": 0,
    "blursharpen_amount": 0,
    "default_mode": "overlay",
    "mode": "overlay",
    "masked_hist_match": True,
    "hist_match_threshold": 238,
    "mask_mode": 4,
    "erode_mask_modifier": np.int64(15),
    "blur_mask_modifier": np.int64(40),
    "motion_blur_power": 0,
    "output_face_scale": 0,
    "super_resolution_power": 0,
    "color_transfer_mode": 1,
    "image_denoise_power": 0,
    "bicubic_degrade_power": 0,
    "color_degrade_power": 0,
}
SEAMLESS = START | {"mode": "seamless", "output_face_scale": np.int64(-20), "mask_mode": 0}
BARE = START | {"mode": "raw-rgb", "output_face_scale": 10, "sharpen_mode": 1}


class FaceType(IntEnum):
    WHOLE_FACE = 4


class FrameInfo:
    pass


class MergerConfigMasked:
    pass


class InteractiveMergerSubprocessor:
    class Frame:
        pass


CLASSES = {
    "merger.InteractiveMergerSubprocessor": InteractiveMergerSubprocessor,
    "merger.FrameInfo": FrameInfo,
    "merger.MergerConfig": MergerConfigMasked,
    "facelib.FaceType": FaceType,
}


@pytest.fixture
def pickled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Sessions as DFL writes them, under the names of its classes."""
    for package in ("merger", "facelib"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    for module, kind in CLASSES.items():
        made = ModuleType(module)
        setattr(made, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, module, made)
        monkeypatch.setattr(kind, "__module__", module)
    module = InteractiveMergerSubprocessor.__module__
    monkeypatch.setattr(InteractiveMergerSubprocessor.Frame, "__module__", module)

    def dump(
        configs: list[dict[str, Any] | None],
        *,
        protocol: int = 4,
        folder: str = "data_dst",
        path: type[PurePosixPath] | type[PureWindowsPath] = PurePosixPath,
    ) -> bytes:
        frames = []
        for number, values in enumerate(configs, 1):
            frame, info = InteractiveMergerSubprocessor.Frame(), FrameInfo()
            vars(info).update(
                filepath=path(f"{folder}/{number:05d}.png"),
                landmarks_list=[np.zeros((68, 2))],
                motion_deg=0.0,
                motion_power=np.float64(0),
            )
            config = None
            if values is not None:
                config = MergerConfigMasked()
                vars(config).update(values | {"face_type": FaceType.WHOLE_FACE})
            vars(frame).update(
                frame_info=info, idx=number - 1, cfg=config, is_done=number == 1, image=None
            )
            frames.append(frame)
        session = {"frames": frames, "frames_idxs": [0], "frames_done_idxs": [], "model_iter": 7}
        return pickle.dumps(session, protocol)

    return dump


@pytest.fixture
def work(merged: Path, tmp_path: Path) -> Path:
    root = tmp_path / "w"
    shutil.copytree(merged, root)
    (root / "merge.json").unlink()
    return root


def test_every_frame_is_merged_as_its_config_says(
    work: Path, tmp_path: Path, pickled: Callable[..., bytes]
) -> None:
    configs = [START, None, SEAMLESS, SEAMLESS, BARE]
    path = tmp_path / "new_SAEHD_merger_session.dat"
    path.write_bytes(pickled(configs, protocol=3, path=PureWindowsPath, folder=r"D:\w\data_dst"))
    assert main(["merge", "import", str(path), "--workspace", str(work)]) == 0
    told = json.loads((work / "reports/merge_import.json").read_text())["details"]["told"]
    assert any("without settings of their own: 1 frame" in line for line in told)
    assert any("as DeepFaceLab merged them" in line for line in told)
    assert main(["merge", "--workspace", str(work)]) == 0

    workspace = Workspace.open(work)
    frames = list_unique_images(workspace.dst.frames_dir).paths
    faces = faces_by_frame(workspace, frames, Job("merge"))
    predictor, _ = load_predictor(workspace, "new", averaged=True, device="auto", job=Job("merge"))
    for frame, config in zip(frames, [START, START, SEAMLESS, SEAMLESS, BARE], strict=True):
        settings = from_dfl(config)
        seed = FrameWork(frame, settings, (), ()).seed
        expected, _ = merge_into(
            read_pixels(frame), faces[frame.stem], predictor, settings, seed=seed
        )
        np.testing.assert_array_equal(read_pixels(workspace.merged_dir / frame.name), expected)


def test_cuts_move_no_settings(work: Path, tmp_path: Path, pickled: Callable[..., bytes]) -> None:
    configs = [START, None, SEAMLESS, SEAMLESS, BARE]
    path = tmp_path / "session.dat"
    path.write_bytes(pickled(configs))
    assert main(["merge", "import", str(path), "--workspace", str(work), "--no-dfl-parity"]) == 0
    workspace = Workspace.open(work)
    frames = list_unique_images(workspace.dst.frames_dir).paths
    session = json.loads((work / "merge.json").read_text())
    wanted = [from_dfl(one).mode for one in (START, START, SEAMLESS, SEAMLESS, BARE)]
    for cut in range(1, 5):
        session["cuts"] = [frames[cut].name]
        (work / "merge.json").write_text(json.dumps(session))
        plan = plan_merge(workspace, frames, {}, job=Job("merge"))
        assert [one.mode for one in plan.settings] == wanted
        assert not any(one.dfl_parity for one in plan.settings)
        assert [one.face_scale for one in plan.settings[2:4]] == pytest.approx([25.0, 25.0])


def test_what_is_not_known_is_told_and_left_out(
    work: Path, tmp_path: Path, pickled: Callable[..., bytes]
) -> None:
    odd = START | {"mask_mode": 12, "debug_mode": True, "erode_mask_modifier": 500}
    path = work / "model" / "new_SAEHD_merger_session.dat"
    path.write_bytes(pickled([START, odd, odd, START, START, START]))
    assert main(["merge", "import", "--workspace", str(work)]) == 0
    told = json.loads((work / "reports/merge_import.json").read_text())["details"]["told"]
    assert any("2 frames from 00002.png: mask_mode 12 (expected 0 to 9)" in line for line in told)
    assert any("debug_mode True (not known)" in line for line in told)
    assert any("erode_mask_modifier 500 (expected " in line for line in told)
    assert any("not here: 00006.png" in line for line in told)
    rows = json.loads((work / "merge.json").read_text())["keyframes"]
    assert [row["frame"] for row in rows] == [f"{n:05d}.png" for n in (1, 2, 3, 4)]
    assert parse(MergeSettings, rows[1]["settings"]).erode_mask == 0


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), -100, np.zeros(2), "x"])
def test_no_value_of_a_config_is_trusted(value: Any) -> None:
    settings, refused = readable_settings({"output_face_scale": value, "mode": "seamless"})
    assert settings.face_scale == 0 and settings.mode == "seamless"
    assert len(refused) == 1


def test_keyframes_are_not_replaced_unasked(
    work: Path, pickled: Callable[..., bytes], told: Callable[..., str]
) -> None:
    (work / "model" / "new_SAEHD_merger_session.dat").write_bytes(pickled([START] * 5))
    (work / "merge.json").write_text("{}")
    assert "--overwrite" in told("merge", "import", "--workspace", work)
    assert (work / "merge.json").read_text() == "{}"
    assert main(["merge", "import", "--workspace", str(work), "--overwrite"]) == 0


class Harm:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no pickle"),
        (b"nothing of the kind", "no pickle"),
        (pickle.dumps([1, 2]), "other data"),
        (pickle.dumps({"frames": []}), "without frames"),
        (pickle.dumps({"frames": [3]}), "frame 0 without the path"),
        (
            pickle.dumps({"frames": [{"frame_info": {"filepath": "a", "landmarks_list": 3}}]}),
            "kind",
        ),
        (
            pickle.dumps({"frames": [{"frame_info": {"filepath": "a"}, "cfg": {"type": 2}}]}),
            "other",
        ),
        (pickle.dumps({"frames": [Harm()]}, 4), "exec"),
    ],
)
def test_other_files_are_told(
    content: bytes, found: str, work: Path, tmp_path: Path, told: Callable[..., str]
) -> None:
    path = tmp_path / "session.dat"
    path.write_bytes(content)
    line = told("merge", "import", path, "--workspace", work)
    assert str(path) in line and found in line
    assert not (work / "merge.json").exists()


def test_of_other_frames_or_none(
    work: Path, tmp_path: Path, pickled: Callable[..., bytes], told: Callable[..., str]
) -> None:
    assert "merge import FILE" in told("merge", "import", "--workspace", work)
    path = tmp_path / "session.dat"
    for row in sorted((work / "data_dst").glob("*.png")):
        row.rename(row.with_name(f"clip{row.name}"))
    path.write_bytes(pickled([START] * 5))
    assert "known by their names" in told("merge", "import", path, "--workspace", work)


def test_cut_off_sessions_are_refused(pickled: Callable[..., bytes], tmp_path: Path) -> None:
    from understudy.merging.dfl_session import read_dfl_session

    data, path = pickled([START, None]), tmp_path / "session.dat"
    for end in range(0, len(data), 37):
        path.write_bytes(data[:end])
        with pytest.raises((FormatError, UnsafeFileError)):
            read_dfl_session(path)
