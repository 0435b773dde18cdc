"""The work of `mask apply` on one faceset: which faces are to be done, painted how, written where.

A faceset and a painter in, masks in the face files out. A face counts as done if it still has the
mask this command gave it, made by the same model and settings; so a killed run goes on where it
was. A mask that this command did not make is not painted over unasked.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any  # JSON values

from understudy.errors import FileError
from understudy.facesets.dfl import face_file
from understudy.facesets.faceset import Faceset
from understudy.facesets.moves.edit import trash_dir
from understudy.files import make_dir, remove_leftovers
from understudy.job import Job
from understudy.masks.face_masks import hardened, without_specks
from understudy.masks.painter import MaskPainter, Prepared, smoothed
from understudy.steps.mask.record import fingerprint, maker, open_record, storable
from understudy.types import Mask


@dataclass(frozen=True, slots=True)
class Place:
    """A face in time: its index in the faceset, whose track it is on, and the number in that."""

    index: int
    name: str
    track: str
    mask: int | None  # fingerprint of the mask it has


def frames_in_time(faceset: Faceset, tracks: Mapping[str, Any]) -> list[Place]:
    """The faces, each person's in the order of the frames they came from.

    Without a record of tracks, faces whose names end alike ("_0") are taken for one person's.
    """
    places = []
    for index, name in enumerate(faceset.names):
        face = faceset[index]
        track = tracks.get(name, name.rpartition("_")[2])
        key = (str(track), face.source_name or name, name)
        places.append((key, Place(index, name, str(track), fingerprint(face.mask))))
    return [place for _, place in sorted(places, key=lambda pair: pair[0])]


class Painting:
    """Paints one faceset."""

    def __init__(
        self,
        faceset: Faceset,
        painter: MaskPainter,
        *,
        manifests_dir: Path,
        made_by: Mapping[str, Any],
        frames: Sequence[Place],
        soft: bool,
        clean: bool,
        reach: int,
    ) -> None:
        self.faceset, self._painter, self._frames = faceset, painter, frames
        self._soft, self._reach = soft, reach
        self._harden = without_specks if clean else hardened
        self._made_by = maker(made_by)
        self._journal = open_record(manifests_dir, faceset.folder)
        self._todo: list[Place] = []
        self._foreign: frozenset[str] = frozenset()
        self.kept_dir: Path | None = None

    @property
    def num_finished(self) -> int:
        """Faces that need nothing."""
        return len(self._frames) - len(self._todo)

    def check_may_replace(self, called: str, *, replace: bool, restart: bool) -> None:
        """Decides which faces are to be done.

        Raises:
            FileError: some have masks that were not painted here, and `replace` is off.
        """
        rows = {place.name: self._row(place) for place in self._frames}
        self._todo = [
            place
            for place in self._frames
            if restart or (rows[place.name] or {}).get("made_by") != self._made_by
        ]
        foreign = [p.name for p in self._todo if p.mask is not None and rows[p.name] is None]
        if foreign and not replace:
            raise FileError(
                self.faceset.folder,
                expected="faces without masks, or with those this command painted",
                found=f"{len(foreign)} of {len(self._frames)} with masks from elsewhere "
                f"({foreign[0]})",
                remedy="--replace paints over them, and keeps the faces as they were in the trash; "
                f"understudy mask remove {called} takes the masks off.",
            )
        self._foreign = frozenset(foreign)
        if foreign:
            trash = trash_dir(self.faceset.folder)
            numbers = itertools.count(1)
            self.kept_dir = next(
                path for n in numbers if not (path := trash / f"mask-apply-{n}").exists()
            )

    def _row(self, place: Place) -> dict[str, Any] | None:
        """What is recorded of a face, if it has the mask that was painted then.

        A kill may leave the mask painted before that: it is ours, too, made by something else.
        """
        row = self._journal.items.get(place.name)
        if row is None or row.get("mask") == place.mask:
            return row
        return {} if place.mask is not None and row.get("before") == place.mask else None

    def run(self, job: Job, *, batch_size: int) -> int:
        """Number of faces that have their masks now; those that failed are the job's failures.

        Raises:
            StorageError: the disk is full; what is painted is kept.
            Cancelled: the user stopped it; what is painted is kept.
        """
        remove_leftovers(self.faceset.folder)
        total, before, done = len(self._frames), self.num_finished, 0
        with self._journal:
            written = job.map(
                self._write,
                self._painted(job, batch_size),
                total=total,
                done_before=before,
                name=lambda one: one[0].name,
                message=f"masks of {self.faceset.folder.name}",
            )
            for _ in written:
                done += 1
        return done

    def _painted(self, job: Job, batch_size: int) -> Iterator[tuple[Place, Mask]]:
        """The faces to be done with the masks they get, track by track."""
        wanted = {place.name for place in self._todo}
        for _, track in itertools.groupby(self._frames, key=lambda place: place.track):
            row = list(track)
            near = self._near([place.name in wanted for place in row])
            chosen = [k for k, yes in enumerate(near) if yes]
            masks: dict[int, Mask] = {}
            waiting = [k for k in chosen if row[k].name in wanted]
            for k, mask in self._soft_masks(job, row, chosen, batch_size):
                masks[k] = mask
                # a face is ready once all after it that count are painted, or can't be
                while waiting and (waiting[0] + self._reach <= k or k == chosen[-1]):
                    yield from self._one(row, waiting.pop(0), masks)
                for old in [o for o in masks if waiting and o < waiting[0] - self._reach]:
                    del masks[old]
            for k in waiting:
                yield from self._one(row, k, masks)

    def _one(
        self, row: Sequence[Place], k: int, masks: Mapping[int, Mask]
    ) -> Iterator[tuple[Place, Mask]]:
        if k not in masks:  # it could not be read, and is among the failures
            return
        around = [o for o in range(k - self._reach, k + self._reach + 1) if o in masks]
        mask = smoothed([masks[o] for o in around], around.index(k))
        mask = storable(mask) if self._soft else self._harden(mask)
        # before it is written: a kill in between must not make it or the one there another's
        name = row[k].name
        before = None if name in self._foreign else row[k].mask
        self._journal.add(name, made_by=self._made_by, mask=fingerprint(mask), before=before)
        yield row[k], mask

    def _near(self, wanted: Sequence[bool]) -> list[bool]:
        """Which faces of a track are painted: those wanted and those that count for them."""
        reach = self._reach
        return [any(wanted[max(0, k - reach) : k + reach + 1]) for k in range(len(wanted))]

    def _soft_masks(
        self, job: Job, row: Sequence[Place], chosen: Sequence[int], batch_size: int
    ) -> Iterator[tuple[int, Mask]]:
        ready: list[tuple[int, Prepared]] = []
        prepared = job.map(
            lambda k: self._painter.prepare(self.faceset[row[k].index]),
            chosen,
            name=lambda k: row[k].name,
            shown=False,
        )
        for k, one in prepared:
            ready.append((k, one))
            if len(ready) == batch_size:
                yield from self._batch(ready)
                ready = []
        if ready:
            yield from self._batch(ready)

    def _batch(self, ready: Sequence[tuple[int, Prepared]]) -> Iterator[tuple[int, Mask]]:
        masks = self._painter.paint([one for _, one in ready])
        return zip([k for k, _ in ready], masks, strict=True)

    def _write(self, one: tuple[Place, Mask]) -> None:
        """Puts a mask into its face's file, whose pixels keep their bytes."""
        place, mask = one
        path = self.faceset.folder / place.name
        face = self.faceset[place.index]
        if place.name in self._foreign and self.kept_dir is not None:
            _keep(path, self.kept_dir / place.name)
        face_file.write_face(path, replace(face, mask=mask))


def _keep(path: Path, target: Path) -> None:
    """A face as it is, with the mask beside it, under another name too."""
    from understudy.training.state.backups import link_or_copy

    make_dir(target.parent)
    link_or_copy(path, target)
    beside = face_file.sidecar_path(path)
    if beside.is_file():
        link_or_copy(beside, face_file.sidecar_path(target))
