"""Masks go out to other programs and come back in, and what did not fit is listed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_files import same
from labelled import LABEL, content, labelled_workspace, pixels_of
from made_faceset import FRAME_PX, head_frame, make_workspace
from understudy.cli.main import main
from understudy.faces.regions import hull_mask
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.face_file import sidecar_path
from understudy.files import read_json
from understudy.masks.outlines import iou_of
from understudy.masks.polygons import rasterize
from understudy.workspace import Workspace

HOLD = """
import sys
from pathlib import Path
from understudy.workspace import Workspace
with Workspace.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def save(path: Path, levels: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(cv2.imencode(path.suffix, levels)[1].tobytes())
    return path


def oval(size: int = 128) -> np.ndarray:
    half, axes = (size // 2, size // 2), (int(size * 0.3), int(size * 0.4))
    return cv2.ellipse(np.zeros((size, size), np.uint8), half, axes, 0, 0, 360, 255, -1)


def test_face_masks_come_in_as_applied_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w")  # the second face has a mask already
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before, pixels = content(aligned), pixels_of(aligned / "00003_0.jpg")
    masks = tmp_path / "painted"
    for name, size in (("00001_0_mask", 128), ("00002_0", 128), ("00003_0", 256), ("zebra", 64)):
        save(masks / f"{name}.png", oval(size))
    assert main(["mask", "import", "src", str(masks), *at]) == 0
    told = capsys.readouterr()
    assert "2 masks imported; 1 face has a mask and stays; 1 picture matches no face; 1 face" in (
        told.out
    )
    assert "1 picture belongs to no face: zebra.png" in told.err
    details = read_json(workspace.reports_dir / "mask_import.json")["details"]
    assert details["unmatched_pictures"] == ["zebra.png"]
    assert details["faces_without_picture"] == ["00004_0.jpg"]
    face = read_face(aligned / "00003_0.jpg")
    assert face.mask is not None and iou_of(face.mask, oval() / np.float32(255)) > 0.97
    assert same(face.polygons, LABEL) and pixels_of(aligned / "00003_0.jpg") == pixels
    assert read_face(aligned / "00002_0.jpg").mask.shape == (256, 256)  # type: ignore[union-attr]
    assert main(["mask", "import", "src", str(masks), "--replace", *at]) == 0
    assert read_face(aligned / "00002_0.jpg").mask.shape == (128, 128)  # type: ignore[union-attr]
    for _ in range(2):
        assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before


def test_face_masks_come_in_as_polygons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = labelled_workspace(tmp_path / "w", labelled=[3])
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    masks = tmp_path / "painted"
    hole = cv2.circle(oval(), (70, 70), 12, 0, -1)
    save(masks / "00001_0.png", 255 - hole)
    save(masks / "00003_0.png", hole)
    tokens = ["mask", "import", "src", str(masks), "--target", "polygons"]
    assert main([*tokens, "--invert", *at]) == 0
    assert "1 label imported, IoU of the polygons 0.9" in capsys.readouterr().out
    face = read_face(aligned / "00001_0.jpg")
    assert [p.include for p in face.polygons] == [True, False]
    assert iou_of(rasterize(face.polygons, (128, 128)), hole / np.float32(255)) > 0.97
    assert same(read_face(aligned / "00003_0.jpg").polygons, LABEL)
    save(masks / "00004_0.png", np.zeros((128, 128), np.uint8))
    assert main([*tokens, *at]) == 3
    assert "00004_0.jpg" in capsys.readouterr().err
    assert not read_face(aligned / "00004_0.jpg").polygons


def test_frame_masks_go_into_the_faces_of_their_frames(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=4)
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    for number in (1, 2, 3, 4):
        frame = (head_frame(number) * 255).astype(np.uint8)
        save(workspace.src.frames_dir / f"{number:05d}.png", frame)
    second = replace(read_face(aligned / "00001_0.jpg"), brow_expand=0.5)
    write_face(aligned / "00001_1.jpg", second, durable=False)
    masks = tmp_path / "roto"
    half = np.zeros((FRAME_PX // 2, FRAME_PX // 2), np.uint8)
    half[:, FRAME_PX // 4 :] = 255
    save(masks / "00001.png", half)
    save(masks / "00003.tif", cv2.resize(half, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST))
    save(masks / "00004.png", half[: FRAME_PX // 3])
    assert main(["mask", "import", "src", str(masks), *at]) == 3  # the cut one
    for name in ("00001_0.jpg", "00001_1.jpg", "00003_0.jpg"):
        face = read_face(aligned / name)
        assert face.mask is not None and face.mask.shape == (128, 128)
        matrix = np.asarray(face.frame_to_face)
        for x, level in ((130, 0.0), (190, 1.0)):  # left and right of the middle of the frame
            at_x, at_y = matrix[:, :2] @ [x, 165] + matrix[:, 2]
            assert face.mask[round(at_y), round(at_x)] == pytest.approx(level, abs=0.02)
    assert read_face(aligned / "00004_0.jpg").mask is None


def test_labels_drawn_in_fetched_faces_come_back(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    assert main(["mask", "fetch", "src", *at]) == 0
    out = workspace.src.frames_dir / "aligned_xseg"
    path = out / "00003_0.jpg"
    write_face(path, replace(read_face(path), polygons=LABEL[:1]), durable=False)
    tokens = ["mask", "import", "src", str(out), "--target", "polygons", "--replace", *at]
    assert main(tokens) == 0
    assert same(read_face(aligned / "00003_0.jpg").polygons, LABEL[:1])
    assert same(read_face(aligned / "00002_0.jpg").polygons, LABEL)


def test_a_mask_too_large_for_the_metadata_lies_beside_the_face(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=2, size=512)
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    noise = np.random.default_rng(1).integers(0, 256, (512, 512), np.uint8)
    save(tmp_path / "m" / "00001_0.png", noise)
    assert main(["mask", "import", "src", str(tmp_path / "m"), *at]) == 0
    path = aligned / "00001_0.jpg"
    assert sidecar_path(path).is_file()
    np.testing.assert_allclose(read_face(path).mask, noise / np.float32(255), atol=1e-6)
    assert main(["faceset", "undo", "src", *at]) == 0
    assert not sidecar_path(path).exists() and read_face(path).mask is None


def test_what_can_t_be_imported_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before, masks = content(aligned), tmp_path / "m"
    assert main(["mask", "import", "src", str(masks), *at]) == 2
    assert "Check the path" in capsys.readouterr().err
    save(masks / "zebra.png", oval())
    assert main(["mask", "import", "src", str(masks), *at]) == 2
    assert "pictures named as the faces (00001_0.jpg)" in capsys.readouterr().err
    photo = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    save(masks / "00001_0.png", photo)
    (masks / "00003_0.png").write_bytes(b"no picture")
    assert main(["mask", "import", "src", str(masks), *at]) == 3
    told = capsys.readouterr().err
    assert "found colours" in told and "00003_0.jpg" in told
    assert content(aligned) == before
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    packed = content(aligned)
    assert main(["mask", "import", "src", str(masks), *at]) == 2
    assert "faceset unpack src" in capsys.readouterr().err
    assert content(aligned) == packed


def exported(workspace: Workspace, name: str = "aligned_masks") -> dict[str, np.ndarray]:
    folder = workspace.src.frames_dir / name
    return {p.name: cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in sorted(folder.iterdir())}


def test_masks_of_every_kind_are_exported_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    at = ["--workspace", str(workspace.root)]
    assert main(["mask", "export", "src", *at]) == 0
    assert "3 masks of faces (1 applied, 2 hull)" in capsys.readouterr().out
    masks = exported(workspace)
    assert list(masks) == [f"0000{i}_0_mask.png" for i in (1, 2, 3)]
    face = read_face(workspace.src.aligned_dir / "00003_0.jpg")
    assert np.array_equal(masks["00003_0_mask.png"], hull_mask(face.landmarks, (128, 128)) * 255)
    assert main(["mask", "export", "src", "--kind", "applied", *at]) == 3  # two have none
    aligned = str(workspace.src.aligned_dir)
    assert main(["mask", "export", "src", "--out", aligned, *at]) == 2


def test_exported_masks_come_back_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w", labelled=[3])
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    assert main(["mask", "export", "src", "--kind", "drawn", *at]) == 3  # three have none
    assert "1 mask of faces (1 drawn)" in capsys.readouterr().out
    pictures = exported(workspace)
    drawn = rasterize(LABEL, (128, 128))
    assert list(pictures) == ["00003_0_mask.png"]
    np.testing.assert_array_equal(pictures["00003_0_mask.png"], drawn * 255)
    folder = str(workspace.src.frames_dir / "aligned_masks")
    assert main(["mask", "import", "src", folder, *at]) == 0
    np.testing.assert_array_equal(read_face(aligned / "00003_0.jpg").mask, drawn)
    capsys.readouterr()
    assert main(["mask", "export", "src", "--kind", "drawn", *at]) == 3
    assert "0 masks of faces, 1 kept from an earlier run" in capsys.readouterr().out


def test_looking_at_masks_waits_for_nobody(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    at = ["--workspace", str(workspace.root)]
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holding.stdin is not None and holding.stdout is not None
    with holding:
        assert holding.stdout.readline() == b"held\n"
        assert main(["mask", "info", "src", *at]) == 0
        assert main(["mask", "suggest", "src", "1", *at]) == 0
        assert main(["mask", "export", "src", *at]) == 0
        assert main(["mask", "remove-labels", "src", *at]) == 2
        holding.stdin.close()


def test_what_was_painted_on_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=2)
    at = ["--workspace", str(workspace.root)]
    tokens = ["mask", "export", "src", "--with-picture", *at]
    assert main(["mask", "export", "src", *at]) == 0  # masks alone lie in a folder of their own
    assert main(tokens) == 0
    made = exported(workspace, "aligned_cutouts")
    assert [picture.shape for picture in made.values()] == [(128, 128, 4)] * 2
    path = workspace.src.frames_dir / "aligned_cutouts" / "00001_0_mask.png"
    painted = save(path, np.dstack([made[path.name][..., :3], oval()])).read_bytes()
    assert main(tokens) == 3
    assert path.read_bytes() == painted
    assert main(["mask", "import", "src", str(path.parent), *at]) == 0
    mask = read_face(workspace.src.aligned_dir / "00001_0.jpg").mask
    np.testing.assert_array_equal(mask, oval() / np.float32(255))
    assert main([*tokens, "--kind", "hull", "--replace"]) == 0
    again = exported(workspace, "aligned_cutouts")
    np.testing.assert_array_equal(again[path.name], made[path.name])


def test_frames_are_exported_with_the_masks_of_their_faces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=2)
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    tokens = ["mask", "export", "src", "--per", "frame", *at]
    assert main(tokens) == 3
    assert "the frame, for its size" in capsys.readouterr().err
    for number in (1, 2, 3):
        frame = (head_frame(number) * 255).astype(np.uint8)
        save(workspace.src.frames_dir / f"{number:05d}.png", frame)
    assert main([*tokens, "--every-frame", "--hard"]) == 0
    pictures = exported(workspace, "frame_masks")
    assert list(pictures) == ["00001_mask.png", "00002_mask.png", "00003_mask.png"]
    assert all(p.shape == (FRAME_PX, FRAME_PX) for p in pictures.values())
    assert pictures["00003_mask.png"].max() == 0
    assert set(np.unique(pictures["00001_mask.png"])) == {0, 255}
    folder = str(workspace.src.frames_dir / "frame_masks")
    before = read_face(aligned / "00002_0.jpg").mask
    assert main(["mask", "import", "src", folder, "--replace", *at]) == 0
    after = read_face(aligned / "00002_0.jpg").mask
    assert before is not None and after is not None
    small = cv2.resize(before, (128, 128), interpolation=cv2.INTER_AREA)
    assert iou_of(after, small) > 0.95


@pytest.mark.parametrize("per", ["face", "frame"])
def test_masks_never_go_among_faces_or_frames(
    per: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=1)
    for out in (workspace.src.aligned_dir, workspace.src.frames_dir):
        tokens = ["--per", per, "--out", str(out), "--workspace", str(workspace.root)]
        assert main(["mask", "export", "src", *tokens]) == 2
        assert "another folder" in capsys.readouterr().err


def test_a_pak_is_exported(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=2)
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    assert main(["mask", "export", "src", *at]) == 0
    assert list(exported(workspace)) == ["00001_0_mask.png", "00002_0_mask.png"]
