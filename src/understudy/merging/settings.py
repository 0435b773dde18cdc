"""Every control of merging, with its range and meaning; and the import of DFL's merger configs.

Raw values in, a frozen set of settings out. Knows nothing of pictures: what a control does is in
`masking`, `overlay` and `merge`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, WithJsonSchema

from understudy.errors import OptionError
from understudy.imaging.color import COLOR_TRANSFERS
from understudy.merging.masking import MASK_MODES
from understudy.merging.overlay import OVERLAYS
from understudy.options import Options, option, parse
from understudy.registry import Registry
from understudy.types import FaceType


def _one_of(registry: Registry[Any]) -> tuple[AfterValidator, WithJsonSchema]:
    def check(name: str) -> str:
        if name not in registry:
            # What pydantic catches and tells the user with the option's name.
            raise ValueError(f"one of {', '.join(registry)}")
        return name

    return AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(registry)})


Mode = Annotated[str, *_one_of(OVERLAYS)]
MaskMode = Annotated[str, *_one_of(MASK_MODES)]
ColorTransferName = Annotated[str, *_one_of(COLOR_TRANSFERS)]


class MergeSettings(Options):
    """How a predicted face is put into the plate.

    Sizes of mask controls are in pixels of the aligned face at four times the model's resolution,
    so they look the same on near and far faces.
    """

    mode: Mode = option(
        "overlay",
        "What is delivered: the plate (original), the face laid over it (overlay), the same with "
        "the plate's histograms (hist-match), the face's detail in the plate's light (seamless, "
        "seamless-hist-match), the bare square (raw-rgb), or the face alone (raw-predict).",
    )
    masked_hist_match: bool = option(
        True, "Match histograms inside the mask only (hist-match).", group="Color"
    )
    hist_match_threshold: int = option(
        255,
        "Below 255 the bright end of matched histograms is held back (the hist-match modes).",
        group="Color",
        ge=0,
        le=255,
    )
    mask_mode: MaskMode = option(
        "learned-prd*learned-dst",
        "Where the face is put: the whole square, the landmarks' hull, what the model learned "
        "of the predicted (prd) and the plate's (dst) face, or what a mask model (XSeg) paints "
        "on them; it is run only for modes that name it.",
        group="Mask",
    )
    erode_mask: float = option(
        0.0, "Takes the mask's edge in; below zero lets it out.", group="Mask", ge=-400, le=400
    )
    blur_mask: float = option(
        60.0,
        "Width of the soft edge, all of it inside the face square.",
        group="Mask",
        ge=0,
        le=400,
    )
    face_scale: float = option(
        0.0,
        "Makes the face larger (above zero) or smaller, in percent.",
        group="Face",
        ge=-50,
        le=100,
    )
    face_right: float = option(
        0.0,
        "Moves the face to the right, in percent of its square; below zero to the left.",
        group="Face",
        ge=-20,
        le=20,
    )
    face_down: float = option(
        0.0,
        "Moves the face down, in percent of its square; below zero up.",
        group="Face",
        ge=-20,
        le=20,
    )
    color_transfer: ColorTransferName = option(
        "rct", "How the face takes on the plate's colours.", group="Color"
    )
    temporal: int = option(
        0,
        "Colours are measured over that many frames before and after, within the shot, so that "
        "they do not flicker; sot and mix only draw alike in all frames. Not in the seamless "
        "modes, nor with --dfl-parity.",
        group="Color",
        ge=0,
        le=60,
    )
    smooth_mask: int = option(
        0,
        "Learned and painted masks are averaged over that many frames before and after, on the "
        "face, where they nearly agree. Not with --dfl-parity.",
        group="Mask",
        ge=0,
        le=12,
    )
    motion_blur: float = option(
        0.0,
        "Smears the face along its way through the frame, in percent of that way. DeepFaceLab "
        "turns this off for all frames if one shows two faces; here each face has its own.",
        group="Face",
        ge=0,
        le=100,
    )
    sharpen_mode: Literal["none", "box", "gaussian"] = option(
        "none", "What sharpens the face; softening needs none.", group="Face"
    )
    sharpen_amount: float = option(
        0.0,
        "Sharpens the face, in a sharpen mode; below zero it is softened.",
        group="Face",
        ge=-100,
        le=100,
    )
    super_resolution: float = option(
        0.0,
        "How much of a super-resolution network's finer face is mixed in, in percent; you bring "
        "its weights.",
        group="Face",
        ge=0,
        le=100,
    )
    two_pass: Literal["none", "face", "face+mask"] = option(
        "none",
        "Show the model its own face once more and take the face, or the masks too, from that.",
        group="Model",
    )
    pre_sharpen: float = option(
        0.0, "Sharpens the plate's face before the model sees it.", group="Model", ge=0, le=200
    )
    morph: float = option(
        1.0,
        "How far an AMP model goes from the dst face (0) to the src face (1).",
        group="Model",
        ge=0,
        le=1,
    )
    denoise: float = option(
        0.0, "Takes fine detail away, by repeated medians.", group="Degrade", ge=0, le=500
    )
    bicubic_degrade: float = option(
        0.0,
        "Takes fine detail away, by making smaller and large again.",
        group="Degrade",
        ge=0,
        le=100,
    )
    color_degrade: float = option(
        0.0, "Goes over to 256 colours, in percent.", group="Degrade", ge=0, le=100
    )
    degrade: Literal["face", "plate", "both"] = option(
        "face",
        "What denoise, bicubic and color degrade work on. DeepFaceLab's act on the whole plate "
        "(the color one on the face, too); pixels outside the mask then change.",
        group="Degrade",
    )
    match_grain: float = option(
        0.0,
        "Gives the face the plate's measured grain, in percent of what it lacks.",
        group="Face",
        ge=0,
        le=100,
    )
    linear_edges: bool = option(
        False,
        "Blend the soft edge in linear light, as a compositor does; without it in the plate's own "
        "encoding.",
        group="Mask",
    )
    face_type: FaceType = option(
        FaceType.WHOLE,
        "Face type of the model, where the model itself does not say.",
        group="Model",
    )
    resolution: int | None = option(
        None,
        "Resolution of the model, where the model itself does not say.",
        group="Model",
        ge=16,
        le=2048,
    )
    dfl_parity: bool = option(
        False,
        "Repeat DeepFaceLab's merge to the last level, faults included.",
        group="Compatibility",
    )


_DFL_MASK_MODES = (
    "full",
    "dst",
    "learned-prd",
    "learned-dst",
    "learned-prd*learned-dst",
    "learned-prd+learned-dst",
    "XSeg-prd",
    "XSeg-dst",
    "XSeg-prd*XSeg-dst",
    "learned-prd*learned-dst*XSeg-prd*XSeg-dst",
)
_DFL_COLOR_MODES = ("none", "rct", "lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m")
_DFL_SHARPEN_MODES = ("none", "box", "gaussian")
_FACE_TYPES = {
    0: FaceType.HALF,
    1: FaceType.MIDFULL,
    2: FaceType.FULL,
    3: FaceType.FULL_NO_ALIGN,
    4: FaceType.WHOLE,
    10: FaceType.HEAD,
    20: FaceType.HEAD_NO_ALIGN,
}


def from_dfl(config: Mapping[str, Any]) -> MergeSettings:
    """The settings of a DFL merger config (its keys, numbers or names), with `dfl_parity` on.

    `face_type` (DFL's number or name) and `resolution` are taken where present; other keys that do
    nothing here are ignored.

    Raises:
        OptionError: a value DFL does not know; it is named.
    """
    values: dict[str, Any] = {"dfl_parity": True, "blur_mask": 0.0, "degrade": "plate"}
    for key, (name, read) in _READERS.items():
        if config.get(key) is not None:
            values[name] = read(config[key])
    return parse(MergeSettings, values)


def _read_mode(mode: Any) -> str:
    if mode not in OVERLAYS:
        raise _unsupported("mode", f"one of {', '.join(OVERLAYS)}", mode)
    return str(mode)


def _read_mask_mode(mode: Any) -> str:
    return _numbered("mask_mode", _DFL_MASK_MODES, MASK_MODES, mode)


def _read_color(mode: Any) -> str:
    return _numbered("color_transfer_mode", _DFL_COLOR_MODES, COLOR_TRANSFERS, mode)


def _read_sharpen(mode: Any) -> str:
    return _numbered("sharpen_mode", _DFL_SHARPEN_MODES, _DFL_SHARPEN_MODES, mode)


def _numbered(key: str, names: tuple[str, ...], have: Collection[str], value: Any) -> str:
    if not isinstance(value, str):
        if not 0 <= int(value) < len(names):
            raise _unsupported(key, f"0 to {len(names) - 1}", value)
        value = names[int(value)]
    if value not in have:
        raise _unsupported(key, f"one of {', '.join(have)}", value)
    return str(value)


def _read_scale(percent: Any) -> float:
    # DFL's number widens what the square shows, so its face shrinks as the number grows.
    return 100.0 * (1.0 / (1.0 + 0.01 * float(percent)) - 1.0)


def _read_face_type(value: Any) -> FaceType:
    known = set(FaceType) if isinstance(value, str) else set(_FACE_TYPES)
    if value not in known:
        raise _unsupported("face_type", f"one of {', '.join(str(k) for k in sorted(known))}", value)
    return FaceType(value) if isinstance(value, str) else _FACE_TYPES[int(value)]


def _unsupported(key: str, expected: str, found: Any) -> OptionError:
    return OptionError(
        f"merger config, {key}",
        expected=expected,
        found=repr(found),
        remedy="Change it in the config.",
    )


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "mode": ("mode", _read_mode),
    "mask_mode": ("mask_mode", _read_mask_mode),
    "erode_mask_modifier": ("erode_mask", float),
    "blur_mask_modifier": ("blur_mask", float),
    "output_face_scale": ("face_scale", _read_scale),
    "color_transfer_mode": ("color_transfer", _read_color),
    "masked_hist_match": ("masked_hist_match", bool),
    "hist_match_threshold": ("hist_match_threshold", int),
    "motion_blur_power": ("motion_blur", float),
    "sharpen_mode": ("sharpen_mode", _read_sharpen),
    "blursharpen_amount": ("sharpen_amount", float),
    "super_resolution_power": ("super_resolution", float),
    "image_denoise_power": ("denoise", float),
    "bicubic_degrade_power": ("bicubic_degrade", float),
    "color_degrade_power": ("color_degrade", float),
    "pre_sharpen_power": ("pre_sharpen", float),
    "morph_factor": ("morph", float),
    "face_type": ("face_type", _read_face_type),
    "resolution": ("resolution", int),
}

CONFIG_KEYS = frozenset(_READERS)
"""What `from_dfl` reads."""
