"""What a faceset step tells of pictures that are no faces."""

from typing import TYPE_CHECKING

from understudy.job import Job

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

_NUM_NAMED = 3


def tell_left_out(faceset: "Faceset", job: Job) -> list[str]:
    """Names of the pictures in the folder that are no faces; the user is told in one line."""
    names = [failure.item for failure in faceset.skipped]
    if names:
        more = f" and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
        some = ", ".join(names[:_NUM_NAMED]) + more
        pictures = "picture is no face" if len(names) == 1 else "pictures are no faces"
        job.message(f"{len(names)} {pictures}: {some}")
    return names
