"""Merges frames one after another, and knows which are right as they are."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.merging.settings import MergeSettings
from understudy.steps.journal import Journal
from understudy.types import Landmarks
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.plates import Colors
    from understudy.merging.merge import Matte, Picture
    from understudy.merging.motion import Motion
    from understudy.merging.predict import Networks
    from understudy.models.predictor import FacePredictor


@dataclass(frozen=True, slots=True)
class FrameWork:
    """One frame with all that its result follows from but the model."""

    path: Path
    settings: MergeSettings
    faces: "Sequence[Landmarks]"
    motions: "Sequence[Motion]"

    def key(self, made_by: Mapping[str, Any]) -> str:
        """A hash of it, of the plate on disk, and of the model that `made_by` identifies."""
        plate = self.path.stat()
        facts = {"made_by": made_by, "settings": self.settings.model_dump(mode="json")}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        digest.update(f"{plate.st_size} {plate.st_mtime_ns} {self.motions}".encode())
        for landmarks in self.faces:
            digest.update(np.asarray(landmarks, np.float64).tobytes())
        return digest.hexdigest()[:16]

    @property
    def seed(self) -> int:
        """Random draws of a frame follow from its name, so that each repeats by itself."""
        return int.from_bytes(hashlib.sha256(self.path.name.encode()).digest()[:4], "big")


class Merger:
    """Merges frames, each as its own item of the step."""

    def __init__(
        self, workspace: Workspace, predictor: "FacePredictor", networks: "Networks"
    ) -> None:
        self.workspace = workspace
        self._predictor = predictor
        self._networks = networks

    def outputs(self, frame: Path) -> tuple[Path, Path]:
        """Where the finished frame and its mask go."""
        from understudy.media.plates import merged_name

        mask = self.workspace.merged_mask_dir / f"{frame.stem}.png"
        return self.workspace.merged_dir / merged_name(frame), mask

    def is_done(self, work: FrameWork, journal: Journal, key: str) -> bool:
        """Whether the frame lies there as it would be made now."""
        row = journal.items.get(work.path.name)
        outputs = self.outputs(work.path)
        return row is not None and row["key"] == key and all(path.exists() for path in outputs)

    def render(self, work: FrameWork) -> "tuple[Picture, Matte]":
        """The finished frame and its mask."""
        from understudy.media.plates import read_plate

        return self._into(read_plate(work.path).colors, work)

    def _into(self, colors: "Colors", work: FrameWork) -> "tuple[Picture, Matte]":
        from understudy.merging.merge import merge_into

        return merge_into(
            colors,
            work.faces,
            self._predictor,
            work.settings,
            motions=work.motions,
            networks=self._networks,
            seed=work.seed,
        )

    def merge(self, work: FrameWork) -> int:
        """Number of faces replaced in one frame; writes the picture and the mask."""
        from understudy.media.images import write_mask
        from understudy.media.plates import read_plate, write_merged

        plate = read_plate(work.path)
        merged, mask = self._into(plate.colors, work)
        picture_path, mask_path = self.outputs(work.path)
        if plate.bits == 8:
            write_mask(mask_path, mask)
        else:  # what changed a deep pixel, however little, is never told as untouched
            least = np.float32(1 / 65535)
            write_mask(mask_path, np.where(mask > 0, np.maximum(mask, least), 0), bit_depth=16)
        write_merged(picture_path, merged, plate)
        return len(work.faces)


def work_along(
    frames: Sequence[Path],
    faces: Mapping[str, Sequence[Landmarks]],
    settings: Sequence[MergeSettings],
) -> list[FrameWork]:
    """The frames with their settings, faces and motions."""
    motions = motions_by_frame(frames, faces, settings)
    return [
        FrameWork(frame, one, faces.get(frame.stem, ()), motions.get(frame.stem, ()))
        for frame, one in zip(frames, settings, strict=True)
    ]


def motions_by_frame(
    frames: Sequence[Path],
    faces: Mapping[str, Sequence[Landmarks]],
    settings: Sequence[MergeSettings],
) -> "dict[str, list[Motion]]":
    """How each face of each frame moves, by the stem of the frame; only where that matters.

    A face goes on in the frames around as the nearest one there, if that is near enough to be it.
    In DFL's way only the first face counts, and none moves if any frame has several.
    """
    from understudy.merging.motion import motions_of, nearest_face

    each = [faces.get(frame.stem, ()) for frame in frames]
    if any(one.dfl_parity for one in settings):
        if any(len(found) > 1 for found in each):
            return {}
        firsts = motions_of([found[0] if found else None for found in each], dfl_parity=True)
        pairs = zip(frames, each, firsts, settings, strict=True)
        return {f.stem: [motion] for f, found, motion, one in pairs if found and one.motion_blur}
    motions = {}
    for place, frame in enumerate(frames):
        if not settings[place].motion_blur:
            continue
        around = [each[max(place - 1, 0)], each[place], each[min(place + 1, len(each) - 1)]]
        rows = ([nearest_face(face, found) for found in around] for face in each[place])
        motions[frame.stem] = [motions_of(row)[1] for row in rows]
    return motions
