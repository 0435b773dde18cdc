"""Every option of the predecessor's models: its key, what it is unless asked, and its range."""

from typing import Any

import pytest

from understudy.errors import OptionError
from understudy.models.config import ModelConfig, from_dfl_options
from understudy.options import parse
from understudy.training.plan.options import TrainOptions
from understudy.training.state.dfl_options import dfl_options, train_options

# key, default, in range, out of range. Source: reference, section 12.2; ranges of widths begin
# lower here than the predecessor asks, for networks of tests and of small machines.
SAEHD_SHAPE = [
    ("resolution", 128, (64, 640), (31, 72)),
    (
        "face_type",
        "full_face",
        ("half_face", "midfull_face", "full_face", "whole_face", "head"),
        ("hd",),
    ),
    ("archi", "liae-ud", ("df", "liae-udtc", "df-tdcu"), ("df-", "dfx", "df-uu")),
    ("ae_dims", 256, (32, 1024), (0, 1025)),
    ("e_dims", 64, (16, 256), (0, 257)),
    ("d_dims", 64, (16, 256), (0, 257)),
    ("d_mask_dims", 22, (16, 256), (0, 257)),
]
SAEHD = [
    ("target_iter", 0, (0, 10**6), (-1,)),
    ("random_src_flip", False, (True,), ("perhaps",)),
    ("random_dst_flip", True, (False,), ("perhaps",)),
    ("batch_size", 8, (1, 512), (0,)),
    ("models_opt_on_gpu", True, (False,), ("perhaps",)),
    ("masked_training", True, (False,), ("perhaps",)),
    ("eyes_mouth_prio", False, (True,), ("perhaps",)),
    ("uniform_yaw", False, (True,), ("perhaps",)),
    ("blur_out_mask", False, (True,), ("perhaps",)),
    ("gan_power", 0.0, (0, 5), (-0.1, 5.1)),
    ("gan_patch_size", 0, (3, 640), (2, 641)),
    ("gan_dims", 16, (4, 512), (3, 513)),
    ("adabelief", True, (False,), ("perhaps",)),
    ("lr_dropout", False, (True,), ("perhaps",)),
    ("random_warp", True, (False,), ("perhaps",)),
    ("random_hsv_power", 0.0, (0, 0.3), (-0.1, 0.31)),
    ("true_face_power", 0.0, (0, 1), (-0.1, 1.1)),
    ("face_style_power", 0.0, (0, 100), (-1, 101)),
    ("bg_style_power", 0.0, (0, 100), (-1, 101)),
    ("ct_mode", "none", ("none", "rct", "lct", "mkl", "idt", "sot"), ("mix-m",)),
    ("clipgrad", False, (True,), ("perhaps",)),
    ("pretrain", False, (True,), ("perhaps",)),
]
AMP_SHAPE = [
    ("resolution", 224, (64, 640), (80,)),
    ("face_type", "whole_face", ("full_face", "whole_face", "head"), ("hd",)),
    ("ae_dims", 256, (32, 1024), (0, 1025)),
    ("inter_dims", 1024, (32, 2048), (0, 2049)),
    ("e_dims", 64, (16, 256), (0, 257)),
    ("d_dims", 64, (16, 256), (0, 257)),
    ("d_mask_dims", 22, (16, 256), (0, 257)),
    ("morph_factor", 0.5, (0.1, 0.5), (0.09, 0.51)),
]
Row = tuple[str, Any, tuple[Any, ...], tuple[Any, ...]]


def _named(key: str) -> str:
    """What an error must name."""
    return "resolution|multiple" if key == "resolution" else key.replace("_", "[_-]")


@pytest.mark.parametrize(
    ("kind", "row"),
    [("SAEHD", row) for row in SAEHD_SHAPE] + [("AMP", row) for row in AMP_SHAPE],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_the_shape_of_a_model(kind: str, row: Row) -> None:
    key, default, good, bad = row
    base = from_dfl_options(kind, {})
    assert getattr(base, key) == default
    for value in good:
        assert getattr(parse(ModelConfig, base.model_dump() | {key: value}), key) == value
    for value in bad:
        with pytest.raises(OptionError, match=_named(key)):
            parse(ModelConfig, base.model_dump() | {key: value})


@pytest.mark.parametrize("row", SAEHD, ids=lambda row: row[0])
def test_how_saehd_is_trained(row: Row) -> None:
    key, default, good, bad = row
    base = train_options("SAEHD", {})
    assert getattr(base, key) == default
    assert TrainOptions.model_fields[key].description
    for value in good:
        assert getattr(parse(TrainOptions, base.model_dump() | {key: value}), key) == value
    for value in bad:
        with pytest.raises(OptionError, match=_named(key)):
            parse(TrainOptions, base.model_dump() | {key: value})


def test_hours_between_backups_are_minutes_here() -> None:
    assert train_options("SAEHD", {}).backup_minutes == 0
    assert train_options("SAEHD", {"autobackup_hour": 24}).backup_minutes == 24 * 60


@pytest.mark.parametrize(("kind", "batch_size"), [("SAEHD", 8), ("AMP", 8), ("XSeg", 4)])
def test_batches_are_as_large_as_they_were(kind: str, batch_size: int) -> None:
    assert train_options(kind, {}).batch_size == batch_size


def test_every_key_the_predecessor_asks_for_is_written_for_it() -> None:
    config = from_dfl_options("SAEHD", {})
    written = dfl_options(config, train_options("SAEHD", {}), {})
    keys = {row[0] for row in (*SAEHD_SHAPE, *SAEHD)} | {"autobackup_hour", "write_preview_history"}
    assert keys <= written.keys()
    config = from_dfl_options("AMP", {})
    written = dfl_options(config, train_options("AMP", {}), {})
    assert {row[0] for row in AMP_SHAPE} <= written.keys()
