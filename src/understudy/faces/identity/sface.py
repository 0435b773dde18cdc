"""The better embedder a user may add: SFace, a MobileFaceNet trained to know people again.

Pictures and landmarks in, unit vectors out. The network is one file that the user puts into the
cache; it is checked against the size and hash below and never fetched by itself.

Source: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition",
2021; weights of the OpenCV Model Zoo, Apache-2.0.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from understudy.errors import WeightsError
from understudy.faces.identity.registry import Embeddings
from understudy.faces.landmarks import LEFT_EYE, RIGHT_EYE
from understudy.faces.pixels import Pixels, white
from understudy.files import read_bytes
from understudy.imaging.geometry import fit_similarity
from understudy.imaging.resample import read_part
from understudy.types import Landmarks
from understudy.weights import weights_dir

FILE_NAME = "face_recognition_sface_2021dec.onnx"
SIZE = 24_227_283
SHA256 = "f6abbfff9575e3041db692c1e29d782e995191888477fd59ebc81202d99fc63b"
ORIGIN = "https://github.com/opencv/opencv_zoo, models/face_recognition_sface (Apache-2.0)"

_SIDE = 112
# Where eyes, tip of the nose and corners of the mouth lie in the pictures the network learnt from.
_TARGETS: Float64[np.ndarray, "5 2"] = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


class SfaceEmbedder:
    """128 numbers per face; the threshold is the one its makers give."""

    name = "sface"
    same_person = 0.363
    same_shot = 0.2

    def __init__(self, model: bytes) -> None:
        empty = np.zeros(0, np.uint8)
        data = np.frombuffer(model, np.uint8)
        self._network = cv2.FaceRecognizerSF.create("onnx", data, empty)

    @classmethod
    def from_weights(cls) -> "SfaceEmbedder":
        """The embedder with the file that lies in the cache.

        Raises:
            WeightsError: it is not there, or is another file.
        """
        path = weights_dir("sface") / FILE_NAME
        if not path.is_file():
            raise WeightsError(
                path,
                expected=f"the SFace network, {SIZE} bytes",
                found="nothing",
                remedy=f"Download it from {ORIGIN} and put it there, or use --embedder texture.",
            )
        data = read_bytes(path, limit=2 * SIZE)
        found = hashlib.sha256(data).hexdigest()
        if found != SHA256:
            raise WeightsError(
                path,
                expected=f"{SIZE} bytes with sha256 {SHA256[:12]}...",
                found=f"{len(data)} bytes with {found[:12]}...",
                remedy=f"Remove it and download it again from {ORIGIN}.",
            )
        return cls(data)

    def embed(self, images: Sequence[Pixels], landmarks: Sequence[Landmarks]) -> Embeddings:
        """A unit vector per face."""
        if not images:
            return np.zeros((0, 128), np.float32)
        rows = [
            np.asarray(self._network.feature(_cut(image, points)), np.float32).ravel()
            for image, points in zip(images, landmarks, strict=True)
        ]
        vectors = np.stack(rows)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def _cut(image: Pixels, landmarks: Landmarks) -> UInt8[np.ndarray, "112 112 3"]:
    """The face as the network wants it: upright, BGR, 8 bit."""
    eyes = [landmarks[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
    points = np.stack([*eyes, landmarks[30], landmarks[48], landmarks[54]]).astype(np.float64)
    part = read_part(image, fit_similarity(points, _TARGETS), shape_hw=(_SIDE, _SIDE))
    levels = np.clip(part * (255 / white(image)) + 0.5, 0, 255)
    return np.ascontiguousarray(levels[..., ::-1].astype(np.uint8))
