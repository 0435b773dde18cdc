"""Batches: the same iteration always gives the same; and DFL's own samples come out again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.facesets.dfl import read_face
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.augment import Draws
from understudy.training.samples.bank import build_bank
from understudy.training.samples.batches import BatchSource, Share, Side, side_batch
from understudy.training.samples.color_match import COLOR_MATCHES
from understudy.training.samples.planes import face_planes
from understudy.types import FaceType


@pytest.fixture
def source(make_faces, tiny_config):
    def make(*, attempt: int = 0, config: ModelConfig = tiny_config, **options) -> BatchSource:
        values = TrainOptions(**{"batch_size": 3, **options})
        sides = []
        for first in (0, 50):
            bank = build_bank(
                make_faces(10, first=first),
                resolution=config.resolution,
                face_type=FaceType.FULL,
                device=torch.device("cpu"),
                job=Job("t"),
                eyes_mouth=True,
                parity=values.dfl_parity,
            )
            sides.append(Side(bank, np.arange(10), np.empty(0, np.int64)))
        return BatchSource(*sides, config, values, attempt=attempt)

    return make


def _same(one, two) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_an_iteration_fixes_its_batch(source) -> None:
    walked, fresh = source(random_hsv_power=0.1), source(random_hsv_power=0.1)
    batches = [walked.batch(i) for i in range(5)]
    for side in (0, 1):
        assert _same(fresh.batch(4)[side], batches[4][side])
        assert not _same(batches[3][side], batches[4][side])
    assert not _same(source(attempt=1, random_hsv_power=0.1).batch(4).src, batches[4].src)


class _Exchange:
    """Adds up the tensors of two threads, as processes do over the network."""

    def __init__(self) -> None:
        self._meet = threading.Barrier(2, timeout=60)
        self._given: list[torch.Tensor] = []

    def __call__(self, tensor: torch.Tensor) -> None:
        self._given.append(tensor.clone())
        self._meet.wait()
        total = self._given[0] + self._given[1]
        self._meet.wait()
        tensor.copy_(total)
        self._given.clear()
        self._meet.wait()


@pytest.mark.parametrize(
    "options",
    [
        {"uniform_yaw": True, "random_hsv_power": 0.2, "batch_size": 5},
        {"ct_mode": "sot", "repeat_unwarped": 2, "batch_size": 2},
        {"cross_pairs": 0.5, "batch_size": 5},
        {"ct_mode": "idt", "batch_size": 3},
    ],
)
@pytest.mark.parametrize("host_bytes", [None, 0])
def test_parts_made_apart_are_the_batch_made_at_once(
    make_faces, tiny_config, options, host_bytes
) -> None:
    values = TrainOptions(**options)
    trained, held_out = np.array([0, 1, 3, 4, 5, 6, 8]), np.array([2, 7])

    def side(first: int, share: Share) -> Side:
        own = trained[share.rank :: share.of]
        bank = build_bank(
            make_faces(9, first=first),
            resolution=32,
            face_type=FaceType.FULL,
            device=torch.device("cpu"),
            job=Job("t"),
            host_bytes=host_bytes,
            held=None if share.of == 1 else own,
        )
        assert bank.is_paged == (host_bytes == 0)
        return Side(bank, trained, held_out)

    def source(share: Share) -> BatchSource:
        return BatchSource(side(0, share), side(50, share), tiny_config, values, share=share)

    whole = source(Share())
    exchange = _Exchange()
    parts = [source(Share(rank, 2, exchange)) for rank in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        for iteration in range(7):
            made = list(pool.map(lambda part, i=iteration: part.batch(i), parts))
            wanted = whole.batch(iteration)
            for place in (0, 1):
                for field in ("warped", "target", "mask"):
                    joined = torch.cat([getattr(batch[place], field) for batch in made])
                    whole_field = getattr(wanted[place], field)
                    torch.testing.assert_close(joined, whole_field, atol=1e-5, rtol=0)


def test_batches_have_the_shape_of_the_model(source) -> None:
    batch = source().batch(0)
    for side in (batch.src, batch.dst):
        assert side.warped.shape == side.target.shape == (3, 3, 32, 32)
        assert side.mask.shape == (3, 1, 32, 32)
        assert all(0 <= float(t.min()) and float(t.max()) <= 1 for t in side)
        assert not torch.equal(side.warped, side.target)
        torch.testing.assert_close(side.eyes_mouth.amax((1, 2, 3)), torch.ones(3))


def test_codes_are_mixed_anew_for_amp_only(source, tiny_config) -> None:
    assert source().batch(0).channels is None
    config = tiny_config.model_copy(update={"kind": "AMP", "inter_dims": 20, "morph_factor": 0.3})
    made = source(config=config)
    one, two = made.batch(0).channels, made.batch(1).channels
    assert one.shape == (3, 20)
    assert (one.sum(dim=1) == 6).all()
    assert not torch.equal(one, two)
    assert torch.equal(two, source(config=config).batch(1).channels)


@pytest.mark.parametrize("mode", ["rct", "lct", "mkl", "idt", "sot"])
def test_src_takes_colours_of_random_dst_faces(source, mode: str) -> None:
    plain, made = source().batch(2), source(ct_mode=mode).batch(2)
    assert _same(plain.dst, made.dst)
    assert torch.equal(plain.src.mask, made.src.mask)
    moved = made.src.target.mean((2, 3)) - plain.src.target.mean((2, 3))
    assert (moved.abs().amax(1) > 0.01).all()
    # input and target of a face are recoloured as one
    assert (made.src.warped.mean((2, 3)) - made.src.target.mean((2, 3))).abs().max() < 0.06
    assert _same(source(ct_mode=mode).batch(2).src, made.src)


def test_pretraining_favours_no_pair(source) -> None:
    batch = source(pretrain=True, random_hsv_power=0.3).batch(0)
    assert torch.equal(batch.src.warped, batch.src.target)


def test_without_warp_the_input_is_the_target(source) -> None:
    batch = source(random_warp=False).batch(0)
    assert torch.equal(batch.src.warped, batch.src.target)


def test_hsv_varies_the_input_of_src_only(source) -> None:
    batch = source(random_warp=False, random_hsv_power=0.3).batch(1)
    assert not torch.allclose(batch.src.warped, batch.src.target, atol=1e-3)
    assert torch.equal(batch.dst.warped, batch.dst.target)


def test_every_third_batch_can_be_the_last_one_unwarped(source) -> None:
    made = source(repeat_unwarped=2)
    batches = [made.batch(i) for i in range(7)]
    for i in (3, 6):
        assert torch.equal(batches[i].src.target, batches[i - 1].src.target)
        assert torch.equal(batches[i].src.warped, batches[i].src.target)
    for i in (1, 2, 4, 5):
        assert not torch.equal(batches[i].src.target, batches[i - 1].src.target)


def _drawn(case: dict) -> Draws:
    """Random numbers DFL drew from a sample's seed: reference dfl-models, 13.1."""
    state = np.random.RandomState(case["sample_seed"])
    low, high = case["scale_range"]
    rotation = state.uniform(-10, 10)
    scale = state.uniform(1 / (1 - low), 1 + high)
    shift = [state.uniform(-0.05, 0.05), state.uniform(-0.05, 0.05)]
    flip = case["flip_enabled"] and state.randint(10) < 4
    one = torch.ones(1, dtype=torch.float64)
    return Draws(
        rotation_deg=one * rotation,
        scale=one * scale,
        shift=torch.tensor([shift], dtype=torch.float64),
        flip=torch.tensor([bool(flip)]),
        divisions=one * 2,
        nodes=None,
        hsv=None,
        parity=True,
    )


