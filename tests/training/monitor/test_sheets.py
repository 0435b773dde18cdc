"""What previews show: DeepFaceLab's sheets, point by point."""

import pytest
import torch

from understudy.models import build
from understudy.models.config import QUICK96, ModelConfig
from understudy.training.monitor.sheets import Sheet, num_rows, sheets
from understudy.training.samples.batch import SideBatch
from understudy.types import FaceType


def side(seed: int, *, size: int = 32, count: int = 2) -> SideBatch:
    generator = torch.Generator().manual_seed(seed)
    face = torch.rand(count, 3, size, size, generator=generator)
    mask = torch.rand(count, 1, size, size, generator=generator)
    return SideBatch(face, face, mask)


def check(sheet: Sheet, captions: list[list[str]], rows: list[list[torch.Tensor]]) -> None:
    assert [list(line) for line in sheet.captions] == captions
    assert len(sheet.rows) == len(rows)
    for made, wanted in zip(sheet.rows, rows, strict=True):
        for one, other in zip(made, wanted, strict=True):
            torch.testing.assert_close(one, other)


def by_row(*columns: torch.Tensor) -> list[list[torch.Tensor]]:
    return [list(faces) for faces in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    ("resolution", "batch", "rows"),
    [(96, 8, 4), (128, 3, 3), (256, 8, 3), (288, 8, 2), (400, 8, 2), (512, 8, 1), (1024, 8, 1)],
)
def test_rows_are_those_that_fit(resolution: int, batch: int, rows: int) -> None:
    assert num_rows(resolution, batch) == rows


FIVE = ["src", "src-src", "dst", "dst-dst", "src-dst"]


@pytest.mark.parametrize("face_type", [FaceType.FULL, FaceType.HEAD])
def test_saehd_has_five_columns_plain_and_masked(
    tiny_config: ModelConfig, face_type: FaceType
) -> None:
    config = tiny_config.model_copy(update={"face_type": face_type})
    model, src, dst = build(config, seed=0), side(1), side(2)
    plain, masked, placed = sheets(model, src, dst)
    assert [s.name for s in (plain, masked, placed)] == ["SAEHD", "SAEHD masked", "SAEHD placed"]
    view = model.view(src.target, dst.target)
    both = view.dst_dst_mask * view.src_dst_mask
    columns = (src.target, view.src_src, dst.target, view.dst_dst, view.src_dst)
    check(plain, [FIVE], by_row(*columns))
    swap = view.src_dst * (view.src_dst_mask if face_type is FaceType.HEAD else both)
    inside = (dst.target * dst.mask, view.dst_dst * view.dst_dst_mask, swap)
    check(masked, [FIVE], by_row(src.target * src.mask, view.src_src, *inside))
    laid = dst.target * (1 - both) + view.src_dst * both
    check(placed, [["dst", "src-dst", "placed"]], by_row(dst.target, view.src_dst, laid))


def test_large_faces_stand_two_by_two(tiny_config: ModelConfig) -> None:
    config = tiny_config.model_copy(update={"resolution": 288})
    model, src, dst = build(config, seed=0), side(1, size=288), side(2, size=288)
    made = {sheet.name: sheet for sheet in sheets(model, src, dst)}
    assert list(made) == [
        *(f"SAEHD {name}" for name in ("src-src", "dst-dst", "pred")),
        *(f"SAEHD masked {name}" for name in ("src-src", "dst-dst", "pred")),
        "SAEHD placed",
    ]
    view = model.view(src.target, dst.target)
    both = view.dst_dst_mask * view.src_dst_mask
    check(made["SAEHD src-src"], [["src", "src-src"]], by_row(src.target, view.src_src))
    check(made["SAEHD dst-dst"], [["dst", "dst-dst"]], by_row(dst.target, view.dst_dst))
    check(made["SAEHD pred"], [["dst", "src-dst"]], by_row(dst.target, view.src_dst))
    inside = dst.target * dst.mask
    check(
        made["SAEHD masked src-src"],
        [["src", "src-src"]],
        by_row(src.target * src.mask, view.src_src),
    )
    check(
        made["SAEHD masked dst-dst"],
        [["dst", "dst-dst"]],
        by_row(inside, view.dst_dst * view.dst_dst_mask),
    )
    check(made["SAEHD masked pred"], [["dst", "src-dst"]], by_row(inside, view.src_dst * both))


def test_quick96_is_laid_out_as_saehd() -> None:
    model, src, dst = build(QUICK96, seed=0), side(1, size=96), side(2, size=96)
    plain, masked, _ = sheets(model, src, dst)
    assert (plain.name, masked.name) == ("Quick96", "Quick96 masked")
    assert [len(row) for row in (*plain.rows, *masked.rows)] == [5] * 4


def test_amp_shows_one_face_on_the_way_to_the_swap(tiny_config: ModelConfig) -> None:
    amp = {"kind": "AMP", "archi": "df-udt", "inter_dims": 16, "morph_factor": 0.5}
    model = build(tiny_config.model_copy(update=amp), seed=0)
    src, dst = side(1), side(2)
    main, plain, masked = sheets(model, src, dst)
    names = [sheet.name for sheet in (main, plain, masked)]
    assert names == ["AMP morph 1.0", "AMP morph list", "AMP morph list masked"]
    views = {
        m: model.view(src.target[:1], dst.target[:1], morph=m) for m in (0.25, 0.5, 0.65, 0.75, 1.0)
    }
    whole = views[1.0]
    mask = whole.dst_dst_mask
    check(
        main,
        [["src", "dst", "dst-dst masked"], ["src-src", "dst-dst", "morph 1.0"]],
        [
            [src.target[0], dst.target[0], (whole.dst_dst * mask)[0]],
            [whole.src_src[0], whole.dst_dst[0], whole.src_dst[0]],
        ],
    )
    told = [["dst-dst", "morph 0.25", "morph 0.5"], ["morph 0.65", "morph 0.75", "morph 1.0"]]
    way = [whole.dst_dst, *(view.src_dst for view in views.values())]
    check(plain, told, [[f[0] for f in way[:3]], [f[0] for f in way[3:]]])
    inside = [whole.dst_dst, *(v.src_dst * mask * v.src_dst_mask for v in views.values())]
    check(masked, told, [[f[0] for f in inside[:3]], [f[0] for f in inside[3:]]])
    assert not torch.equal(plain.rows[0][1], plain.rows[1][2]), "morphs differ"


def test_bfloat16_networks_are_shown_in_float32(tiny_config: ModelConfig) -> None:
    model = build(tiny_config, seed=0).to(torch.bfloat16)
    for sheet in sheets(model, side(1), side(2)):
        assert {face.dtype for row in sheet.rows for face in row} == {torch.float32}
