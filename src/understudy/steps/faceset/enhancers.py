"""What can make faces sharper, by name; each is loaded only when it is chosen.

A strength and a device in, a function from face to face out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.registry import Registry
from understudy.types import FaceSample

if TYPE_CHECKING:
    import numpy as np

    from understudy.models.face_enhancer import FaceEnhancer

Enhance = Callable[[FaceSample], FaceSample]
"""The face with a finer picture; the very same object if it was enhanced before."""

ENHANCERS: Registry[Callable[[float, str], Enhance]] = Registry("enhancer")

DFL_FILE = "FaceEnhancer.npy"
_DFL_WEIGHTS = "dfl-face-enhancer"
_LARGEST_FILE = 1 << 28


@ENHANCERS.register("deconvolve")
def deconvolve(strength: float, device: str) -> Enhance:
    """The embedded one: takes back the blur measured in each face; needs no weights."""
    from understudy.facesets.enhance import deconvolve_face, enhanced

    return lambda face: enhanced(
        face, lambda: deconvolve_face(face, strength=strength), by="deconvolve"
    )


@ENHANCERS.register("dfl")
def dfl(strength: float, device: str) -> Enhance:
    """DFL's network, with the weights file a user brings.

    Raises:
        WeightsError: the file is not there.
        FormatError: it holds something else.
    """
    import numpy as np

    from understudy.facesets.enhance import enhanced
    from understudy.models.devices import one_thread_each
    from understudy.models.face_enhancer import enhance_picture
    from understudy.types import Image

    network = dfl_network(device)
    one_thread_each()

    def finer(face: FaceSample) -> Image:
        before = face.image
        after = before + np.float32(strength) * (enhance_picture(network, before) - before)
        return np.asarray(np.clip(after, 0.0, 1.0), np.float32)

    return lambda face: enhanced(face, lambda: finer(face), by="dfl")


def dfl_network(device: str) -> "FaceEnhancer":
    """DFL's network with the weights a user brought, ready on `device`.

    Raises:
        WeightsError: the file is not there.
        FormatError: it holds something else.
    """
    from understudy.models.devices import choose_device
    from understudy.models.dfl_weights import load_network
    from understudy.models.face_enhancer import FaceEnhancer

    network = FaceEnhancer()
    load_network(network, _dfl_arrays())
    network.to(choose_device(device)).eval()
    return network


def dfl_weights_path() -> Path:
    """Where a user puts DFL's weights file."""
    from understudy.weights import weights_dir

    return weights_dir(_DFL_WEIGHTS) / DFL_FILE


def _dfl_arrays() -> "dict[str, np.ndarray]":
    import numpy as np

    from understudy import safe_pickle
    from understudy.errors import FormatError, WeightsError
    from understudy.files import read_bytes

    path = dfl_weights_path()
    if not path.is_file():
        raise WeightsError(
            path,
            expected=f"{DFL_FILE} out of a DeepFaceLab installation",
            found="none",
            remedy="Put it there, or use --enhancer deconvolve, which needs no weights.",
        )
    value = safe_pickle.loads(read_bytes(path, limit=_LARGEST_FILE), source=path)
    arrays = value if isinstance(value, dict) else {}
    if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise FormatError(
            path,
            expected="the weights of a network, by name",
            found=f"a {type(value).__name__} of something else",
            remedy=f"Put DeepFaceLab's own {DFL_FILE} there.",
        )
    return arrays
