"""What extraction does with frames: find faces, follow them through the clip, cut them out.

Frames go through two pools of threads, with the clip's order between them: the first finds faces in
batches, the second cuts and writes; in between, faces are followed and their landmarks steadied.
What was found is recorded before that, so that a run that was stopped gives the same faces. Frames
are held while memory allows and read again otherwise, whatever the clip's length.
"""

import base64
import functools
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from understudy.errors import MaterialError
from understudy.faces.detectors.registry import DETECTORS, Detector
from understudy.faces.drawing import draw_samples
from understudy.faces.extract import FoundFace, FoundFaces, cut_face, find_faces
from understudy.faces.identity.registry import EMBEDDERS, Embedder, Embeddings
from understudy.faces.landmarkers.registry import LANDMARKERS, Landmarker
from understudy.faces.plausibility import Fault
from understudy.faces.settings import ExtractSettings
from understudy.faces.smoothing import SmoothedFrame, TrackSmoother
from understudy.faces.tracks import Descriptor, SeenFace, Tracker
from understudy.facesets.dfl import write_face
from understudy.imaging.cuts import CutFinder
from understudy.job import Job
from understudy.media.images import Pixels, read_pixels, write_image
from understudy.steps.extract_masks import FaceMasks
from understudy.steps.journal import Journal
from understudy.types import Landmarks
from understudy.workspace import Side

# Frames that go through the networks together: fewer cost more each, more wait for one another.
BATCH = 6
HELD_BYTES = 256 << 20
DEBUG_QUALITY = 50
_CUT_MEMORY = 9  # frames a cut is judged by
_MAX_GAP = 12
_SURE = 0.72  # tracks of true faces in the test clips reach 0.76 and more
_THUMB_WH = (32, 18)
_FOLLOWED_BY = "texture"  # the embedder that tells faces apart which come near each other

Models = tuple[Detector, Landmarker]
Keep = Callable[[Pixels, FoundFaces], FoundFaces]


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame whose faces are to be cut out by the steadied landmarks `points`."""

    path: Path
    faces: tuple[FoundFace, ...]
    points: tuple[Landmarks, ...]
    tracks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    path: Path
    found: FoundFaces
    thumb: Pixels
    looks: Embeddings | None


class FrameShelf:
    """Frames kept for a second look, up to a number of bytes; others are read again."""

    def __init__(self, limit: int = HELD_BYTES) -> None:
        self._limit, self._held = limit, 0
        self._frames: dict[Path, Pixels] = {}
        self._lock = threading.Lock()

    def put(self, path: Path, pixels: Pixels) -> None:
        """Keep the frame if there is room."""
        with self._lock:
            if self._held + pixels.nbytes <= self._limit:
                self._frames[path] = pixels
                self._held += pixels.nbytes

    def take(self, path: Path) -> Pixels:
        """The frame, which is then kept no longer."""
        pixels = self._remove(path)
        return read_pixels(path) if pixels is None else pixels

    def drop(self, path: Path) -> None:
        """Keep the frame no longer, if it is here."""
        self._remove(path)

    def _remove(self, path: Path) -> Pixels | None:
        with self._lock:
            pixels = self._frames.pop(path, None)
            self._held -= 0 if pixels is None else pixels.nbytes
        return pixels


@functools.cache
def load_models(detector: str, landmarker: str, device: str) -> Models:
    """The networks of these names on a device, loaded once per process."""
    return DETECTORS[detector](device), LANDMARKERS[landmarker](device)


class Extractor:
    """The work on single frames; safe to use from several threads."""

    def __init__(
        self,
        side: Side,
        settings: ExtractSettings,
        *,
        models: Sequence[Models],
        debug: bool,
        keep: Keep | None = None,
        masks: FaceMasks | None = None,
    ) -> None:
        self._side, self._settings, self._debug, self._keep = side, settings, debug, keep
        self.masks = masks
        self._models = itertools.cycle(models)
        self._choosing = threading.Lock()
        self._embedder = EMBEDDERS[_FOLLOWED_BY]("cpu")
        self.shelf = FrameShelf()

    def find(self, paths: tuple[Path, ...]) -> list[_Seen]:
        """What is in some frames; one that can't be read fails all, so try them alone then."""
        with self._choosing:
            detector, landmarker = next(self._models)
        frames = [read_pixels(path) for path in paths]
        every = self._settings.model_copy(update={"max_faces": 0}) if self._keep else self._settings
        found = find_faces(frames, detector, landmarker, every)
        seen = []
        for path, pixels, own in zip(paths, frames, found, strict=True):
            chosen = self._keep(pixels, own) if self._keep else own
            if chosen.faces or self._debug:
                self.shelf.put(path, pixels)
            thumb = cv2.resize(pixels, _THUMB_WH, interpolation=cv2.INTER_AREA)
            seen.append(_Seen(path, chosen, np.asarray(thumb), self._looks(pixels, chosen)))
        return seen

    def _looks(self, pixels: Pixels, found: FoundFaces) -> Embeddings | None:
        """What tells the faces of a frame apart; None where there is only one to follow."""
        if len(found.faces) < 2:
            return None
        points = [face.points for face in found.faces]
        return self._embedder.embed([pixels] * len(points), points)

    def write(self, placed: Placed) -> list[str]:
        """Names of the faces written for one frame."""
        if not placed.faces and not self._debug:
            return []
        pixels, settings = self.shelf.take(placed.path), self._settings
        suffix = ".png" if settings.lossless else ".jpg"
        names, samples = [], []
        for index, (face, points) in enumerate(zip(placed.faces, placed.points, strict=True)):
            sample = cut_face(pixels, face, settings, name=placed.path.name, points=points)
            names.append(f"{placed.path.stem}_{index}{suffix}")
            sample = self.masks(sample, names[-1]) if self.masks else sample
            path = self._side.aligned_dir / names[-1]
            write_face(path, sample, quality=settings.jpeg_quality, durable=False)
            samples.append(sample)
        if self._debug:
            drawn = draw_samples(pixels, samples, size=settings.image_size)
            path = self._side.debug_dir / f"{placed.path.stem}.jpg"
            write_image(path, drawn, jpeg_quality=DEBUG_QUALITY)
        return names


