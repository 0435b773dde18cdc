"""Presets: a model's config and training options that belong together, as data.

Values only, no torch: command line and forms list them.
"""

from dataclasses import dataclass

from understudy.models.config import QUICK96, ModelConfig
from understudy.registry import Registry
from understudy.training.plan.options import TrainOptions
from understudy.types import FaceType


@dataclass(frozen=True, slots=True)
class Preset:
    """A named starting point; `summary` is one sentence for whoever chooses."""

    summary: str
    config: ModelConfig
    options: TrainOptions


PRESETS: Registry[Preset] = Registry("preset")
PRESETS.register("demo")(
    Preset(
        "A small network that learns a plain swap of two short clips in minutes on a processor.",
        ModelConfig(
            kind="SAEHD",
            resolution=96,
            face_type=FaceType.FULL,
            archi="df-ud",
            ae_dims=64,
            e_dims=24,
            d_dims=24,
            d_mask_dims=8,
        ),
        TrainOptions(
            # Clips this short are learned by heart: past this the swap follows the plate less.
            target_iter=1800,
            minutes=6.0,
            batch_size=4,
            learning_rate=5e-4,
            lr_warmup=300,
            lr_fall=0.3,
            clipgrad=True,
            random_src_flip=True,
            random_dst_flip=True,
            random_affine=0.3,
            eyes_mouth_prio=True,
            unwarped_end=0.15,
            ema=0.99,
        ),
    )
)
PRESETS.register("quick96")(
    Preset(
        "The predecessor's Quick96: 96 pixels, nothing to set.",
        QUICK96,
        TrainOptions(
            target_iter=30_000,
            batch_size=4,
            learning_rate=2e-4,
            adabelief=False,
            lr_dropout=True,
            random_dst_flip=False,
            repeat_unwarped=2,
        ),
    )
)
PRESETS.register("saehd")(
    Preset(
        "The predecessor's SAEHD with its default options and one decoder per side.",
        ModelConfig(kind="SAEHD", resolution=128, face_type=FaceType.FULL, archi="df-ud"),
        TrainOptions(target_iter=200_000, batch_size=4),
    )
)
PRESETS.register("amp")(
    Preset(
        "The predecessor's AMP: a swap that can be set anywhere between dst and src.",
        ModelConfig(
            kind="AMP", resolution=224, face_type=FaceType.WHOLE, archi="df-udt", d_mask_dims=22
        ),
        TrainOptions(target_iter=200_000, batch_size=8),
    )
)
PRESETS.register("xseg")(
    Preset(
        "The predecessor's XSeg: a mask net of 256 pixels, from labelled faces.",
        ModelConfig(kind="XSeg", resolution=256, face_type=FaceType.WHOLE),
        TrainOptions(
            target_iter=100_000,
            batch_size=4,
            learning_rate=1e-4,
            adabelief=False,
            lr_dropout=True,
            held_out=0.1,
        ),
    )
)
PRESETS.register("xseg-small")(
    Preset(
        "A mask net a processor can train: 128 pixels, half as wide, sixteen times as fast.",
        ModelConfig(kind="XSeg", resolution=128, base_dims=16, face_type=FaceType.WHOLE),
        TrainOptions(
            target_iter=20_000,
            batch_size=8,
            learning_rate=5e-4,
            clipgrad=True,
            lr_warmup=50,
            held_out=0.1,
            ema=0.99,
        ),
    )
)
