"""The ways a faceset can be sorted, under the names DFL users know.

A table of measures in; the order of the faces that stay, and those that are sorted out. Each
method is a small function of the table and says which measures it needs; no method moves a file.
Source: reference "dfl-pipeline" section 9.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.errors import MaterialError
from understudy.faces.identity.registry import EMBEDDERS, Embeddings
from understudy.facesets.sorting.best import best_faces
from understudy.facesets.sorting.chains import difference_chain, dissimilarity, histogram_order
from understudy.facesets.sorting.duplicates import duplicates
from understudy.facesets.sorting.identity import identity_order, keep_like
from understudy.facesets.sorting.look import KINDS, Look
from understudy.facesets.sorting.table import Table
from understudy.job import Job
from understudy.registry import Registry
from understudy.wording import counted

DEFAULT_TARGET = 2000
_COUNTED = 10  # people whose faces are counted in the message


@dataclass(frozen=True, slots=True)
class SortSettings:
    """What some methods can be told.

    `target` is about how many faces the best-faces methods keep; `similar` chains absdiff by what
    is alike (else by what differs); `closeness` is how alike duplicates are, in levels of 255;
    `embedder` tells people apart; `like` are face files of the one person to keep, none for all.
    """

    target: int = DEFAULT_TARGET
    similar: bool = True
    closeness: float = 2.0
    embedder: str = "texture"
    like: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """Indices of the faces that stay, in their new order, and of those that go to the trash."""

    kept: tuple[int, ...]
    rejected: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sort:
    """A way to sort: what it does in one sentence, the measures it needs, the function.

    The kind "identity" stands for that of the embedder in the settings.
    """

    sentence: str
    kinds: tuple[str, ...]
    order: Callable[[Table, SortSettings, Job], Order]

    def kinds_with(self, settings: SortSettings) -> tuple[str, ...]:
        """Kinds of measures it needs with these settings.

        Raises:
            OptionError: there is no such embedder.
            WeightsError: the embedder's weights have to be fetched first.
        """
        if "identity" in self.kinds:
            EMBEDDERS[settings.embedder]("cpu")
        named = {"identity": f"identity_{settings.embedder}"}
        return tuple(named.get(kind, kind) for kind in self.kinds)


SORTS: Registry[Sort] = Registry("sort")

Values = Float[np.ndarray, " n"]
Flags = Bool[np.ndarray, " n"]


def ranked(values: Values, *, down: bool = True, keep: Flags | None = None) -> Order:
    """The order by a number, stable; what `keep` leaves out is rejected."""
    order = np.argsort(-values if down else values, kind="stable")
    stays = np.ones(len(values), bool) if keep is None else keep
    return Order(tuple(order[stays[order]].tolist()), tuple(np.flatnonzero(~stays).tolist()))


def _register(
    name: str, sentence: str, *kinds: str
) -> Callable[[Callable[[Table, SortSettings, Job], Order]], Sort]:
    def enter(function: Callable[[Table, SortSettings, Job], Order]) -> Sort:
        return SORTS.register(name)(Sort(sentence, kinds, function))

    return enter


@_register("blur", "The sharpest first; what has no sharpness goes.", "record", "sharpness")
def _blur(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["blur"], keep=table["is_face"] & (table["blur"] != 0))


@_register("motion-blur", "The least smeared first.", "record", "motion")
def _motion_blur(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["motion_blur"], keep=table["is_face"] & (table["motion_blur"] != 0))


@_register("face-yaw", "From one side of the head to the other.", "record")
def _face_yaw(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["yaw"], keep=table["is_face"])


@_register("face-pitch", "From looking up to looking down.", "record")
def _face_pitch(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["pitch"], keep=table["is_face"])


@_register("face-source-rect-size", "The largest in its frame first.", "record")
def _rect_size(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["rect_area"], keep=table["is_face"])


@_register("hist", "Each followed by the face with the most similar colours.", "histograms")
def _hist(table: Table, settings: SortSettings, job: Job) -> Order:
    return Order(tuple(histogram_order(table["color"], job)))


@_register("hist-dissim", "The faces whose tones differ most from all others first.", "histograms")
def _hist_dissim(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(dissimilarity(table["masked_grey"], job))


@_register("brightness", "The brightest first.", "light")
def _brightness(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["brightness"])


@_register("hue", "By mean hue, the highest first.", "light")
def _hue(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["hue"])


@_register("black", "The least black in the picture first.", "light")
def _black(table: Table, settings: SortSettings, job: Job) -> Order:
    return ranked(table["black"].astype(np.float64), down=False)


@_register("origname", "By the name of the frame each came from.", "record")
def _origname(table: Table, settings: SortSettings, job: Job) -> Order:
    order = np.argsort(table["source"], kind="stable")
    faces = table["is_face"]
    return Order(tuple(order[faces[order]].tolist()), tuple(np.flatnonzero(~faces).tolist()))


@_register("oneface", "Only frames that hold one face stay, in their order.")
def _oneface(table: Table, settings: SortSettings, job: Job) -> Order:
    stems = [re.fullmatch(r"(\d+)_(\d+)", table.path(i).stem) for i in range(len(table))]
    crowded = {stem[1] for stem in stems if stem and int(stem[2])}
    goes = [stem is not None and stem[1] in crowded for stem in stems]
    return _split(goes)


@_register("absdiff", "Each followed by the face with the most similar pixels.", "thumb")
def _absdiff(table: Table, settings: SortSettings, job: Job) -> Order:
    shapes = np.unique(table["shape"], axis=0)
    if len(shapes) > 1:
        found = ", ".join(f"{width}x{height}" for height, width in shapes[:4])
        raise MaterialError(
            table.aligned_dir,
            expected="pictures of one size",
            found=found,
            remedy="First: understudy faceset resize",
        )
    chain = difference_chain(
        table["picture"],
        table["residual"],
        lambda index: table.look(index).levels,
        job,
        similar=settings.similar,
    )
    return Order(tuple(chain))


@_register("final-by-blur", "The best faces of every direction, by sharpness; the rest goes.",
           "record", "histograms", "sharpness")  # fmt: skip
def _final_by_blur(table: Table, settings: SortSettings, job: Job) -> Order:
    return _final(table, "blur", settings)


@_register("final-by-size", "The best faces of every direction, by size; the rest goes.",
           "record", "histograms")  # fmt: skip
def _final_by_size(table: Table, settings: SortSettings, job: Job) -> Order:
    return _final(table, "rect_area", settings)


@_register("landmark-fit", "The worst fitted landmarks first.", "record")
def _landmark_fit(table: Table, settings: SortSettings, job: Job) -> Order:
    """What is no face has no landmarks at all and comes before the worst."""
    misfit = np.where(table["is_face"], table["misfit"], np.inf)
    return ranked(misfit)


@_register("duplicate", "Of faces that look the same only the sharpest stays.",
           "record", "thumb", "sharpness")  # fmt: skip
def _duplicate(table: Table, settings: SortSettings, job: Job) -> Order:
    goes = duplicates(table["picture"], table["blur"], table["rect_area"], settings.closeness, job)
    return _split(goes)


@_register("identity", "Person by person, the most frequent first, the most typical face first.",
           "record", "identity")  # fmt: skip
def _identity(table: Table, settings: SortSettings, job: Job) -> Order:
    faces = np.flatnonzero(table["is_face"])
    same = EMBEDDERS[settings.embedder]("cpu").same_person
    if settings.like:
        wanted = _references(settings)
        faces = faces[keep_like(wanted, table["embedding"][faces], same_person=same)]
    order, labels = identity_order(table["embedding"][faces], same_person=same)
    counts = ", ".join(str(count) for count in np.bincount(labels)[:_COUNTED])
    job.message(f"{counted(len(np.unique(labels)), 'person', 'people')}: {counts} faces")
    kept = tuple(faces[order].tolist())
    return Order(kept, _others(kept, len(table)))


def _references(settings: SortSettings) -> Embeddings:
    """Vectors of the faces of the person to keep.

    Raises:
        FileError: a file can't be read.
        MaterialError: one is no face of a faceset.
    """
    looks = [Look(path) for path in settings.like]
    for look in looks:
        if look.face is None:
            raise MaterialError(
                look.path,
                expected="a face out of a faceset",
                found="a picture without a face's metadata",
                remedy="Extract it first, or take one of the faces that are to be sorted.",
            )
    kind = KINDS[f"identity_{settings.embedder}"]
    return np.stack([kind.measure(look)["embedding"] for look in looks])


def _split(goes: Iterable[bool] | Flags) -> Order:
    flags = np.fromiter(goes, bool)
    return Order(tuple(np.flatnonzero(~flags).tolist()), tuple(np.flatnonzero(flags).tolist()))


def _final(table: Table, score: str, settings: SortSettings) -> Order:
    faces = np.flatnonzero(table["is_face"])
    part = table.part(faces)
    best = best_faces(
        part[score].astype(np.float64), part["yaw"], part["pitch"], part["grey"], settings.target
    )
    kept = tuple(int(faces[index]) for index in best)
    return Order(kept, _others(kept, len(table)))


def _others(kept: Sequence[int], count: int) -> tuple[int, ...]:
    stays = np.zeros(count, bool)
    stays[list(kept)] = True
    return tuple(np.flatnonzero(~stays).tolist())
