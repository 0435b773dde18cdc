"""What a user can choose about extraction. Values only; importing this loads no network library."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from understudy.options import Options, option
from understudy.types import FaceType

HEAD_SIZE = 768


class ExtractSettings(Options):
    """What is taken for a face, and how it is cut out."""

    face_type: FaceType = option(FaceType.WHOLE, "How much of the head a face picture covers.")
    image_size: int = option(
        512, "Side of a face picture in pixels; 768 for a head unless given.", ge=64, le=2048
    )
    max_faces: int = option(0, "Most faces taken from one frame, largest first; 0 = all.", ge=0)
    jpeg_quality: int = option(90, "Quality of the JPEG files.", ge=1, le=100)
    lossless: bool = option(False, "Write PNG files, which lose nothing, instead of JPEG.")
    min_face_px: int = option(
        32, "Smallest face looked for, in pixels of the frame.", ge=12, group="Detection"
    )
    min_score: float = option(
        0.57,
        "How sure two looks at a face have to be, on average.",
        ge=0.0,
        le=1.0,
        group="Detection",
    )
    rotations: bool = option(
        True,
        "Look at frames without an upright face turned by quarters, too.",
        group="Detection",
    )
    accurate: bool = option(
        True, "Read the landmarks from several crops: steadier, a little slower.", group="Detection"
    )
    dfl_parity: bool = option(
        False, "Cut pictures with plain bilinear reading, as DeepFaceLab does.", group="Detection"
    )
    misplaced: Literal["drop", "keep"] = option(
        "drop",
        "Faces whose landmarks can't be right: drop or keep; the report lists them either way.",
        group="Detection",
    )
    smooth: float = option(
        0.5,
        "How much landmarks are steadied along a clip; 0 = not at all, 1 = heavily.",
        ge=0.0,
        le=1.0,
        group="Tracks",
    )

    @model_validator(mode="before")
    @classmethod
    def _larger_for_a_head(cls, values: Any) -> Any:  # whatever the user gave
        """A head fills a third of its picture only."""
        if isinstance(values, Mapping) and values.get("face_type") == FaceType.HEAD:
            return {"image_size": HEAD_SIZE, **values}
        return values
