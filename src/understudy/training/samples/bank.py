"""All faces of one side, decoded once, where there is room for them.

Face samples in; batches of faces, masks and eye-mouth planes out. They stay on the device if they
leave room for the network there, else in host memory, else in a file, read ahead; a batch is the
same wherever they are. Knows no network, nor which faces come next.

Faces are kept at 1.5 times the network's resolution and read once, bilinearly, through the composed
grid: measured against area-exact targets that is 46 dB (the predecessor's two cubic passes: 35 dB,
aliased), at a quarter of the cost of a cubic read; storing at twice the resolution gains nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from understudy.errors import MaterialError, UnderstudyError
from understudy.faces.align import PADDING, face_matrix
from understudy.faces.pose import head_pose
from understudy.faces.regions import eyes_mask, hull_mask, mouth_mask
from understudy.host_memory import host_memory
from understudy.job import Job
from understudy.models.devices import free_memory, is_pinnable
from understudy.training.samples.paging import PagedPlanes, nearest
from understudy.training.samples.pairing import Shapes, shapes_of
from understudy.types import FaceSample, FaceType, Mask

OVERSAMPLING = 1.5
_MEMORY_SHARE = 0.4  # of the free memory of an accelerator that the faces of a side may take
_HOST_SHARE, _HOST_MAX = 1 / 8, 2 << 30  # of the machine's memory; the same in bytes
_UNKNOWN_MEMORY = 8 << 30  # of a machine that does not say
_RUN_LENGTH = 4  # faces held out in a row: neighbours on film are too alike to measure by


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
    channels = 5 if eyes_mouth else 4
    plan = partial(planes_of or face_planes, size=size, face_type=face_type)
    plan = plan if planes_of else partial(plan, eyes_mouth=eyes_mouth)
    names = tuple(face.name or face.source_name or str(i) for i, face in enumerate(known))
    make = _Maker(faces, names, partial(plan, parity=parity), job=job, side=side)

    @cache
    def yaw() -> Float64[np.ndarray, " n"]:
        return np.array([head_pose(face.landmarks, _side_of(face))[1] for face in known])

    @cache
    def shapes() -> Shapes:
        return shapes_of(known, [_side_of(face) for face in known], face_type)

    held, places = _held_among(len(known), held)
    shape = (len(held), channels, size, size)
    place = _place(shape, device, device_bytes=device_bytes, host_bytes=host_bytes)
    told = f"{side}: {len(held)} faces at {size} px, {np.prod(shape) / 1e9:.2f} GB"
    make_held = partial(_make_at, make, held)
    if place is None:
        paged = PagedPlanes(
            make_held,
            count=len(held),
            channels=channels,
            size=size,
            folder=cache_dir,
            workers=workers,
        )
        how = "kept in a file" if paged.keeps else "not kept, as the disk has no room"
        job.message(f"{told}, too much for memory: read when needed, {how}")
        return SampleBank(paged, yaw, shapes, names, device, places)
    planes = torch.empty(*shape, dtype=torch.uint8, device=place)
    _fill(planes, make_held, job=job, side=side, workers=workers)
    job.message(
        f"{told} in the memory of {'the ' if place == device else 'the host, not '}{device}"
    )
    return SampleBank(planes, yaw, shapes, names, device, places)


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


def face_planes(
    face: FaceSample, *, size: int, face_type: FaceType, eyes_mouth: bool, parity: bool = False
) -> UInt8[np.ndarray, "c s s"]:
    """Planes (red, green, blue, mask, maybe eyes-mouth) of one face."""
    image = face.image
    shape = image.shape[:2]
    mask = _full_mask(face, shape)
    layers = [mask]
    if eyes_mouth:
        both = eyes_mask(face.landmarks, shape) + mouth_mask(face.landmarks, shape)
        layers.append(np.clip(both, 0, 1) * (mask > 0))
    move = _mover(face, shape[0], size=size, face_type=face_type, parity=parity)
    pictures = [move(image, True), *(move(layer, False) for layer in layers)]
    stacked = np.concatenate([np.atleast_3d(p) for p in pictures], axis=2)
    whole = np.rint(np.clip(stacked, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(whole.transpose(2, 0, 1))


def split_held_out(
    order: Sequence[str], *, share: float, seed: int
) -> tuple[Int64[np.ndarray, " t"], Int64[np.ndarray, " h"]]:
    """Indices to train on and indices kept aside, both ascending.

    `order` holds what sorts the faces in time (names of their frames). Short runs of neighbours are
    taken, spread over the clip: a single frame between two trained ones measures nothing, a long
    run would leave a hole. Nothing is kept aside of 8 faces or fewer, never more than half.
    """
    count = len(order)
    everything = np.arange(count, dtype=np.int64)
    if share <= 0 or count <= 8:
        return everything, np.empty(0, np.int64)
    wanted = min(max(1, round(share * count)), count // 2)
    in_time = np.array(sorted(range(count), key=lambda i: (order[i], i)), np.int64)
    num_runs = -(-wanted // _RUN_LENGTH)
    generator = np.random.default_rng([seed, 0x4E1D])
    held: list[int] = []
    for run, part in enumerate(np.array_split(in_time, num_runs)):
        length = wanted * (run + 1) // num_runs - wanted * run // num_runs
        start = int(generator.integers(0, len(part) - length + 1))
        held.extend(int(i) for i in part[start : start + length])
    kept_aside = np.array(sorted(held), np.int64)
    return np.setdiff1d(everything, kept_aside), kept_aside


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


def covers(have: FaceType, want: FaceType) -> bool:
    """Whether pictures of type `have` show all that `want` needs."""
    return have in PADDING and want in PADDING and PADDING[have] >= PADDING[want]


def _full_mask(face: FaceSample, shape: tuple[int, int]) -> Mask:
    """The applied mask at the picture's size, else the hull of the landmarks."""
    if face.mask is None:
        return hull_mask(face.landmarks, shape, face.brow_expand)
    if face.mask.shape == shape:
        return face.mask
    resized = cv2.resize(face.mask, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(np.asarray(resized, np.float32), 0, 1)


def _side_of(face: FaceSample) -> int:
    """Side of the face's picture in pixels, as its landmarks tell: to decode it would take long."""
    to_unit = face_matrix(face.landmarks, 1, face.face_type)
    return max(1, round(1 / float(np.sqrt(abs(np.linalg.det(to_unit[:, :2]))))))


Plane = Float32[np.ndarray, "..."]
Move = Callable[[Plane, bool], Plane]


def _mover(face: FaceSample, side: int, *, size: int, face_type: FaceType, parity: bool) -> Move:
    """Function that brings a picture (True) or mask (False) of the face to the bank's frame."""
    if face.face_type == face_type:
        return lambda picture, is_image: _resize(picture, size, is_image=is_image, parity=parity)
    matrix = face_matrix(face.landmarks, size, face_type)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    finer = 1 if parity or scale >= 1 else int(np.ceil(1 / scale))
    matrix = np.asarray(matrix * finer)
    matrix[:, 2] += (finer - 1) / 2

    def move(picture: Plane, is_image: bool) -> Plane:
        made = cv2.warpAffine(
            picture,
            matrix,
            (size * finer, size * finer),
            flags=cv2.INTER_CUBIC if is_image else cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE if is_image else cv2.BORDER_CONSTANT,
        )
        if finer > 1:
            made = cv2.resize(made, (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(made, np.float32)

    return move


def _resize(picture: Plane, size: int, *, is_image: bool, parity: bool) -> Plane:
    if picture.shape[0] == size:
        return picture
    kind = cv2.INTER_CUBIC if is_image or parity else cv2.INTER_LINEAR
    if picture.shape[0] > size and not parity:
        kind = cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (size, size), interpolation=kind), np.float32)


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


def names_in_time(faces: Iterable[FaceSample]) -> list[str]:
    """What sorts faces in time: the name of the frame each came from, else its own."""
    return [face.source_name or face.name or "" for face in faces]
