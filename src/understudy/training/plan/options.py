"""What may change between two runs of training. Values only, no torch."""

from typing import Any, Literal  # Any: what pydantic has not looked at yet

from pydantic import field_validator

from understudy.models.config import ModelConfig
from understudy.options import Options, option

ColorTransferName = Literal["none", "rct", "lct", "mkl", "idt", "sot"]
Precision = Literal["auto", "fp32", "bf16"]


class TrainOptions(Options):
    """Options of the training loop, under the names DFL users know."""

    target_iter: int = option(0, "Stop at this iteration; 0 = no limit.", ge=0)
    minutes: float = option(0.0, "Stop after this many minutes of training; 0 = no limit.", ge=0)
    batch_size: int = option(
        4,
        "Faces of each side per iteration; of several devices, all together.",
        ge=1,
        le=512,
    )
    learning_rate: float = option(5e-5, "Step size of the optimizer.", gt=0, le=0.1)
    lr_warmup: int = option(
        0, "Let the step size rise over this many first iterations.", group="Optimizer", ge=0
    )
    lr_fall: float = option(
        0.0,
        "Let the step size fall to a tenth over this last share of the run; 0 = constant.",
        group="Optimizer",
        ge=0,
        le=1,
    )
    adabelief: bool = option(True, "AdaBelief instead of RMSprop.", group="Optimizer")
    lr_dropout: bool = option(
        False,
        "Update a random 30 % of the weights per iteration, with a cosine rate.",
        group="Optimizer",
    )
    clipgrad: bool = option(False, "Limit the norm of the gradient to 1.", group="Optimizer")
    random_src_flip: bool = option(False, "Mirror src faces at random.", group="Samples")
    random_dst_flip: bool = option(True, "Mirror dst faces at random.", group="Samples")
    random_warp: bool = option(True, "Warp the faces that go in.", group="Samples")
    unwarped_end: float = option(
        0.0,
        "Show faces unwarped for this last share of the run; 0 = never.",
        group="Samples",
        ge=0,
        le=1,
    )
    random_hsv_power: float = option(
        0.0,
        "Vary hue, saturation and brightness of src faces that go in.",
        group="Samples",
        ge=0,
        le=0.3,
    )
    ct_mode: ColorTransferName = option(
        "none", "Give each src face the colours of a random dst face.", group="Samples"
    )
    random_affine: float = option(
        1.0,
        "Strength of random turns, scales and shifts; 1 = the predecessor's.",
        group="Samples",
        ge=0,
        le=2,
    )
    repeat_unwarped: int = option(
        0,
        "After this many batches show the last one once more, unwarped; 0 = never.",
        group="Samples",
        ge=0,
    )
    cross_pairs: float = option(
        0.0,
        "Share of faces for which one of the other side goes in that holds its head alike, moved "
        "onto their pose: ties the poses of both sides together.",
        group="Samples",
        ge=0,
        le=1,
    )
    uniform_yaw: bool = option(False, "Show all head angles equally often.", group="Samples")
    masked_training: bool = option(True, "Learn the face inside its mask only.", group="Losses")
    eyes_mouth_prio: bool = option(False, "Weigh eyes and mouth more.", group="Losses")
    blur_out_mask: bool = option(False, "Smooth the target outside its mask.", group="Losses")
    face_style_power: float = option(
        0.0,
        "Give the swapped face the colours the dst face has inside its mask; SAEHD only.",
        group="Losses",
        ge=0,
        le=100,
    )
    bg_style_power: float = option(
        0.0,
        "Let the swap look like the dst outside its mask; SAEHD only.",
        group="Losses",
        ge=0,
        le=100,
    )
    true_face_power: float = option(
        0.0,
        "Make the codes of src faces look like those of dst faces; SAEHD with df only.",
        group="Losses",
        ge=0,
        le=1,
    )
    gan_power: float = option(
        0.0,
        "Sharpen faces by a network that tells them from real ones; about 0.1, late in training.",
        group="Losses",
        ge=0,
        le=5,
    )
    gan_patch_size: int = option(
        0,
        "Pixels that network looks at together, 3 to 640; 0 = an eighth of the resolution.",
        group="Losses",
        ge=0,
        le=640,
    )
    gan_dims: int = option(16, "Width of that network.", group="Losses", ge=4, le=512)
    pretrain: bool = option(
        False,
        "Learn faces at large, from other people's: nothing that favours this pair is done.",
        group="Losses",
    )
    precision: Precision = option("auto", "Arithmetic of the networks.", group="Machine")
    device: str = option(
        "auto",
        'Where to train: "auto", "cpu", "cuda" (also for ROCm), "cuda:1", "mps" or "xpu".',
        group="Machine",
    )
    models_opt_on_gpu: bool = option(
        True,
        "Keep weights, optimizer and averages on the accelerator; off: with the host, which leaves "
        "it more memory and is slower.",
        group="Machine",
    )
    memory_check: bool = option(
        True,
        "See before training whether memory allows for it, by an estimate and a batch that is "
        "tried.",
        group="Machine",
    )
    faces_memory: float = option(
        0.0,
        "Gigabytes of host memory for the faces of each side, the rest is read from disk when "
        "needed; 0 = an eighth of the machine's, at most 2.",
        group="Machine",
        ge=0,
    )
    accumulate: int = option(
        1,
        "Compute each batch in this many parts, one after the other: less memory, the same result.",
        group="Machine",
        ge=1,
        le=512,
    )
    threads: int = option(
        0,
        "Processor threads, of each process if there are several; 0 = all cores.",
        group="Machine",
        ge=0,
    )
    seed: int = option(0, "Fixes every random draw.", group="Machine", ge=0)
    guard: bool = option(
        True, "Go back to the last good save when training goes wrong.", group="Safety"
    )
    save_minutes: float = option(
        25.0,
        "Save the state at least this often, in minutes; small models save every few seconds.",
        group="Safety",
        gt=0,
    )
    backup_minutes: float = option(
        0.0, "Keep a backup this often, in minutes; 0 = never.", group="Safety", ge=0
    )
    preview_minutes: float = option(
        1.0, "Write preview pictures this often, in minutes.", group="Previews", gt=0
    )
    preview_src: tuple[str, ...] = option(
        (), "Names of src faces that previews show first; without any a sample.", group="Previews"
    )
    preview_dst: tuple[str, ...] = option(
        (), "Names of dst faces that previews show first; without any a sample.", group="Previews"
    )
    tensorboard: bool = option(
        False, "Write curves for TensorBoard, too: model/NAME/tensorboard.", group="Previews"
    )
    held_out: float = option(
        0.03, "Share of each faceset kept aside to measure progress.", group="Safety", ge=0, le=0.5
    )
    ema: float = option(
        0.999,
        "Decay of the averaged weights used for previews and merging; 0 = off.",
        group="Optimizer",
        ge=0,
        lt=1,
    )
    dfl_parity: bool = option(
        False,
        "Restore the predecessor's behaviour where ours differs on purpose: docs/parity.md.",
        group="Machine",
    )

    @field_validator("preview_src", "preview_dst", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Names, also as one text with commas; empty ones are none."""
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            return names
        return tuple(name.strip() for name in names if name.strip())

    @field_validator("gan_patch_size")
    @classmethod
    def _patch_in_range(cls, value: int) -> int:
        if 0 < value < 3:
            raise ValueError("0, or 3 to 640 pixels")
        return value


def in_force(options: TrainOptions, config: ModelConfig) -> TrainOptions:
    """`options` as they act on such a model: what does not apply to it is off.

    Pretraining turns off what is of use for one pair of faces only.
    """
    changes: dict[str, object] = {}
    if config.kind != "SAEHD":
        changes |= {"face_style_power": 0.0, "bg_style_power": 0.0, "true_face_power": 0.0}
    if not config.is_df:
        changes["true_face_power"] = 0.0
    if config.kind == "AMP":
        changes |= {"masked_training": True, "eyes_mouth_prio": True, "adabelief": True}
    if config.kind == "XSeg":
        changes |= _PAINTING_MASKS
    if config.kind == "Quick96":
        changes |= {"gan_power": 0.0, "eyes_mouth_prio": False, "blur_out_mask": False}
    if options.pretrain:
        changes |= _PRETRAINING
        if not options.dfl_parity:
            changes["true_face_power"] = 0.0
    return options.model_copy(update=changes)


_PAINTING_MASKS = {
    "random_src_flip": True,
    "random_dst_flip": True,
    "random_hsv_power": 0.0,
    "ct_mode": "none",
    "repeat_unwarped": 0,
    "uniform_yaw": False,
    "eyes_mouth_prio": False,
    "blur_out_mask": False,
    "gan_power": 0.0,
}
"""A mask net has ways of its own to vary what it is shown, and one loss."""

_PRETRAINING = {
    "random_warp": False,
    "random_src_flip": True,
    "random_dst_flip": True,
    "random_hsv_power": 0.0,
    "gan_power": 0.0,
    "lr_dropout": False,
    "face_style_power": 0.0,
    "bg_style_power": 0.0,
    "uniform_yaw": True,
    "cross_pairs": 0.0,
    "ct_mode": "none",
}


def without_effect(options: TrainOptions, config: ModelConfig) -> list[str]:
    """Names of the options that were given a value which does nothing for such a model."""
    acting = in_force(options, config)
    return [
        name
        for name, field in TrainOptions.model_fields.items()
        if getattr(options, name) not in (getattr(acting, name), field.default)
    ]
