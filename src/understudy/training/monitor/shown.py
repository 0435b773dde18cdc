"""The faces that previews show: the same ones every time, a fixed sample or those that were named.

Faces of one side in, what the networks are shown of a few of them out. They are read by themselves,
wherever those trained on lie. Knows no network and no pictures.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any  # JSON values

import numpy as np
import torch

from understudy.errors import OptionError, UnderstudyError
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.training.monitor.sheets import num_rows
from understudy.training.plan.options import TrainOptions
from understudy.training.samples import augment
from understudy.training.samples.bank import OVERSAMPLING
from understudy.training.samples.batch import SideBatch
from understudy.training.samples.batches import side_batch
from understudy.training.samples.held_out import names_in_time, split_held_out
from understudy.training.samples.paging import nearest
from understudy.training.samples.planes import face_planes
from understudy.types import FaceSample


class ShownFaces:
    """The faces of both sides that previews show, as the options choose them; read when they do."""

    def __init__(
        self,
        src: Sequence[FaceSample],
        dst: Sequence[FaceSample],
        *,
        config: ModelConfig,
        device: torch.device,
        job: Job,
    ) -> None:
        self._faces = {"src": src, "dst": dst}
        self._config, self._device, self._job = config, device, job
        self._known: dict[str, tuple[tuple[object, ...], SideBatch]] = {}

    def __call__(self, options: TrainOptions) -> tuple[SideBatch, SideBatch]:
        """As many of each side as of the other."""
        sides = [self._side(name, options) for name in self._faces]
        rows = min(len(side.target) for side in sides)
        src, dst = (SideBatch(s.warped[:rows], s.target[:rows], s.mask[:rows]) for s in sides)
        return src, dst

    def check(self, changes: Mapping[str, Any]) -> None:
        """Nothing, if the faces that options about to change choose are there.

        Raises:
            OptionError: one is not.
        """
        for side, faces in self._faces.items():
            chosen = changes.get(f"preview_{side}", ())
            check_chosen(chosen, (face.name or "" for face in faces), f"preview_{side}")

    def _side(self, side: str, options: TrainOptions) -> SideBatch:
        chosen = options.preview_src if side == "src" else options.preview_dst
        count = num_rows(self._config.resolution, options.batch_size)
        wanted = (chosen, count)
        before = self._known.get(side)
        if before is not None and before[0] == wanted:
            return before[1]
        try:
            batch = self._read(side, chosen, count, options)
        except UnderstudyError as error:
            if before is None:
                raise
            self._job.message(f"previews show the {side} faces of before: {error}")
            return before[1]
        self._known[side] = wanted, batch
        return batch

    def _read(
        self, side: str, chosen: Sequence[str], count: int, options: TrainOptions
    ) -> SideBatch:
        faces, config = self._faces[side], self._config
        known = list(faces)
        named = []
        for name in chosen:
            place = _place(name, known)
            if place is None:
                self._job.message(f"no {side} face {name} any more: previews show another")
            else:
                named.append(place)
        places = [*dict.fromkeys([*named, *_fixed_sample(known, count, options)])][:count]
        size = int(config.resolution * OVERSAMPLING) // 2 * 2
        planes = [
            _planes(faces, place, size=size, config=config, parity=options.dfl_parity)
            for place in places
        ]
        stacked = torch.from_numpy(np.stack(planes)).to(self._device).float() / 255
        return side_batch(stacked, augment.still(len(planes)), resolution=config.resolution)


def check_chosen(chosen: Sequence[str], names: Iterable[str], option: str) -> None:
    """Nothing, if there are faces of all these names.

    Raises:
        OptionError: one is missing.
    """
    known = {part for name in names for part in _spellings(name)} if chosen else set()
    for name in chosen:
        if not known & set(_spellings(name)):
            raise OptionError(
                option,
                expected="the name of a face in the faceset",
                found=repr(name),
                remedy="Names are those of the files in the folder of faces.",
            )


def _spellings(name: str) -> tuple[str, str]:
    """A face's name, and the same without its ending; without the folder of a person."""
    path = PurePosixPath(name)
    return path.name, path.stem


def _place(name: str, known: Sequence[FaceSample]) -> int | None:
    wanted = set(_spellings(name))
    found = (place for place, face in enumerate(known) if wanted & set(_spellings(face.name or "")))
    return next(found, None)


def _fixed_sample(known: Sequence[FaceSample], count: int, options: TrainOptions) -> list[int]:
    """Half of them faces kept aside, half faces trained on, each spread in time."""
    trained, held_out = split_held_out(
        names_in_time(known), share=options.held_out, seed=options.seed
    )
    aside = held_out[[0, -1][: min(len(held_out), (count + 1) // 2)]] if len(held_out) else held_out
    rest = count - len(aside)
    inner = ((np.arange(rest) + 0.5) / max(rest, 1) * len(trained)).astype(int)
    return [int(place) for place in (*aside, *trained[inner])]


def _planes(
    faces: Sequence[FaceSample], place: int, *, size: int, config: ModelConfig, parity: bool
) -> np.ndarray:
    """Planes of the face at `place`, or of the next one that can be read."""
    problem: UnderstudyError | None = None
    for near in nearest(place, len(faces)):
        try:
            return face_planes(
                faces[near], size=size, face_type=config.face_type, eyes_mouth=False, parity=parity
            )
        except UnderstudyError as error:
            problem = problem or error
    raise problem or IndexError(place)
