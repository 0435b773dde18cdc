"""What each frame is merged from, and the merging of one; knows which are right as they are."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.merging.settings import MergeSettings
from understudy.steps.journal import Journal
from understudy.steps.merge_kin import Kin, Seen, kin_of, reach_of, shots_of
from understudy.types import Landmarks
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.plates import Colors
    from understudy.merging.coloring import ColorSample
    from understudy.merging.merge import Matte, Picture
    from understudy.merging.motion import Motion
    from understudy.merging.predict import Networks, PredictedFace
    from understudy.models.predictor import FacePredictor


@dataclass(frozen=True, slots=True)
class FrameWork:
    """One frame with all that its result follows from but the model and the frames around."""

    path: Path
    settings: MergeSettings
    faces: "Sequence[Landmarks]"
    motions: "Sequence[Motion]"
    kin: Sequence[Sequence[Kin]] = ()
    shot: str = ""

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
        return _seed_of(self.path.name)


def keys_of(work: Sequence[FrameWork], made_by: Mapping[str, Any]) -> dict[Path, str]:
    """What each frame's result follows from, as a hash: the frames around too, where they count."""
    own = [one.key(made_by) for one in work]
    keys = {}
    for one, key in zip(work, own, strict=True):
        if one.shot:
            places = sorted({kin.place for row in one.kin for kin in row})
            around = f"{one.kin} {one.shot} {[own[place] for place in places]}"
            key = hashlib.sha256(f"{key} {around}".encode()).hexdigest()[:16]
        keys[one.path] = key
    return keys


def _seed_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


class Merger:
    """Merges frames, each as its own item of the step."""

    def __init__(
        self,
        workspace: Workspace,
        work: Sequence[FrameWork],
        predictor: "FacePredictor",
        networks: "Networks",
        *,
        workers: int = 1,
    ) -> None:
        self.workspace = workspace
        self._work = work
        reach = max((reach_of(one.settings) for one in work), default=0)
        self._seen: Seen[Path, list[tuple[PredictedFace, ColorSample]]] = Seen(
            2 * (reach + workers) + 1
        )
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
        from understudy.merging.merge import compose_faces, merge_into

        if work.shot and work.faces:
            return compose_faces(colors, self._over_time(work), work.settings, seed=work.seed)
        return merge_into(
            colors,
            work.faces,
            self._predictor,
            work.settings,
            motions=work.motions,
            networks=self._networks,
            seed=work.seed,
        )

    def _over_time(self, work: FrameWork) -> "list[PredictedFace]":
        """The faces with what the frames around say of their colours and masks."""
        from understudy.merging.coloring import ColorsOverTime
        from understudy.merging.over_time import weight_of, with_steady_masks

        settings, faces = work.settings, []
        for (face, sample), kin in zip(self._shown(work), work.kin, strict=True):
            around = [(one.apart, *self._shown(self._work[one.place])[one.face]) for one in kin]
            near = [
                (weight_of(apart, settings.smooth_mask), other)
                for apart, other, _ in around
                if apart <= settings.smooth_mask
            ]
            steady = with_steady_masks(face, near)
            if settings.temporal:
                samples = [(1.0, sample)]
                samples += [
                    (weight_of(apart, settings.temporal), theirs)
                    for apart, _, theirs in around
                    if apart <= settings.temporal
                ]
                steady = replace(steady, colors=ColorsOverTime(samples, _seed_of(work.shot)))
            faces.append(steady)
        return faces

    def _shown(self, work: FrameWork) -> "list[tuple[PredictedFace, ColorSample]]":
        """What a frame shows its neighbours, made once for all of them."""
        return self._seen.get(work.path, lambda: self._predicted(work))

    def _predicted(self, work: FrameWork) -> "list[tuple[PredictedFace, ColorSample]]":
        from understudy.media.plates import read_plate
        from understudy.merging.layer import colors_of
        from understudy.merging.motion import STILL
        from understudy.merging.predict import predict_face

        pixels = read_plate(work.path).colors
        motions = work.motions or [STILL] * len(work.faces)
        found = [
            predict_face(
                pixels,
                landmarks,
                self._predictor,
                work.settings,
                motion=motion,
                networks=self._networks,
            )
            for landmarks, motion in zip(work.faces, motions, strict=True)
        ]
        return [(face, colors_of(face, work.settings)) for face in found]

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
    *,
    cuts: Sequence[int] = (),
) -> list[FrameWork]:
    """The frames with their settings, faces and motions, and the same faces in frames around."""
    motions = motions_by_frame(frames, faces, settings)
    each = [faces.get(frame.stem, ()) for frame in frames]
    work = []
    for place, shot in enumerate(shots_of(len(frames), cuts)):
        frame, one = frames[place], settings[place]
        reach = reach_of(one)
        kin = kin_of(place, each, reach=reach, shot=shot) if reach else ()
        name = frames[shot[0]].name if reach else ""
        work.append(FrameWork(frame, one, each[place], motions.get(frame.stem, ()), kin, name))
    return work


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
