"""Masks go to the model's frame and come back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from made_faceset import head_face
from understudy.errors import FormatError, WeightsError
from understudy.faces.regions import hull_mask
from understudy.masks.face_masks import hardened
from understudy.masks.generic import (
    CONFIG,
    generic_config,
    generic_facts,
    how_good,
    load_generic,
)
from understudy.masks.painter import MASK_PX, MaskPainter, smoothed
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.mask_net import as_mask_model
from understudy.types import FaceSample, FaceType

ROOT = Path(__file__).parents[2]
SHAPE = ModelConfig(kind="XSeg", resolution=64, base_dims=2, face_type=FaceType.WHOLE)


def painter_of(config: ModelConfig = SHAPE) -> MaskPainter:
    return MaskPainter(as_mask_model(build(config)), device=torch.device("cpu"))


def showing_its_hull(kind: FaceType, size: int = MASK_PX) -> FaceSample:
    """A face whose picture is white where its face is."""
    face = head_face(3, yaw=0.2, size=size, kind=kind)
    hull = hull_mask(face.landmarks, (size, size), 1.0)
    return replace(face, load=lambda: np.repeat(hull[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", [FaceType.WHOLE, FaceType.HEAD, FaceType.FULL, FaceType.HALF])
def test_what_the_net_sees_comes_back_to_where_it_was(kind: FaceType) -> None:
    painter, face = painter_of(SHAPE.model_copy(update={"resolution": 256})), showing_its_hull(kind)
    prepared = painter.prepare(face)
    seen = hull_mask(
        head_face(3, yaw=0.2, size=MASK_PX, kind=FaceType.WHOLE).landmarks, (256, 256), 1.0
    )
    inside = (prepared.picture[..., 0] >= 0.5) == (seen >= 0.5)
    # what a narrower picture does not show is its rim repeated
    assert inside.mean() > (0.995 if kind in (FaceType.WHOLE, FaceType.HEAD) else 0.7)
    back = hardened(painter._back(prepared.picture[..., 0], prepared))
    wanted = face.image[..., 0] >= 0.5
    assert (back == wanted).mean() > 0.99


def test_masks_are_of_one_size_and_within_range() -> None:
    painter = painter_of()
    faces = [head_face(1), head_face(2, kind=FaceType.HEAD, size=96)]
    masks = painter.paint([painter.prepare(face) for face in faces])
    apart = [painter.paint([painter.prepare(face)])[0] for face in faces]
    for mask, alone in zip(masks, apart, strict=True):
        assert mask.shape == (MASK_PX, MASK_PX)
        assert 0 <= mask.min() and mask.max() <= 1
        np.testing.assert_allclose(mask, alone, atol=1e-4)


def test_a_flicker_averages_out() -> None:
    still, gone = np.ones((4, 4), np.float32), np.zeros((4, 4), np.float32)
    assert (hardened(smoothed([still, gone, still], 1)) == 1).all()
    assert (hardened(smoothed([gone, still, gone], 1)) == 1).all(), "half and half stays"
    assert (hardened(smoothed([gone, gone, still, gone, gone], 2)) == 0).all()
    np.testing.assert_array_equal(smoothed([still], 0), still)


def test_the_generic_mask_loads_or_says_what_is_wrong(tmp_path: Path) -> None:
    model = build(SHAPE, seed=3)
    path = tmp_path / "mask.safetensors"
    with pytest.raises(WeightsError, match="no file"):
        load_generic(path)
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, {CONFIG: SHAPE.model_dump_json()})
    loaded = load_generic(path)
    assert generic_config(path) == SHAPE
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-3, atol=1e-6)
    other = tmp_path / "other.safetensors"
    save_file(tensors, other, {CONFIG: SHAPE.model_copy(update={"base_dims": 3}).model_dump_json()})
    with pytest.raises(FormatError, match="another net"):
        load_generic(other)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:500])
    with pytest.raises(FormatError, match="whole weights"):
        load_generic(broken)
    save_file(tensors, tmp_path / "bare.safetensors")
    with pytest.raises(FormatError, match="no config"):
        generic_config(tmp_path / "bare.safetensors")


def test_the_mask_that_ships_says_what_its_card_says() -> None:
    card = json.loads((ROOT / "docs" / "generic-mask.json").read_text())
    assert generic_facts() == card
    told = how_good()
    for what, measures in card["held_out"].items():
        assert measures["iou"] > measures["iou_of_hull"]
        assert f"{measures['iou']:.2f} on {what}" in told
    assert "Apache-2.0" in told
