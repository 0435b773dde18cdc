"""All faces of one side, decoded once, where there is room for them.

Face samples in; batches of faces, masks and eye-mouth planes out. They stay on the device if they
leave room for the network there, else in host memory, else in a file, read ahead; a batch is the
same wherever they are. Knows no network, nor which faces come next.

Faces are kept at 1.5 times the network's resolution and read once, bilinearly, through the composed
grid: measured against area-exact targets that is 46 dB (the predecessor's two cubic passes: 35 dB,
aliased), at a quarter of the cost of a cubic read; storing at twice the resolution gains nothing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from understudy.errors import MaterialError, UnderstudyError
from understudy.faces.pose import head_pose
from understudy.host_memory import host_memory
from understudy.job import Job
from understudy.models.devices import free_memory, is_pinnable
from understudy.training.samples.paging import PagedPlanes, nearest
from understudy.training.samples.pairing import Shapes, shapes_of
from understudy.training.samples.planes import covers, face_planes, picture_side
from understudy.types import FaceSample, FaceType

OVERSAMPLING = 1.5
_MEMORY_SHARE = 0.4  # of the free memory of an accelerator that the faces of a side may take
_HOST_SHARE, _HOST_MAX = 1 / 8, 2 << 30  # of the machine's memory; the same in bytes
_UNKNOWN_MEMORY = 8 << 30  # of a machine that does not say


@dataclass(frozen=True, slots=True)
class SampleBank:
    """Faces of one side as planes of 0..255, at a side of `size` pixels.

    `planes` holds red, green, blue, mask and, if asked for, eyes-and-mouth. `yaw` is in radians,
    positive as `head_pose` says; it and `shapes` take a millisecond a face and are found when first
    asked for. `names` tell the faces apart in messages. `places` says at which place of `planes`
    each face lies, of a bank that holds some of the faces only; the others have none.
    """

    planes: UInt8[Tensor, "h c s s"] | PagedPlanes
    find_yaw: Callable[[], Float64[np.ndarray, " n"]]
    find_shapes: Callable[[], Shapes]
    names: tuple[str, ...]
    device: torch.device
    places: Int64[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def yaw(self) -> Float64[np.ndarray, " n"]:
        """How far each face is turned to the side."""
        return self.find_yaw()

    @property
    def shapes(self) -> Shapes:
        """Landmarks of the faces, and what tells their poses."""
        return self.find_shapes()

    @property
    def is_paged(self) -> bool:
        """Whether faces have to be fetched."""
        return isinstance(self.planes, PagedPlanes)

    def expect(self, indices: Int64[np.ndarray, " b"]) -> None:
        """Begin to fetch faces that will be gathered soon, if they have to be fetched."""
        if isinstance(self.planes, PagedPlanes):
            self.planes.expect(self._places_of(indices))

    def gather(self, indices: Int64[np.ndarray, " b"]) -> Float[Tensor, "b c s s"]:
        """Planes of the faces at `indices`, 0..1, on the device."""
        return self.fetch(indices).float().div_(255)

    def fetch(self, indices: Int64[np.ndarray, " b"]) -> UInt8[Tensor, "b c s s"]:
        """Planes of the faces at `indices` as they are kept, on the device."""
        places = self._places_of(indices)
        if isinstance(self.planes, PagedPlanes):
            chosen = torch.from_numpy(self.planes.gather(places))
        elif self.planes.device == self.device:
            chosen = self.planes[torch.from_numpy(places).to(self.device)]
        else:
            chosen = self.planes[torch.from_numpy(places)]
        pinned = is_pinnable(self.device) and chosen.device.type == "cpu"
        if pinned:
            chosen = chosen.pin_memory()
        return chosen.to(self.device, non_blocking=pinned)

    def _places_of(self, indices: Int64[np.ndarray, " b"]) -> Int64[np.ndarray, " b"]:
        if self.places is None:
            return indices
        places: Int64[np.ndarray, " b"] = self.places[indices]
        if (places < 0).any():
            raise ValueError(f"faces {indices[places < 0]} are held by another process")
        return places


def build_bank(
    faces: Sequence[FaceSample],
    *,
    resolution: int,
    face_type: FaceType,
    device: torch.device,
    job: Job,
    eyes_mouth: bool = False,
    parity: bool = False,
    side: str = "faces",
    workers: int = 2,
    cache_dir: Path | None = None,
    device_bytes: int | None = None,
    host_bytes: int | None = None,
    planes_of: Callable[..., UInt8[np.ndarray, "c s s"]] | None = None,
    held: Int64[np.ndarray, " h"] | None = None,
) -> SampleBank:
    """Bank of all `faces`, or those of them at `held`, brought to one face type and size.

    `planes_of` makes four planes of a face in another way than `face_planes`.

    `parity` stores them at the network's resolution, reduced as the predecessor does it. For a face
    that can't be read another stands in, and the job is told. Faces that take more than
    `device_bytes` of an accelerator go to the host; more than `host_bytes` there (by default shares
    of what is free, and of the machine) are fetched when needed, kept in a file in `cache_dir`.

    Raises:
        MaterialError: there are no faces, or some show less of the head than `face_type` needs.
        Cancelled: the user stopped the job.
    """
    _check(faces, face_type, side)
    known = list(faces)
    size = resolution if parity else int(resolution * OVERSAMPLING) // 2 * 2
    plan = partial(planes_of or face_planes, size=size, face_type=face_type)
    plan = plan if planes_of else partial(plan, eyes_mouth=eyes_mouth)
    names = tuple(face.name or face.source_name or str(i) for i, face in enumerate(known))
    make = _Maker(faces, names, partial(plan, parity=parity), job=job, side=side)
    yaw, shapes = cache(partial(_yaw_of, known)), cache(partial(_shapes_of, known, face_type))
    held, places = _held_among(len(known), held)
    channels = 5 if eyes_mouth else 4
    shape = (len(held), channels, size, size)
    place = _place(shape, device, device_bytes=device_bytes, host_bytes=host_bytes)
    told = f"{side}: {len(held)} faces at {size} px, {np.prod(shape) / 1e9:.2f} GB"
    make_held = partial(_make_at, make, held)
    if place is not None:
        planes = torch.empty(*shape, dtype=torch.uint8, device=place)
        _fill(planes, make_held, job=job, side=side, workers=workers)
        where = f"{'the ' if place == device else 'the host, not '}{device}"
        job.message(f"{told} in the memory of {where}")
        return SampleBank(planes, yaw, shapes, names, device, places)
    paged = PagedPlanes(
        make_held, count=len(held), channels=channels, size=size, folder=cache_dir, workers=workers
    )
    how = "kept in a file" if paged.keeps else "not kept, as the disk has no room"
    job.message(f"{told}, too much for memory: read when needed, {how}")
    return SampleBank(paged, yaw, shapes, names, device, places)


def _yaw_of(faces: Sequence[FaceSample]) -> Float64[np.ndarray, " n"]:
    return np.array([head_pose(face.landmarks, picture_side(face))[1] for face in faces])


def _shapes_of(faces: Sequence[FaceSample], face_type: FaceType) -> Shapes:
    return shapes_of(faces, [picture_side(face) for face in faces], face_type)


def _held_among(
    count: int, held: Int64[np.ndarray, " h"] | None
) -> tuple[Int64[np.ndarray, " h"], Int64[np.ndarray, " n"] | None]:
    """Which of `count` faces are held, and the place of each among them, -1 for the others."""
    everything = np.arange(count, dtype=np.int64)
    if held is None:
        return everything, None
    places = np.full(count, -1, np.int64)
    places[held] = everything[: len(held)]
    return held, places


def _make_at(
    make: Callable[[int], UInt8[np.ndarray, "c s s"]], held: Int64[np.ndarray, " h"], place: int
) -> UInt8[np.ndarray, "c s s"]:
    return make(int(held[place]))


class _Maker:
    """Planes of the face at a place; where it can't be read, of the next one that can."""

    def __init__(
        self,
        faces: Sequence[FaceSample],
        names: Sequence[str],
        plan: Callable[[FaceSample], UInt8[np.ndarray, "c s s"]],
        *,
        job: Job,
        side: str,
    ) -> None:
        self._faces, self._names, self._plan = faces, names, plan
        self._job, self._side = job, side
        self._missing: set[int] = set()
        self._lock = Lock()

    def __call__(self, index: int) -> UInt8[np.ndarray, "c s s"]:
        for place in nearest(index, len(self._faces)):
            try:
                return self._plan(self._faces[place])
            except UnderstudyError as error:
                self._tell(place, error)
        raise MaterialError(
            self._side,
            expected="faces to train on",
            found=f"{len(self._faces)}, none of which can be read any more",
            remedy="Bring the folder of faces back and start again: the last save is kept.",
        )

    def _tell(self, place: int, error: UnderstudyError) -> None:
        with self._lock:
            first = place not in self._missing
            self._missing.add(place)
        if first:
            self._job.fail(f"{self._side}, {self._names[place]}", f"{error} Another stands in.")


