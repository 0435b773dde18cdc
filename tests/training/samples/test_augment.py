"""Sampling grids against DFL's maps and pictures, and the properties the draws must have."""

import colorsys
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.training.samples import augment
from understudy.training.samples.augment import Draws, Ranges


def _draws(params: dict, nodes: torch.Tensor | None) -> Draws:
    def one(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    return Draws(
        rotation_deg=one(params["rotation"]),
        scale=one(params["scale"]),
        shift=torch.tensor([[params["tx"], params["ty"]]], dtype=torch.float64),
        flip=torch.tensor([bool(params["flip"])]),
        divisions=one(2.0 ** (1 + params["cell_index"])),
        nodes=nodes,
        hsv=None,
        parity=True,
    )


def _golden(shared: Path):
    arrays = np.load(shared / "golden/imaging/warp.npz")
    for params in json.loads((shared / "golden/imaging/warp_params.json").read_text()):
        key = f"{params['n']}/"
        normals = [torch.from_numpy(arrays[f"{key}normal_{a}"]).double() for a in "xy"]
        yield params, key, arrays, augment.parity_nodes(*normals)[None]


def test_warp_equals_dfl_maps(shared: Path) -> None:
    for params, key, arrays, nodes in _golden(shared):
        size = arrays[f"{key}mapx"].shape[0]
        line = torch.arange(size, dtype=torch.float64)
        y, x = torch.meshgrid(line, line, indexing="ij")
        maps = augment.warp_positions(_draws(params, nodes), torch.stack([x, y], -1)[None], size)
        # The predecessor keeps its maps in single precision: 1e-4 pixel is rounding.
        np.testing.assert_allclose(maps[0, ..., 0], arrays[f"{key}mapx"], atol=1e-4)
        np.testing.assert_allclose(maps[0, ..., 1], arrays[f"{key}mapy"], atol=1e-4)


def test_affine_equals_dfl_matrices(shared: Path) -> None:
    for params, key, arrays, nodes in _golden(shared):
        size = arrays[f"{key}mapx"].shape[0]
        matrix = augment.affine_matrices(_draws(params, nodes), size)[0]
        np.testing.assert_allclose(matrix, arrays[f"{key}rmat"], atol=1e-9)


@pytest.mark.parametrize("warp", [False, True])
def test_pictures_match_dfl(shared: Path, warp: bool) -> None:
    for params, key, arrays, nodes in _golden(shared):
        image = torch.from_numpy(arrays[f"{key}img"]).permute(2, 0, 1)[None] / 255
        draws = _draws(params, nodes)
        grid = (augment.warped_grid if warp else augment.target_grid)(draws, image.shape[-1])
        made = augment.read(image, grid, mode="bicubic", border="zeros" if warp else "border")
        wanted = arrays[f"{key}img_w{int(warp)}_t1_b1"].astype(np.float32)
        inside = slice(4, -4)  # at the rim the original interpolates twice across its border
        error = np.abs(made[0].permute(1, 2, 0).numpy() - wanted)[inside, inside]
        # The original rounds positions to 1/32 pixel. It reads a warped picture, and one below 64
        # pixels, several times where we read once (and sharper): hence the wider bound on these.
        once = not warp and image.shape[-1] >= 64
        assert error.mean() < (0.003 if once else 0.012), (params["n"], error.mean())


@pytest.mark.parametrize("family", ["saehd", "base"])
def test_whole_transform_matches_the_model_goldens(shared: Path, family: str) -> None:
    arrays = np.load(shared / "golden/models/warp_augment.npz")
    keys = {k.split(":")[0] for k in arrays if k.startswith(family) and k.endswith(":mapx")}
    assert keys
    for key in keys:
        rotation, scale, tx, ty, flip, cell = arrays[f"{key}:draws"]
        names = ("rotation", "scale", "tx", "ty", "flip")
        params = dict(zip(names, (rotation, scale, tx, ty, flip), strict=True))
        size = arrays[f"{key}:mapx"].shape[0]
        index = cell if cell < 3 else {2: 0, 4: 1, 8: 2}[round(size / cell)]
        draws = _draws({**params, "cell_index": index}, None)
        np.testing.assert_allclose(
            augment.affine_matrices(draws, size)[0], arrays[f"{key}:rmat"], atol=1e-9
        )


def test_maps_drawn_by_parity_are_transposed_and_ours_are_not() -> None:
    for parity in (True, False):
        draws = augment.draw(4, Ranges(parity=parity), generator=torch.Generator().manual_seed(3))
        assert draws.nodes is not None
        same = torch.allclose(draws.nodes[:, 0], draws.nodes[:, 1].transpose(1, 2))
        assert same is parity


def test_draws_have_the_stated_distribution() -> None:
    ranges = Ranges(flip=True, hsv_power=0.1)
    draws = augment.draw(4000, ranges, generator=torch.Generator().manual_seed(0))
    assert draws.rotation_deg.abs().max() <= 10
    assert abs(draws.rotation_deg.std().item() - 20 / 12**0.5) < 0.2
    assert 1 / 1.15 <= draws.scale.min() < 0.875
    assert 1.14 < draws.scale.max() <= 1.15
    assert draws.shift.abs().max() <= 0.05
    assert abs(draws.flip.double().mean().item() - 0.4) < 0.03
    counts = [(draws.divisions == k).sum().item() / 4000 for k in (2, 4, 8)]
    assert max(abs(c - 1 / 3) for c in counts) < 0.03
    assert draws.nodes is not None
    assert draws.hsv is not None
    fine = draws.nodes[draws.divisions == 8][:, :, 1:8, 1:8]
    # Sum of two normals cut at 2.5 and divided by it (std 0.381 each), times 0.24 of a cell.
    assert abs(fine.std().item() - 0.381 * 2**0.5 * 0.24) < 2e-3
    assert fine.abs().max() <= 0.48
    assert draws.nodes[draws.divisions == 2][:, :, 2:].abs().max() == 0
    assert draws.hsv[:, 0].abs().max() == 18
    assert draws.hsv[:, 1:].abs().max() <= 0.05


def test_a_seed_fixes_every_draw() -> None:
    one, two = (
        augment.draw(3, Ranges(), generator=torch.Generator().manual_seed(9)) for _ in range(2)
    )
    assert one.nodes is not None
    assert two.nodes is not None
    assert torch.equal(one.nodes, two.nodes)
    assert torch.equal(one.scale, two.scale)


def test_still_draws_return_the_face_at_any_size() -> None:
    face = torch.rand(2, 3, 32, 32)
    grid = augment.target_grid(augment.still(2), 32)
    torch.testing.assert_close(augment.read(face, grid), face, atol=1e-5, rtol=0)
    torch.testing.assert_close(augment.warped_grid(augment.still(2), 32), grid)


def test_our_warp_has_no_offset() -> None:
    draws = augment.draw(1, Ranges(), generator=torch.Generator().manual_seed(1))
    corner = torch.full((1, 1, 1, 2), -0.5)
    torch.testing.assert_close(augment.warp_positions(draws, corner, 128), corner)


def test_flip_mirrors() -> None:
    draws = augment.still(1)
    flipped = Draws(
        draws.rotation_deg,
        draws.scale,
        draws.shift,
        torch.tensor([True]),
        draws.divisions,
        None,
        None,
    )
    face = torch.rand(1, 3, 80, 80)
    made = augment.read(face, augment.target_grid(flipped, 80))
    torch.testing.assert_close(made, face.flip(-1), atol=1e-5, rtol=0)


def test_hsv_shift_agrees_with_the_standard_library() -> None:
    generator = np.random.default_rng(5)
    faces = generator.random((1, 3, 4, 4)).astype(np.float32)
    faces[0, :, 0, 0], faces[0, :, 0, 1], faces[0, :, 0, 2] = 0.0, 1.0, 0.4
    amounts = torch.tensor([[40.0, -0.1, 0.05]])
    made = augment.shift_hsv(torch.from_numpy(faces), amounts).numpy()
    for y in range(4):
        for x in range(4):
            h, s, v = colorsys.rgb_to_hsv(*faces[0, :, y, x].tolist())
            wanted = colorsys.hsv_to_rgb(
                (h + 40 / 360) % 1, min(max(s - 0.1, 0), 1), min(v + 0.05, 1)
            )
            np.testing.assert_allclose(made[0, :, y, x], wanted, atol=1e-5)
    back = cv2.cvtColor(made[0].transpose(1, 2, 0), cv2.COLOR_RGB2HSV)
    assert back[..., 1].max() <= 1.0


def test_a_grid_moved_onto_the_rim_reads_black_borders_as_repeated_ones() -> None:
    """What stands in for repeated rims where a device has only black ones."""
    generator = torch.Generator().manual_seed(4)
    faces = torch.rand(2, 3, 13, 13, generator=generator)
    grid = torch.rand(2, 9, 9, 2, generator=generator) * 3 - 1.5
    assert grid.abs().max() > 1.2
    moved = augment.onto_rim(grid, 13)
    plain = augment.read(faces, moved, border="zeros")
    torch.testing.assert_close(plain, augment.read(faces, grid), rtol=1e-5, atol=1e-6)
