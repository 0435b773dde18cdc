"""What may change between two runs of training. Values only, no torch."""

from typing import Literal

from understudy.options import Options, option

Precision = Literal["auto", "fp32", "bf16"]


class TrainOptions(Options):
    """Options of the training loop, under the names DFL users know."""

    target_iter: int = option(0, "Stop at this iteration; 0 = no limit.", ge=0)
    minutes: float = option(0.0, "Stop after this many minutes of training; 0 = no limit.", ge=0)
    batch_size: int = option(4, "Faces of each side per iteration.", ge=1, le=512)
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
    uniform_yaw: bool = option(False, "Show all head angles equally often.", group="Samples")
    masked_training: bool = option(True, "Learn the face inside its mask only.", group="Losses")
    eyes_mouth_prio: bool = option(False, "Weigh eyes and mouth more.", group="Losses")
    blur_out_mask: bool = option(False, "Smooth the target outside its mask.", group="Losses")
    precision: Precision = option("auto", "Arithmetic of the networks.", group="Machine")
    device: str = option(
        "auto", 'Where to train: "auto", "cpu", "cuda", "cuda:1".', group="Machine"
    )
    threads: int = option(0, "Processor threads; 0 = all cores.", group="Machine", ge=0)
    seed: int = option(0, "Fixes every random draw.", group="Machine", ge=0)
    save_minutes: float = option(
        10.0, "Save the state this often, in minutes.", group="Safety", gt=0
    )
    backup_minutes: float = option(
        0.0, "Keep a backup this often, in minutes; 0 = never.", group="Safety", ge=0
    )
    preview_minutes: float = option(
        1.0, "Write preview pictures this often, in minutes.", group="Safety", gt=0
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
        False, "Restore the predecessor's behaviour where ours differs on purpose.", group="Machine"
    )
