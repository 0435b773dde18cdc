"""What fixes a model's weights: written once, when the model is made. Values only, no torch."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import field_validator, model_validator

from understudy.errors import OptionError
from understudy.options import ClashError, Options, option, parse
from understudy.types import FaceType

Kind = Literal["SAEHD", "AMP", "Quick96", "XSeg"]

USUAL_RESOLUTION = 640
_ARCHI = re.compile(r"^(df|liae)(-[udtc]{1,4})?$")


class ModelConfig(Options):
    """Shape of a face model. `archi` is "df" or "liae" with any of the letters u, d, t, c."""

    kind: Kind = option("SAEHD", "Family of networks.", group="Model")
    resolution: int = option(
        128, "Side of the face the networks see and make, in pixels.", group="Model", ge=32, le=2048
    )
    face_type: FaceType = option(
        FaceType.FULL, "How much of the head a face covers.", group="Model"
    )
    archi: str = option("df-ud", "Architecture of the autoencoder.", group="Model")
    ae_dims: int = option(256, "Width of the bottleneck.", group="Model", ge=8, le=1024)
    e_dims: int = option(64, "Width of the encoder.", group="Model", ge=2, le=256)
    d_dims: int = option(64, "Width of the decoder.", group="Model", ge=2, le=256)
    d_mask_dims: int = option(22, "Width of the mask decoder.", group="Model", ge=2, le=256)
    inter_dims: int = option(1024, "Width of AMP's inter codes.", group="Model", ge=8, le=2048)
    morph_factor: float = option(
        0.5,
        "Share of AMP's inter codes that is the src's own while it learns; AMP only.",
        group="Model",
        ge=0.1,
        le=0.5,
    )

    base_dims: int = option(
        32, "Width of a mask net's first layer; XSeg only.", group="Model", ge=2, le=128
    )

    @field_validator("archi")
    @classmethod
    def _known_archi(cls, value: str) -> str:
        match = _ARCHI.match(value)
        letters = (match.group(2) or "")[1:] if match else "xx"
        if match is None or len(set(letters)) != len(letters):
            raise ValueError('"df" or "liae", optionally with a dash and letters of u, d, t, c')
        return value

    @model_validator(mode="after")
    def _divisible(self) -> Any:  # pydantic wants Self, which mypy can't see through the decorator
        step = 32 if self.kind == "AMP" or {"d", "t"} & self.letters else 16
        step = 64 if self.kind == "XSeg" else step
        if self.resolution % step:
            which = "archi" if self.kind == "SAEHD" else "kind"
            raise ClashError(
                f"a resolution that is a multiple of {step} for this {which}", "resolution", which
            )
        return self

    @property
    def notice(self) -> str | None:
        """What the user of so large a model should know; None for one of the usual sizes."""
        if self.resolution <= USUAL_RESOLUTION:
            return None
        return (
            f"{self.resolution} pixels are beyond the {USUAL_RESOLUTION} that others' tools open;"
            " memory and time grow with the square"
        )

    @property
    def letters(self) -> frozenset[str]:
        """Letters after the dash of `archi`."""
        return frozenset(self.archi.partition("-")[2])

    @property
    def is_df(self) -> bool:
        """Whether each side has its own decoder."""
        return self.archi.startswith("df")


QUICK96 = ModelConfig(
    kind="Quick96",
    resolution=96,
    face_type=FaceType.FULL,
    archi="df-ud",
    ae_dims=128,
    e_dims=64,
    d_dims=64,
    d_mask_dims=16,
)

_DFL_FACE_TYPES = {
    "h": FaceType.HALF,
    "mf": FaceType.MIDFULL,
    "f": FaceType.FULL,
    "wf": FaceType.WHOLE,
    "head": FaceType.HEAD,
}
_DFL_DEFAULTS: dict[str, dict[str, Any]] = {
    "SAEHD": {"archi": "liae-ud", "resolution": 128, "face_type": "f", "ae_dims": 256},
    "AMP": {"archi": "df-udt", "resolution": 224, "face_type": "wf", "ae_dims": 256},
    "XSeg": {"archi": "df", "resolution": 256, "face_type": "wf"},
}
_DFL_DIMS = ("e_dims", "d_dims", "d_mask_dims", "inter_dims")


def from_dfl_options(kind: str, options: Mapping[str, Any]) -> ModelConfig:
    """Config that DFL's options describe; values may be numpy scalars, keys may be missing.

    An XSeg net has the width DFL builds unless `base_dims`, which DFL does not know, says another.

    Raises:
        OptionError: an unknown kind or face type, or a value out of range.
    """
    if kind == "Quick96":
        return QUICK96
    if kind not in _DFL_DEFAULTS:
        raise OptionError(
            "kind of model",
            expected="one of SAEHD, AMP, Quick96, XSeg",
            found=repr(kind),
            remedy="Use one of these names.",
        )
    values: dict[str, Any] = {"kind": kind} | _DFL_DEFAULTS[kind]
    fixed: tuple[str, ...] = ("resolution",) if kind == "XSeg" else ()
    known = ["resolution", "face_type", "archi", "ae_dims", "morph_factor", *_DFL_DIMS]
    known += ["base_dims"] if kind == "XSeg" else []
    if kind != "SAEHD":
        fixed += ("archi",)
    values |= {key: options[key] for key in known if key in options and key not in fixed}
    for key in ("resolution", "ae_dims", *_DFL_DIMS):
        if key in values:
            values[key] = int(values[key])
    if "morph_factor" in values:
        values["morph_factor"] = float(values["morph_factor"])
    if "d_mask_dims" not in values:
        third = values.get("d_dims", 64) // 3
        values["d_mask_dims"] = third + third % 2
    face_type = str(values["face_type"])
    values["face_type"] = _DFL_FACE_TYPES.get(face_type, face_type)
    return parse(ModelConfig, values)