def test_samples_equal_those_of_dfl(shared: Path) -> None:
    arrays = np.load(shared / "golden/models/sample_process.npz")
    types = {"WHOLE_FACE": "whole_face", "FULL": "full_face", "HEAD": "head", "HALF": "half_face"}
    for case in json.loads(str(arrays["cases"])):
        face = read_face(shared / "golden/files" / case["file"])
        face_type = FaceType(types[case["target_face_type"]])
        size = case["resolution"]
        planes = face_planes(face, size=size, face_type=face_type, eyes_mouth=True, parity=True)
        faces = torch.from_numpy(planes)[None].float() / 255
        made = side_batch(faces, _drawn(case), resolution=size)
        key = f"c{case['case']}"
        for name, ours, limit in (
            ("target", made.target.flip(1), 0.002),
            ("mask", made.mask, 0.001),
            ("mask_em", made.eyes_mouth, 0.001),
        ):
            wanted = arrays[f"{key}:{name}"].transpose(2, 0, 1)
            # 8 bits in the bank, and positions the original rounds to 1/32 pixel: half a level
            # on average at most.
            error = float(np.abs(ours[0].numpy() - wanted).mean())
            assert error < limit, (key, name, error)


def test_strength_zero_leaves_faces_where_they_are(source) -> None:
    made = source(random_affine=0.0, random_dst_flip=False, random_warp=False)
    target = made.batch(0).src.target
    plain = made.unwarped(np.arange(10), np.arange(10)).src.target
    distance = (target[:, None] - plain[None]).abs().amax((2, 3, 4)).amin(1)
    assert float(distance.max()) < 1e-6