def placed_frames(
    extractor: Extractor,
    chosen: Sequence[tuple[int, Path]],
    *,
    todo: set[str],
    found: Journal,
    smoother: TrackSmoother,
    job: Job,
    workers: int,
) -> Iterator[Placed]:
    """The frames in `todo`, in order, with their faces followed and steadied.

    `chosen` is all that the clip's faces are followed through; `found` is what earlier runs saw
    there, and grows.
    """
    unseen = {p.name for _, p in chosen if p.name in todo and p.name not in found.items}
    results = job.map(
        extractor.find,
        _batches(chosen, unseen),
        name=lambda batch: ", ".join(path.name for path in batch),
        alone=lambda batch: [(path,) for path in batch],
        workers=workers,
        shown=False,
    )
    fresh = _fresh(extractor, itertools.chain.from_iterable(s for _, s in results), unseen)
    coming, cuts = next(fresh, None), _Cuts()
    waiting: dict[int, tuple[Path, tuple[FoundFace, ...]]] = {}
    for place, path in chosen:
        if path.name in found.items:
            row = found.items[path.name]
            cuts.known(path, cut=bool(row["cut"]))
        elif coming is not None and coming.path == path:
            row = _row(coming, cut=cuts.push(coming.thumb))
            found.add(path.name, **row)
            coming = next(fresh, None)
        else:
            continue  # it failed, and is listed
        faces = _faces(row)
        waiting[place] = path, faces
        followed = [
            SeenFace(face.box, face.points, looks)
            for face, looks in zip(faces, _descriptors(row), strict=True)
        ]
        ready = smoother.push(place, followed, cut=row["cut"])
        yield from _placed(ready, waiting, todo)
    yield from _placed(smoother.flush(), waiting, todo)


def _fresh(extractor: Extractor, every: Iterable[_Seen], unseen: set[str]) -> Iterator[_Seen]:
    """What was looked at for the first time; nobody comes back for the frames of the rest."""
    for seen in every:
        if seen.path.name in unseen:
            yield seen
        else:
            extractor.shelf.drop(seen.path)


