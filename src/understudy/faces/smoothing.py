"""Landmarks smoothed along tracks, so that a face held still does not tremble.

Found faces of a clip in, frame by frame in order; the same faces with track numbers and steadier
landmarks out, a few frames late and in order. Motion of the head and shape of the face are smoothed
apart, each by One Euro filters run both ways over a short window: nothing lags, still parts are
smoothed most, and a blink or a word passes. Holds one window of frames, whatever the clip's length;
knows nothing of pictures or files.

Source: Casiez, Roussel and Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy
Input in Interactive Systems", 2012.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float, Float64

from understudy.errors import OptionError
from understudy.faces.landmarks import CANONICAL_INNER, LEFT_EYE, RIGHT_EYE
from understudy.faces.tracks import SeenFace, Tracker
from understudy.types import Landmarks

DEFAULT_STRENGTH = 0.5
DEFAULT_LOOKAHEAD = 8


@dataclass(frozen=True, slots=True)
class _Band:
    """Numbers of a state that one filter moves together, and how that filter answers.

    The cutoff is `still_hz` at rest and grows by `per_speed` for each unit of speed, in eye
    distances (logarithm of size, radians) a second.
    """

    columns: slice
    still_hz: float
    per_speed: float


# A state is the head's place (2), the logarithm of its size and its turn (2), and 68 points in the
# head's own frame. Found on rendered people whose landmarks are known exactly.
_POINTS_AT = 4
_STATE_SIZE = _POINTS_AT + 2 * 68


def _points(first: int, last: int) -> slice:
    return slice(_POINTS_AT + 2 * first, _POINTS_AT + 2 * (last + 1))


_BANDS = (
    _Band(slice(0, 2), 1.4, 1.5),
    _Band(slice(2, 4), 1.4, 2.0),
    _Band(_points(0, 16), 0.8, 10.0),
    _Band(_points(17, 21), 0.8, 10.0),
    _Band(_points(22, 26), 0.8, 10.0),
    _Band(_points(27, 35), 0.8, 10.0),
    _Band(_points(36, 41), 1.0, 22.0),
    _Band(_points(42, 47), 1.0, 22.0),
    _Band(_points(48, 67), 2.0, 12.0),
)
_HEAD = slice(0, 2)
_TURN_REACH = 2
_BAND_OF_COLUMN = np.concatenate(
    [np.full(len(range(_STATE_SIZE)[band.columns]), i) for i, band in enumerate(_BANDS)]
)
_STILL_HZ = np.array([band.still_hz for band in _BANDS])
_PER_SPEED = np.array([band.per_speed for band in _BANDS])
# Points whose coordinates are counted as one speed.
_BAND_POINTS = np.bincount(_BAND_OF_COLUMN) / 2

# The head's own frame hangs on brows, nose and corners of the eyes, whatever mouth and lids do.
_FRAME_INDICES = (*range(17, 36), 36, 39, 42, 45)


def _complex(points: Float[np.ndarray, "*n 2"]) -> Complex128[np.ndarray, "*n"]:
    return np.asarray(points[..., 0] + 1j * points[..., 1], np.complex128)


def _frame_targets() -> Complex128[np.ndarray, " n"]:
    """Mean face, centred, in eye distances."""
    mean = _complex(CANONICAL_INNER.astype(np.float64))
    right, left = (mean[np.array(eye) - 17].mean() for eye in (RIGHT_EYE, LEFT_EYE))
    chosen = mean[np.array(_FRAME_INDICES) - 17]
    return np.asarray((chosen - chosen.mean()) / abs(left - right), np.complex128)


_TARGETS = _frame_targets()


@dataclass(frozen=True, slots=True)
class SmoothedFrame:
    """What became of the faces of one frame, in the order they were given."""

    index: int
    tracks: tuple[int, ...]
    landmarks: tuple[Landmarks, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    order: int
    index: int
    faces: tuple[SeenFace, ...]
    tracks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Moment:
    """A track's face at one frame; `order` counts frames pushed, `seconds` clip time."""

    order: int
    seconds: float
    state: Float64[np.ndarray, " s"]


