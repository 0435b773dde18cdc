"""Every control of merging, with its range and meaning; and the import of DFL's merger configs.

Raw values in, a frozen set of settings out. Knows nothing of pictures: what a control does is in
`masking`, `overlay` and `merge`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

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
        "What is delivered: the plate, the face laid over it, the bare square, or the face alone.",
    )
    mask_mode: MaskMode = option(
        "learned-prd*learned-dst",
        "Where the face is put: the whole square, the landmarks' hull, or what the model learned "
        "of the predicted (prd) and the plate's (dst) face.",
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
_FACE_TYPES = {
    0: FaceType.HALF,
    1: FaceType.MIDFULL,
    2: FaceType.FULL,
    3: FaceType.FULL_NO_ALIGN,
    4: FaceType.WHOLE,
    10: FaceType.HEAD,
    20: FaceType.HEAD_NO_ALIGN,
}
_NOT_YET = (
    "motion_blur_power",
    "super_resolution_power",
    "image_denoise_power",
    "bicubic_degrade_power",
    "color_degrade_power",
    "blursharpen_amount",
)


def from_dfl(config: Mapping[str, Any]) -> MergeSettings:
    """The settings of a DFL merger config (its keys, numbers or names), with `dfl_parity` on.

    `face_type` (DFL's number or name) and `resolution` are taken where present; other keys that do
    nothing here are ignored.

    Raises:
        OptionError: a value DFL does not know, or a control that is not there yet; it is named.
    """
    for name in _NOT_YET:
        if config.get(name, 0) != 0:
            raise _unsupported(name, "0", config[name])
    values: dict[str, Any] = {"dfl_parity": True, "blur_mask": 0.0}
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "mode": ("mode", _read_mode),
        "mask_mode": ("mask_mode", _read_mask_mode),
        "erode_mask_modifier": ("erode_mask", float),
        "blur_mask_modifier": ("blur_mask", float),
        "output_face_scale": ("face_scale", _read_scale),
        "color_transfer_mode": ("color_transfer", _read_color),
        "face_type": ("face_type", _read_face_type),
        "resolution": ("resolution", int),
    }
    for key, (name, read) in readers.items():
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


def _numbered(key: str, names: tuple[str, ...], have: Registry[Any], value: Any) -> str:
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
        remedy="Change it in the config; other values of this control are not supported.",
    )