def _fill(
    planes: UInt8[Tensor, "n c s s"],
    make: Callable[[int], UInt8[np.ndarray, "c s s"]],
    *,
    job: Job,
    side: str,
    workers: int,
) -> None:
    def load(index: int) -> None:
        planes[index] = torch.from_numpy(make(index))

    with ThreadPoolExecutor(workers, thread_name_prefix="bank") as pool:
        try:
            for index, _ in enumerate(pool.map(load, range(len(planes)))):
                job.check()
                job.progress(index + 1, len(planes), f"loading {side}")
        finally:  # after a cancel the rest is not loaded
            pool.shutdown(cancel_futures=True)


def _check(faces: Sequence[FaceSample], face_type: FaceType, side: str) -> None:
    if not faces:
        raise MaterialError(
            side, expected="faces to train on", found="none", remedy="Extract faces first."
        )
    small = [f for f in faces if not covers(f.face_type, face_type)]
    if small:
        first = small[0]
        raise MaterialError(
            f"{side}, {first.name or first.source_name or 'first face'}",
            expected=f"faces cut as {face_type.value} or wider",
            found=f"{first.face_type.value} ({len(small)} of {len(faces)} faces are too tight)",
            remedy="Extract again with a wider face type, or train a model of a tighter one.",
        )


def _place(
    shape: tuple[int, ...],
    device: torch.device,
    *,
    device_bytes: int | None,
    host_bytes: int | None,
) -> torch.device | None:
    """Where planes of this shape go: on the device, in host memory, or in neither."""
    needed = int(np.prod(shape))
    if device.type != "cpu":
        if device_bytes is None:
            device_bytes = int(_MEMORY_SHARE * (free_memory(device) or 0))
        if needed <= device_bytes:
            return device
    room = usual_host_bytes() if host_bytes is None else host_bytes
    return torch.device("cpu") if needed <= room else None


def usual_host_bytes() -> int:
    """Bytes of host memory for the faces of a side, where nothing else is said."""
    return min(_HOST_MAX, int(_HOST_SHARE * (host_memory() or _UNKNOWN_MEMORY)))
