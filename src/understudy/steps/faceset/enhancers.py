"""What can make faces sharper, by name; each is loaded only when it is chosen.

A name and a device in, a function from face to face out.
"""

from collections.abc import Callable

from understudy.registry import Registry
from understudy.types import FaceSample

Enhance = Callable[[FaceSample], FaceSample]
"""The face with a finer picture; the very same object if it was enhanced before."""

ENHANCERS: Registry[Callable[[float, str], Enhance]] = Registry("enhancer")


@ENHANCERS.register("deconvolve")
def deconvolve(strength: float, device: str) -> Enhance:
    """The embedded one: takes back the blur measured in each face; needs no weights."""
    from understudy.facesets.enhance import enhanced

    return lambda face: enhanced(face, by="deconvolve", strength=strength)
