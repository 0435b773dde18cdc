"""What an embedder is, what it gives, and the list of those there are.

Naming an embedder loads nothing; making one loads its network, if it has one.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from understudy.faces.pixels import Pixels
from understudy.registry import Registry
from understudy.types import Landmarks

Embeddings = Float32[np.ndarray, "n d"]
"""Unit vectors, one per face; the dot product of two says how alike the faces are."""


@runtime_checkable
class Embedder(Protocol):
    """Turns faces into vectors that are close for one person.

    Two faces whose vectors have a dot product of at least `same_person` are taken for one
    person's; in one shot, where light and make-up stay, already from `same_shot` on.
    """

    name: str
    same_person: float
    same_shot: float

    def embed(self, images: Sequence[Pixels], landmarks: Sequence[Landmarks]) -> Embeddings:
        """A vector per picture, for the face at the landmarks, which are in that picture's pixels.

        Pictures may be aligned faces of any kind or whole frames, each of its own size and depth.
        """
        ...


EMBEDDERS: Registry[Callable[[str], Embedder]] = Registry("embedder")
"""Name -> function that makes the embedder on a device ("cpu", "cuda:0")."""


@EMBEDDERS.register("texture")
def _texture(device: str) -> Embedder:
    from understudy.faces.identity.texture import TextureEmbedder

    return TextureEmbedder()


@EMBEDDERS.register("sface")
def _sface(device: str) -> Embedder:
    from understudy.faces.identity.sface import SfaceEmbedder

    return SfaceEmbedder.from_weights()
