"""The default landmarker: the attention mesh on an upright crop, reduced to 68 points.

Frames and detections in, points and a presence score out, all faces of a batch at once. The crop is
turned by the detector's eyes, then taken again around the first mesh, because the network was made
for upright faces in the middle of their crop and fails past about 60 degrees of roll. Where the
mesh sees no face or does not lie on what was detected, other sizes and quarter turns are tried.
Knows nothing of files. Papers and licence: see facemesh.py.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32

from understudy import weights
from understudy.faces.detectors.registry import Detection
from understudy.faces.landmarkers.agreement import disagreement
from understudy.faces.landmarkers.facemesh import (
    INPUT_SIZE,
    LEFT_EYE,
    LIPS,
    NUM_MESH_POINTS,
    RIGHT_EYE,
    AttentionMeshNet,
    build_attention_mesh,
)
from understudy.faces.landmarkers.ibug68 import reduce_mesh
from understudy.faces.landmarkers.registry import FoundLandmarks
from understudy.faces.patch import read_patch, square_matrix
from understudy.faces.pixels import Pixels
from understudy.imaging.geometry import compose, scale_of, transform_points
from understudy.types import Matrix

MARGIN = 1.5
_MOST_FITS, _MOST_REFITS = 3, 3
_SETTLED = 0.04
_MAX_DOUBT = 0.35
_OTHER_CROPS = ((1.3, 0), (0.8, 0), (1.0, 1), (1.0, 3), (1.0, 2))
_BATCH = 16
# The refined points of eyes, brows and lips are nervous; a mean of both errs and trembles less than
# either. Lips and lids take less of the mesh, which loses lips on turned heads and closed eyes.
# Measured on the digital doubles.
_UNREFINED_SHARE, _UNREFINED_SHARE_OF_RIMS = 0.5, 0.25
_LID_POINTS = 16
_RIGHT_CORNER, _LEFT_CORNER = 33, 263


def _view(scale: float, angle: float, x: float, y: float) -> Matrix:
    """Map from a crop's pixels to those of the crop it varies."""
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, (INPUT_SIZE - 1) / 2)
    return np.hstack([linear, (np.add(middle, (x, y)) - linear @ middle)[:, None]])


_ONE_VIEW = (_view(1.0, 0.0, 0.0, 0.0),)
# The mesh trembles with the crop it is read from; the mean over a few crops trembles less.
_SEVERAL_VIEWS = (
    _view(0.94, -0.07, -3.0, 2.0),
    _view(0.94, 0.07, 3.0, 2.0),
    _view(1.06, -0.07, 3.0, -2.0),
    _view(1.06, 0.07, -3.0, -2.0),
)