def _batches(chosen: Sequence[tuple[int, Path]], unseen: set[str]) -> Iterator[tuple[Path, ...]]:
    """Frames to look at, in groups.

    The last digits of what networks say depend on what they are shown together. So groups lie where
    they would in a run of the whole clip; one that was stopped within its group does it again.
    """
    stride = chosen[1][0] - chosen[0][0] if len(chosen) > 1 else 1
    for _, group in itertools.groupby(chosen, key=lambda entry: entry[0] // stride // BATCH):
        names = tuple(path for _, path in group)
        if any(path.name in unseen for path in names):
            yield names


def make_smoother(settings: ExtractSettings, *, rate: float, every: int) -> TrackSmoother:
    """What follows faces through every Nth frame of a clip of `rate` frames a second."""
    alike = EMBEDDERS[_FOLLOWED_BY]("cpu").same_shot
    tracker = Tracker(max_gap=_MAX_GAP * every, min_likeness=alike)
    return TrackSmoother(strength=settings.smooth, frames_per_second=rate, tracker=tracker)


def only_person(
    embedder: Embedder, like: Sequence[Path], settings: ExtractSettings, *, models: Models
) -> Keep:
    """What leaves of a frame's faces those of the person that the pictures `like` show.

    Raises:
        FileError: a picture can't be read.
        MaterialError: there is no face in one.
    """
    references = []
    for path in like:
        pixels = read_pixels(path)
        (found,) = find_faces([pixels], *models, settings)
        if not found.faces:
            raise MaterialError(
                path,
                expected="a picture of the person wanted",
                found="no face in it",
                remedy="Choose one that shows the face larger or more from the front.",
            )
        references.append(embedder.embed([pixels], [found.faces[0].points]))
    wanted = np.concatenate(references) if references else np.zeros((0, 1), np.float32)

    def keep(pixels: Pixels, found: FoundFaces) -> FoundFaces:
        if not found.faces:
            return found
        own = embedder.embed([pixels] * len(found.faces), [f.points for f in found.faces])
        alike = (own @ wanted.T).max(axis=1) >= embedder.same_person
        faces = [face for face, same in zip(found.faces, alike, strict=True) if same]
        most = settings.max_faces or len(faces)
        return FoundFaces(tuple(faces[:most]), found.misplaced)

    return keep


def _placed(
    ready: Sequence[SmoothedFrame],
    waiting: dict[int, tuple[Path, tuple[FoundFace, ...]]],
    todo: set[str],
) -> Iterator[Placed]:
    for frame in ready:
        path, faces = waiting.pop(frame.index)
        if path.name in todo:
            yield Placed(path, faces, frame.landmarks, frame.tracks)


class _Cuts:
    """Tells cuts the same way whether a run was stopped in between or not."""

    def __init__(self) -> None:
        self._finder = CutFinder()
        self._known: deque[tuple[Path, bool]] = deque(maxlen=_CUT_MEMORY)

    def known(self, path: Path, *, cut: bool) -> None:
        """A frame that an earlier run has judged."""
        self._known.append((path, cut))

    def push(self, thumb: Pixels) -> bool:
        """Whether a shot begins with the next frame."""
        while self._known:  # the judgement needs the frames before
            path, cut = self._known.popleft()
            if cut:
                self._finder = CutFinder()
            before = cv2.resize(read_pixels(path), _THUMB_WH, interpolation=cv2.INTER_AREA)
            self._finder.push(np.asarray(before))
        return self._finder.push(thumb)


def _row(seen: _Seen, *, cut: bool) -> dict[str, Any]:
    faces: list[dict[str, Any]] = [
        {"box": face.box, "points": _packed(face.points), "score": round(face.score, 3)}
        for face in seen.found.faces
    ]
    for face, looks in zip(faces, () if seen.looks is None else seen.looks, strict=False):
        face["looks"] = _packed_looks(looks)
    wrong = [{"box": face.box, "fault": name} for face, name in seen.found.misplaced]
    return {"cut": cut, "faces": faces, "misplaced": wrong}


def _faces(row: dict[str, Any]) -> tuple[FoundFace, ...]:
    return tuple(
        FoundFace(tuple(face["box"]), _unpacked(face["points"]), float(face.get("score", 1.0)))
        for face in row["faces"]
    )


def _packed(points: Landmarks) -> str:
    """Points as text, exact to a thousandth of a pixel in any frame."""
    return base64.b64encode(points.astype("<f4").tobytes()).decode()


def _unpacked(text: str) -> Landmarks:
    points = np.frombuffer(base64.b64decode(text), "<f4").reshape(68, 2)
    return points.astype(np.float64)


def _descriptors(row: dict[str, Any]) -> list[Descriptor | None]:
    return [_unpacked_looks(face["looks"]) if "looks" in face else None for face in row["faces"]]


def _packed_looks(looks: Descriptor) -> str:
    """A unit vector as text, in steps of a hundredth of its largest part and less."""
    steps = np.rint(looks * (127 / max(float(np.abs(looks).max()), 1e-12)))
    return base64.b64encode(steps.astype(np.int8).tobytes()).decode()


def _unpacked_looks(text: str) -> Descriptor:
    looks = np.frombuffer(base64.b64decode(text), np.int8).astype(np.float32)
    return looks / np.float32(max(float(np.linalg.norm(looks)), 1e-12))


def faults(found: Journal) -> dict[Fault, list[str]]:
    """Frames with misplaced landmarks, by what is wrong with them."""
    listed: dict[Fault, list[str]] = {}
    for name, row in found.items.items():
        for wrong in row["misplaced"]:
            listed.setdefault(wrong["fault"], []).append(name)
    return listed


def doubtful(done: Journal, found: Journal) -> list[str]:
    """Faces of tracks that nowhere look surely like a face: a hand, a mask, a pattern.

    One frame of a true face may be as doubtful, but not all its frames.
    """
    best: dict[int, float] = {}
    files: dict[int, list[str]] = {}
    for name, row in done.items.items():
        faces = found.items.get(name, {}).get("faces", ())
        for file, track, face in zip(row["files"], row.get("tracks", ()), faces, strict=False):
            best[track] = max(best.get(track, 0.0), float(face.get("score", 1.0)))
            files.setdefault(track, []).append(file)
    return [file for track, names in files.items() if best[track] < _SURE for file in names]