class TrackSmoother:
    """Follows faces through a clip and steadies their landmarks.

    `strength` 0 gives each landmark back bit for bit, and at once; 1 is heavy. A frame comes out
    `lookahead` frames after it went in. A face is smoothed from at most as many frames before and
    after it, and as many on both sides, so what comes out does not depend on where a run began,
    save in its first frames.

    Raises:
        OptionError: a value out of range.
    """

    def __init__(
        self,
        *,
        strength: float | int = DEFAULT_STRENGTH,
        lookahead: int = DEFAULT_LOOKAHEAD,
        frames_per_second: float | int = 25.0,
        tracker: Tracker | None = None,
    ) -> None:
        _check("smoothing strength", strength, 0, 1)
        _check("lookahead", lookahead, 1, 100)
        _check("frames per second", frames_per_second, 0.01, 10_000)
        self._tracker = tracker or Tracker()
        self._lookahead = lookahead if strength > 0 else 0
        self._rate = frames_per_second
        # Cutoffs are multiplied: without bound towards strength 0, by 1 at the default.
        self._openness = DEFAULT_STRENGTH / strength if strength > 0 else 0.0
        self._waiting: deque[_Waiting] = deque()
        self._trails: dict[int, deque[_Moment]] = {}
        self._order = 0

    def push(
        self, frame_index: int, faces: Sequence[SeenFace], *, cut: bool = False
    ) -> list[SmoothedFrame]:
        """Frames that are ready now that this one came; every frame is pushed, faces or none.

        With `cut` a new shot begins with this frame.

        Raises:
            ValueError: `frame_index` is not after the one before.
        """
        tracks = self._tracker.push(frame_index, faces, cut=cut)
        self._waiting.append(_Waiting(self._order, frame_index, tuple(faces), tracks))
        if self._lookahead:
            for track, face in zip(tracks, faces, strict=True):
                moment = _Moment(self._order, frame_index / self._rate, to_state(face.landmarks))
                self._trails.setdefault(track, deque()).append(moment)
        self._order += 1
        ready = []
        while self._waiting and self._waiting[0].order + self._lookahead < self._order:
            ready.append(self._emit())
        self._forget()
        return ready

    def flush(self) -> list[SmoothedFrame]:
        """The frames that still wait, when the clip is over."""
        ready = []
        while self._waiting:
            ready.append(self._emit())
        self._trails.clear()
        return ready

    def _emit(self) -> SmoothedFrame:
        waiting = self._waiting.popleft()
        landmarks = tuple(
            self._smooth(waiting.order, track, face.landmarks)
            for track, face in zip(waiting.tracks, waiting.faces, strict=True)
        )
        return SmoothedFrame(waiting.index, waiting.tracks, landmarks)

    def _smooth(self, order: int, track: int, landmarks: Landmarks) -> Landmarks:
        if not self._lookahead:
            return landmarks
        near = [m for m in self._trails[track] if abs(m.order - order) <= self._lookahead]
        middle = next(i for i, moment in enumerate(near) if moment.order == order)
        # As many on both sides, or a head that moves would be pulled to the longer one.
        reach = min(middle, len(near) - 1 - middle)
        if reach == 0:
            return landmarks
        near = near[middle - reach : middle + reach + 1]
        seconds = np.array([moment.seconds for moment in near])
        states = np.stack([moment.state for moment in near])
        # A turn past the half circle goes on on the other side.
        states[:, 3] = np.unwrap(states[:, 3])
        smooth = smooth_middle(states, seconds, openness=self._openness)
        return from_state(smooth).astype(landmarks.dtype)

    def _forget(self) -> None:
        """Drop what no waiting frame can see any more."""
        oldest = self._order - self._lookahead - 1 - self._lookahead
        for track in list(self._trails):
            trail = self._trails[track]
            while trail and trail[0].order < oldest:
                trail.popleft()
            if not trail:
                del self._trails[track]


def to_state(landmarks: Landmarks) -> Float64[np.ndarray, "140"]:
    """Place, size and turn of the head, and the points in its own frame, in eye distances.

    The place is in eye distances too, so that a speed means the same for a face near and far.
    """
    points = _complex(np.asarray(landmarks, np.float64))
    chosen = points[list(_FRAME_INDICES)]
    centre = chosen.mean()
    zoom = ((chosen - centre) * _TARGETS.conj()).sum() / (np.abs(_TARGETS) ** 2).sum()
    if abs(zoom) < 1e-9:
        zoom = np.complex128(1e-9)
    shape = (points - centre) / zoom
    head = [centre.real, centre.imag, np.log(abs(zoom)), np.angle(zoom)]
    return np.concatenate([head, np.stack([shape.real, shape.imag], axis=1).ravel()])