class MeshLandmarker:
    """Finds landmarks with `AttentionMeshNet` on one device."""

    def __init__(self, net: AttentionMeshNet, device: str = "cpu") -> None:
        self._net = net.to(device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = torch.device(device)
        self._unrefined_share = torch.full((NUM_MESH_POINTS, 1), _UNREFINED_SHARE, device=device)
        rims = [*LIPS, *RIGHT_EYE[:_LID_POINTS], *LEFT_EYE[:_LID_POINTS]]
        self._unrefined_share[rims] = _UNREFINED_SHARE_OF_RIMS

    @classmethod
    def from_weights(cls, device: str = "cpu") -> "MeshLandmarker":
        """The landmarker with its weights, fetched on first use.

        Raises:
            WeightsError: they are not there and can't be fetched.
        """
        return cls(build_attention_mesh(weights.load("mediapipe", "mesh_attention")), device)

    def landmarks(
        self,
        images: Sequence[Pixels],
        detections: Sequence[Sequence[Detection]],
        *,
        accurate: bool = True,
    ) -> list[list[FoundLandmarks]]:
        """Points for each detection of each image, in their order; see `Landmarker`."""
        views = _SEVERAL_VIEWS if accurate else _ONE_VIEW
        faces = [
            (image, detection)
            for image, of_image in zip(images, detections, strict=True)
            for detection in of_image
        ]
        pictures = [image for image, _ in faces]
        crops = [detection_crop(detection) for _, detection in faces]
        fits = [_found(*fit) for fit in zip(*self._fit(pictures, crops, roughly=True), strict=True)]
        for scale, quarters in ((1.0, 0), *_OTHER_CROPS):
            lost = [k for k, (_, d) in enumerate(faces) if _doubt(d, fits[k]) > _MAX_DOUBT]
            crops = [detection_crop(faces[k][1], scale=scale, quarters=quarters) for k in lost]
            others = self._settle([pictures[k] for k in lost], crops)
            for k, other in zip(lost, others, strict=True):
                if _doubt(faces[k][1], other) < _doubt(faces[k][1], fits[k]):
                    fits[k] = other
        results = iter(self._refine(pictures, fits, views))
        return [[next(results) for _ in of_image] for of_image in detections]

    def _settle(self, images: Sequence[Pixels], crops: Sequence[Matrix]) -> list[FoundLandmarks]:
        """Rough meshes fitted again around themselves until their crops stay where they are."""
        meshes, scores = self._fit(images, crops, roughly=True)
        moving = list(range(len(crops)))
        last = list(crops)
        for _ in range(_MOST_FITS - 1):
            moving = [k for k in moving if _has_moved(last[k], mesh_crop(meshes[k]))]
            for k in moving:
                last[k] = mesh_crop(meshes[k])
            again = self._fit([images[k] for k in moving], [last[k] for k in moving], roughly=True)
            for k, mesh, score in zip(moving, *again, strict=True):
                meshes[k], scores[k] = mesh, score
        return [_found(mesh, score) for mesh, score in zip(meshes, scores, strict=True)]

    def _refine(
        self, images: Sequence[Pixels], fits: Sequence[FoundLandmarks], views: Sequence[Matrix]
    ) -> list[FoundLandmarks]:
        """The whole network on each view of settled faces, and the mean of what it sees there."""
        refined = list(fits)
        moving = list(range(len(fits)))
        for _ in range(_MOST_REFITS):
            crops = [mesh_crop(refined[k].mesh) for k in moving]
            meshes, scores = self._fit(
                [images[k] for k in moving for _ in views],
                [compose(view, crop) for crop in crops for view in views],
            )
            for number, k in enumerate(moving):
                own = slice(number * len(views), (number + 1) * len(views))
                refined[k] = _found(np.mean(meshes[own], axis=0), float(np.mean(scores[own])))
            moving = [
                k
                for k, crop in zip(moving, crops, strict=True)
                if _has_moved(crop, mesh_crop(refined[k].mesh))
            ]
        return refined

    def _fit(
        self, images: Sequence[Pixels], crops: Sequence[Matrix], *, roughly: bool = False
    ) -> tuple[list[Float[np.ndarray, "m 2"]], list[float]]:
        """Meshes in pixels of their frames, and presence scores."""
        meshes: list[Float[np.ndarray, "m 2"]] = []
        scores: list[float] = []
        for start in range(0, len(crops), _BATCH):
            batch = range(start, min(start + _BATCH, len(crops)))
            patches = np.stack([read_patch(images[k], crops[k], INPUT_SIZE) for k in batch])
            points, presence = self._run(patches, roughly=roughly)
            # The network counts from the corner of the first pixel.
            meshes += [
                transform_points(own - 0.5, crops[k]) for own, k in zip(points, batch, strict=True)
            ]
            scores += presence.tolist()
        return meshes, scores

    @torch.inference_mode()
    def _run(
        self, patches: Float32[np.ndarray, "b s s 3"], *, roughly: bool
    ) -> tuple[Float32[np.ndarray, "b m 2"], Float32[np.ndarray, " b"]]:
        x = torch.from_numpy(patches).to(self._device).permute(0, 3, 1, 2)  # channels last
        if roughly:
            mesh, presence = self._net.whole(x)
            return mesh.cpu().numpy(), torch.sigmoid(presence).cpu().numpy()
        mesh, points, presence = self._net(x, irises=False)
        points += (mesh - points) * self._unrefined_share
        return points.cpu().numpy(), torch.sigmoid(presence).cpu().numpy()


def _found(mesh: Float[np.ndarray, "m 2"], score: float) -> FoundLandmarks:
    return FoundLandmarks(reduce_mesh(mesh), score, mesh)


def _has_moved(before: Matrix, after: Matrix) -> bool:
    """Whether a crop changed so much that its mesh is not the last word."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) * INPUT_SIZE
    apart = transform_points(corners, before) - transform_points(corners, after)
    return float(np.abs(apart).max()) > _SETTLED * INPUT_SIZE * scale_of(after)


def _doubt(detection: Detection, found: FoundLandmarks) -> float:
    """How much speaks against a fit: no face there, or not the one detected."""
    return disagreement(detection, found.points) + 1 - found.score


def detection_crop(detection: Detection, *, scale: float = 1.0, quarters: int = 0) -> Matrix:
    """Map from the crop's pixels to the frame: the box with a margin.

    It is turned until the eyes are level, and by so many quarters more.
    """
    left, top, right, bottom = detection.box
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    angle = detection.roll + quarters * np.pi / 2
    return square_matrix(centre, detection.size * MARGIN * scale, angle, INPUT_SIZE)


def mesh_crop(mesh: Float[np.ndarray, "m 2"]) -> Matrix:
    """Map from the crop's pixels to the frame: the box around the mesh with a margin.

    It is turned as the face is, so that the network sees it upright.
    """
    across = mesh[_LEFT_CORNER] - mesh[_RIGHT_CORNER]
    angle = float(np.arctan2(across[1], across[0]))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    upright = mesh[:468] @ turn
    low, high = upright.min(0), upright.max(0)
    side = float((high - low).max()) * MARGIN
    return square_matrix(turn @ ((low + high) / 2), side, angle, INPUT_SIZE)
