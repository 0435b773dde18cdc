"""A faceset of the predecessor goes through all that changes labels, and it can read the result."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from face_files import strict_meta
from labelled import content
from understudy.cli.main import main
from understudy.facesets.faceset import Faceset
from understudy.masks.outlines import iou_of
from understudy.masks.polygons import is_labelled, rasterize
from understudy.workspace import Workspace


@pytest.fixture
def workspace(shared: Path, tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "w")
    source = shared / "golden" / "imaging" / "faceset"
    for path in sorted(source.glob("*.jpg"))[:24]:
        shutil.copyfile(path, made.src.aligned_dir / path.name)
    return made


def test_labels_of_the_predecessor_are_fetched(workspace: Workspace) -> None:
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    faces = {face.name: face for face in Faceset.open(aligned)}
    labelled = {name for name, face in faces.items() if is_labelled(face.polygons)}
    assert 1 < len(labelled) < len(faces)
    assert main(["mask", "fetch", "src", *at]) == 0
    fetched = content(workspace.src.frames_dir / "aligned_xseg")
    assert fetched == {name: (aligned / str(name)).read_bytes() for name in labelled}


def test_what_we_write_it_reads(workspace: Workspace) -> None:
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before = content(aligned)
    truth = {
        str(face.name): rasterize(face.polygons, (256, 256))
        for face in Faceset.open(aligned)
        if is_labelled(face.polygons)
    }
    assert main(["mask", "export", "src", "--kind", "drawn", *at]) == 3  # not all have labels
    assert main(["mask", "remove-labels", "src", *at]) == 0
    masks = str(workspace.src.frames_dir / "aligned_masks")
    for target in ("mask", "polygons"):
        tokens = ["mask", "import", "src", masks, "--target", target, "--replace"]
        assert main([*tokens, *at]) == 0
    for name, drawn in truth.items():
        meta = strict_meta((aligned / name).read_bytes())
        polygons = [(bool(p["type"]), p["pts"]) for p in meta["seg_ie_polys"]["polys"]]
        assert all(p["pts"].dtype == np.float32 for p in meta["seg_ie_polys"]["polys"])
        assert iou_of(rasterize(polygons, (256, 256)), drawn) > 0.97
        assert meta["xseg_mask"].dtype == np.uint8 and meta["xseg_mask"].ndim == 1
    for _ in range(3):
        assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before


def test_labels_survive_a_trace_of_others(workspace: Workspace) -> None:
    """Faces that have labels keep them byte for byte while the others get some."""
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before = content(aligned)
    assert main(["mask", "to-polygons", "src", "--kind", "hull", *at]) == 0
    after = content(aligned)
    labelled = {n for n in before if b"seg_ie_polys" in before[n]}
    assert {n for n in before if before[n] != after[n]} == set(before) - labelled
    assert all(is_labelled(face.polygons) for face in Faceset.open(aligned))
