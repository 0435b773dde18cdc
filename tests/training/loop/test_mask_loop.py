"""Labels become batches, and the trainer learns masks from them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.errors import Cancelled, MaterialError
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.training.loop.mask_loop import train_masks
from understudy.training.monitor.mask_watch import boundary_error, overlap
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.bank import build_bank
from understudy.training.samples.labels import label_mask, label_planes, labelled_faces
from understudy.training.samples.mask_batches import MaskSide, MaskSource
from understudy.training.state.model_folder import create_model, open_model
from understudy.types import FaceSample, FaceType, Polygon

MakeFaces = Callable[..., list[FaceSample]]
CONFIG = ModelConfig(kind="XSeg", resolution=64, base_dims=2, face_type=FaceType.FULL)
OPTIONS = TrainOptions(
    batch_size=2, learning_rate=2e-3, precision="fp32", device="cpu", threads=1, held_out=0.2, ema=0
)


def labelled(faces: Sequence[FaceSample], size: int = 64) -> list[FaceSample]:
    """The faces with the hull of their landmarks drawn as a label."""
    drawn = []
    for face in faces:
        hull = cv2.convexHull(face.landmarks.astype(np.float32))[:, 0]
        drawn.append(replace(face, polygons=(Polygon(True, np.clip(hull, 0, size - 1)),)))
    return drawn


def side_of(faces: Sequence[FaceSample], *, parity: bool = False) -> MaskSide:
    bank = build_bank(
        faces,
        resolution=64,
        face_type=FaceType.FULL,
        device=torch.device("cpu"),
        job=Job("test", workers=1),
        parity=parity,
        planes_of=label_planes,
    )
    return MaskSide(bank, np.arange(len(faces)), np.arange(2))


def test_faces_with_labels_count_and_masks_only_where_no_label_is(make_faces: MakeFaces) -> None:
    drawn, bare = labelled(make_faces(6)), make_faces(3, first=10)
    masked = [replace(f, mask=np.ones((64, 64), np.float32)) for f in make_faces(7, first=20)]
    told: list[str] = []
    found = labelled_faces(
        [("src", drawn[:4]), ("dst", [*drawn[4:], *bare, *masked])], FaceType.FULL, told.append
    )
    assert (len(found.faces), found.source, told) == (6, "labels", [])
    assert found.told == "6 faces with labels (4 of src, 2 of dst)"
    found = labelled_faces([("dst", [*bare, *masked])], FaceType.FULL, told.append)
    assert (len(found.faces), found.source) == (7, "masks")


def test_too_few_are_refused_with_the_reason(make_faces: MakeFaces) -> None:
    with pytest.raises(MaterialError, match=r"at least 5.*4 faces with labels \(4 of src\)"):
        labelled_faces([("src", labelled(make_faces(4)))], FaceType.FULL, print)
    with pytest.raises(MaterialError, match="none"):
        labelled_faces([("src", make_faces(9))], FaceType.FULL, print)


def test_faces_that_show_too_little_are_left_out(make_faces: MakeFaces) -> None:
    told: list[str] = []
    with pytest.raises(MaterialError, match="6 show too little"):
        labelled_faces([("src", labelled(make_faces(6)))], FaceType.WHOLE, told.append)
    assert "6 faces with labels or masks show less than whole_face" in told[0]


def test_planes_hold_the_label_where_the_face_is(make_faces: MakeFaces) -> None:
    (face,) = labelled(make_faces(1))
    planes = label_planes(face, size=64, face_type=FaceType.FULL)
    np.testing.assert_array_equal(planes[3] > 127, label_mask(face, (64, 64)) > 0)
    # a narrower crop shows the same landmarks larger: the label covers more of it
    closer = label_planes(face, size=64, face_type=FaceType.HALF)
    assert (closer[3] > 127).mean() > (planes[3] > 127).mean()


def test_a_mask_of_another_size_lands_on_its_face(make_faces: MakeFaces) -> None:
    (face,) = make_faces(1)
    label = label_mask(labelled([face])[0], (64, 64))
    small = cv2.resize(label, (32, 32), interpolation=cv2.INTER_AREA)
    masked = replace(face, mask=np.asarray(small, np.float32))
    meant = label_planes(masked, size=96, face_type=FaceType.HALF)[3] > 127
    wanted = label_planes(labelled([face])[0], size=96, face_type=FaceType.HALF)[3] > 127
    assert (meant == wanted).mean() > 0.95
    # the predecessor takes the picture's matrix for the mask's: it lands elsewhere
    theirs = label_planes(masked, size=96, face_type=FaceType.HALF, parity=True)[3] > 127
    assert (theirs == wanted).mean() < 0.9


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("parity", [False, True])
def test_a_batch_follows_from_seed_and_iteration(
    make_faces: MakeFaces, hard: bool, parity: bool
) -> None:
    side = side_of(labelled(make_faces(6)), parity=parity)
    options = OPTIONS.model_copy(update={"batch_size": 4, "dfl_parity": parity})
    source = MaskSource(side, CONFIG, options, hard=hard)
    batches = [source.batch(k) for k in range(8)]
    again = MaskSource(side, CONFIG, options, hard=hard).batch(7)
    assert torch.equal(batches[7].faces, again.faces)
    assert torch.equal(batches[7].target, again.target)
    other = MaskSource(side, CONFIG, options, hard=hard, attempt=1).batch(7)
    assert not torch.equal(other.faces, again.faces)
    for batch in batches:
        assert batch.faces.shape == (4, 3, 64, 64)
        assert set(batch.target.unique().tolist()) <= {0.0, 1.0}
        assert 0 <= batch.faces.min() and batch.faces.max() <= 1
        assert batch.target.mean() > 0.02


def test_pretraining_wants_the_picture_s_grey(make_faces: MakeFaces) -> None:
    side = side_of(make_faces(6))
    source = MaskSource(side, CONFIG, OPTIONS.model_copy(update={"pretrain": True}))
    batch = source.batch(0)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close(batch.target, (batch.faces * weights).sum(1, keepdim=True))


def test_overlap_and_boundary() -> None:
    square, moved = torch.zeros(2, 1, 1, 100, 100)
    square[..., 20:60, 20:60], moved[..., 20:60, 22:62] = 1, 1
    assert overlap(square, square).item() == 1
    assert overlap(square, moved).item() == pytest.approx(38 / 42)
    assert boundary_error(square, square).item() == 0
    assert 0.5 < boundary_error(square, moved).item() < 1.5
    assert boundary_error(square, torch.zeros(1, 1, 100, 100)).item() == 50
    assert overlap(moved * 0, square * 0).item() == 1


class StopAt(Job):
    """A job whose user stops it after so many iterations."""

    def __init__(self, iterations: int) -> None:
        super().__init__("test", workers=1)
        self._left = iterations

    def rest(self) -> bool:
        self._left -= 1
        if self._left < 0:
            raise Cancelled
        return False


def run(path: Path, faces: Sequence[FaceSample], job: Job, **changes: object) -> list[float]:
    material = labelled_faces([("src", faces)], FaceType.FULL, print)
    options = OPTIONS.model_copy(update=changes)
    folder = create_model(path, CONFIG)
    train_masks(folder, material, shown={"dst": faces[:2]}, options=options, job=job)
    return list(open_model(path).load(print).history.curves["mask"])


def test_it_learns_and_measures_faces_kept_aside(make_faces: MakeFaces, tmp_path: Path) -> None:
    faces = labelled(make_faces(12))
    losses = run(tmp_path / "m", faces, Job("test", workers=1), target_iter=60)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    state = open_model(tmp_path / "m").load(pytest.fail)
    names = {name for _, name, _ in state.history.measures}
    assert names == {"mask IoU", "mask boundary %"}
    assert (tmp_path / "m" / "previews" / "latest.png").is_file()


def test_a_stopped_run_goes_on_as_the_unbroken_one(make_faces: MakeFaces, tmp_path: Path) -> None:
    faces = labelled(make_faces(12))
    unbroken = run(tmp_path / "one", faces, Job("test", workers=1), target_iter=8)
    with pytest.raises(Cancelled):
        run(tmp_path / "two", faces, StopAt(5), target_iter=8)
    resumed = run(tmp_path / "two", faces, Job("test", workers=1), target_iter=8)
    assert resumed == unbroken
    weights = [open_model(tmp_path / n).load(print).model.state_dict() for n in ("one", "two")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