def _recolored(stored: torch.Tensor, partner: Path, mode: str) -> torch.Tensor:
    size = stored.shape[-1]
    other = cv2.resize(read_face(partner).image, (size, size), interpolation=cv2.INTER_LINEAR)
    dst = torch.from_numpy(other).permute(2, 0, 1)[None]
    made = COLOR_MATCHES[mode](stored[:, :3], dst, [torch.Generator()])
    return torch.cat([made, stored[:, 3:]], dim=1)


def test_complete_samples_with_colours_changed_equal_those_of_dfl(shared: Path) -> None:
    folder = shared / "golden/imaging"
    arrays = np.load(folder / "samples.npz")
    one = torch.ones(1, dtype=torch.float64)
    cases = json.loads((folder / "samples.json").read_text())
    modes = {case["ct_mode"] for case in cases}
    assert modes == {None, "rct", "lct", "mkl"}
    for case in cases:
        size = case["resolution"]
        planes = face_planes(
            read_face(folder / "faceset" / case["file"]),
            size=size,
            face_type=FaceType(case["face_type"]),
            eyes_mouth=True,
            parity=True,
        )
        hsv = case["hsv_draws"]
        draws = Draws(
            rotation_deg=one * case["rotation"],
            scale=one * case["scale"],
            shift=torch.tensor([[case["tx"], case["ty"]]], dtype=torch.float64),
            flip=torch.tensor([case["flip"]]),
            divisions=one * 2,
            nodes=None,
            hsv=None if hsv is None else torch.tensor([hsv]),
            parity=True,
        )
        stored = torch.from_numpy(planes)[None].float() / 255
        if case["ct_file"]:
            stored = _recolored(stored, folder / "faceset" / case["ct_file"], case["ct_mode"])
        made = side_batch(stored, draws, resolution=size)
        # what is recoloured was rounded to 8 bits before, and Lab is read from coarse tables there
        limit = 0.004 if case["ct_file"] else 0.002
        pairs = [("target", made.target.flip(1), limit), ("mask", made.mask, 0.001)]
        pairs.append(("em_mask", made.eyes_mouth, 0.001))
        if not case["warp"]:
            # Hue turns before the cubic read there and after it here: a little apart on edges.
            pairs.append(("warped", made.warped.flip(1), 0.004))
        for name, ours, limit in pairs:
            wanted = arrays[f"{case['n']}/{name}"].astype(np.float32).transpose(2, 0, 1)
            error = float(np.abs(ours[0].numpy() - wanted).mean())
            assert error < limit, (case["n"], name, error)
    assert any(not case["warp"] and case["hsv_draws"] for case in cases)


def test_faces_of_the_other_side_go_in_for_a_share(source, tiny_config) -> None:
    plain = source(random_warp=False, batch_size=4).batch(3)
    crossed = source(random_warp=False, batch_size=4, cross_pairs=0.5).batch(3)
    for side in (0, 1):
        made, before = crossed[side], plain[side]
        other = crossed[1 - side]
        assert torch.equal(made.target[2:], before.target[2:])
        assert torch.equal(made.warped[2:], made.target[2:])
        # all painted faces share their landmarks, so what goes in is a face as it is
        assert not torch.allclose(made.warped[:2], made.target[:2], atol=0.05)
        assert made.warped.shape == other.warped.shape
    one, two = (source(cross_pairs=0.5).batch(6) for _ in range(2))
    assert _same(one.src, two.src)