def from_state(state: Float64[np.ndarray, "140"]) -> Float64[np.ndarray, "68 2"]:
    """The landmarks a state stands for; undoes `to_state`."""
    shape = _complex(state[_POINTS_AT:].reshape(68, 2))
    points = shape * np.exp(state[2] + 1j * state[3]) + (state[0] + 1j * state[1])
    return np.stack([points.real, points.imag], axis=1)


def smooth_middle(
    states: Float64[np.ndarray, "n s"], seconds: Float64[np.ndarray, " n"], *, openness: float = 1.0
) -> Float64[np.ndarray, " s"]:
    """The middle one of an odd number of states, smoothed by those on both sides of it.

    Each One Euro filter runs forwards and then backwards, and once more the other way round; the
    mean of both has no lag. Cutoffs are multiplied by `openness`, their growth by its root.
    """
    speeds = _speeds(states, seconds)
    cutoffs = openness * _STILL_HZ + np.sqrt(openness) * _PER_SPEED * speeds
    steps = np.diff(seconds)
    forwards = _recursion(_shares(cutoffs, np.concatenate([steps[:1], steps])))
    reverse = np.s_[::-1]
    backwards = _recursion(_shares(cutoffs[reverse], np.concatenate([steps, steps[-1:]])[reverse]))
    backwards = backwards[reverse, reverse]
    middle = len(states) // 2
    weights = np.einsum("jb,jkb->kb", backwards[middle], forwards)
    weights += np.einsum("jb,jkb->kb", forwards[middle], backwards)
    weights /= 2
    # What this takes off the head's motion is smoothed likewise and given back: a shaken head keeps
    # its swing, or the face would slide on it.
    back, forth = backwards[..., _HEAD], forwards[..., _HEAD]
    both = np.einsum("ijb,jkb->ikb", back, forth) + np.einsum("ijb,jkb->ikb", forth, back)
    weights[:, _HEAD] = 2 * weights[:, _HEAD] - np.einsum("jb,jkb->kb", weights[:, _HEAD], both / 2)
    return np.asarray((weights[:, _BAND_OF_COLUMN] * states).sum(axis=0))


def _speeds(
    states: Float64[np.ndarray, "n s"], seconds: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n b"]:
    """Highest speed of each band's points around each moment.

    Where a head or a lid turns back it stands still, yet must not be smoothed: it moves before and
    after.
    """
    rates = np.gradient(states, seconds, axis=0)
    rates[:, :2] /= np.exp(states[len(states) // 2, 2])
    for _ in range(2):
        padded = np.concatenate([rates[:1], rates, rates[-1:]])
        rates = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    squares = np.stack([(rates[:, band.columns] ** 2).sum(axis=1) for band in _BANDS], axis=1)
    speeds = np.sqrt(squares / _BAND_POINTS)
    reach = _TURN_REACH
    padded = np.pad(speeds, ((reach, reach), (0, 0)), mode="edge")
    return np.asarray(
        np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).max(axis=-1)
    )


def _shares(
    cutoffs: Float64[np.ndarray, "n b"], steps: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n b"]:
    """What share of the new value a first-order filter takes at each step."""
    turns = 2 * np.pi * cutoffs * steps[:, None]
    return np.asarray(turns / (1 + turns))


def _recursion(shares: Float64[np.ndarray, "n b"]) -> Float64[np.ndarray, "n n b"]:
    """What the filter's output at each moment (first axis) takes from each input (second)."""
    num, bands = shares.shape
    weights = np.zeros((num, num, bands))
    weights[0, 0] = 1.0
    for i in range(1, num):
        weights[i, :i] = weights[i - 1, :i] * (1 - shares[i])
        weights[i, i] = shares[i]
    return weights


def _check(thing: str, value: float | int, low: float | int, high: float | int) -> None:
    if not low <= value <= high:
        raise OptionError(
            thing,
            expected=f"{low:g} to {high:g}",
            found=f"{value:g}",
            remedy="Choose a value in this range.",
        )
