"""Before and after, side by side: a picture of a few frames, or a film of all of them, signed."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from understudy.errors import OptionError
from understudy.files import temporary_path
from understudy.job import Job
from understudy.options import option
from understudy.steps.frames import clip_paths, read_frame_manifests
from understudy.steps.perform import StepOptions
from understudy.steps.video import check_out, merged_frames
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.frames import FrameManifest
    from understudy.media.images import Pixels

PICTURES, FILMS = (".jpg", ".jpeg", ".png"), (".mp4", ".mov", ".mkv")
_GAP = 6
_HEAD = 34
_DARK, _LIGHT = 20, 230
_LINE_SHARE = 400  # the line is a 400th of the width, at least two pixels
_SWING_SECONDS = 6


class StripOptions(StepOptions):
    """Options of `strip`."""

    out: Path = option(Path("strip.jpg"), "A picture (.jpg, .png) or a film (.mp4, .mov, .mkv).")
    layout: Literal["split", "wipe", "side"] = option(
        "split",
        "Of a film: split by a line at --at, by a line that swings to and fro, or side by side.",
    )
    at: float = option(
        50.0, "Where the line of split stands, in percent of the width.", ge=0, le=100
    )
    count: int = option(5, "Frames in a picture, spread over the clip.", ge=1, le=40)
    width: int = option(384, "Width of a frame in a picture, in pixels.", ge=16, le=4096)
    overwrite: bool = option(False, "Replace a file that this workspace did not make.")


def strip(options: StripOptions, job: Job) -> Report:
    """The picture or film at `out`, marked like every result.

    Raises:
        MaterialError: frames are not merged, or their plates are gone.
        OptionError: `out` is of neither kind, or a file this workspace did not make.
    """
    from understudy.steps.marks import sign_film

    workspace = Workspace.open(options.workspace)
    ending = options.out.suffix.lower()
    if ending not in (*PICTURES, *FILMS):
        raise OptionError(
            options.out,
            expected=f"a name ending in {', '.join((*PICTURES, *FILMS))}",
            found=repr(options.out.suffix),
            remedy="Change the ending.",
        )
    clips = (*clip_paths(workspace, "src"), *clip_paths(workspace, "dst"))
    check_out(options.out, workspace, clips=clips, overwrite=options.overwrite)
    parts = read_frame_manifests(workspace, "dst")
    pairs = _pairs(workspace, merged_frames(workspace, parts))
    done = workspace.read_manifest("video") or {}
    films = sorted({*done.get("films", ()), str(options.out.absolute())})
    workspace.write_manifest("video", done | {"films": films})
    partial = temporary_path(options.out)
    try:
        if ending in PICTURES:
            shown = _write_picture(options, pairs, partial)
        else:
            shown = _write_film(options, parts, pairs, partial, job)
        mark = sign_film(partial, options.out, workspace, job)
    finally:
        partial.unlink(missing_ok=True)
    return Report(
        "strip",
        done=shown,
        outputs=[options.out],
        details={
            "summary": f"{counted(shown, 'frame')} before and after",
            "unit": "frame",
            "provenance": mark,
        },
    )


def _pairs(workspace: Workspace, merged: Sequence[Path]) -> list[tuple[Path, Path]]:
    from understudy.media.images import list_unique_images
    from understudy.steps.deliver import plates_of

    plates = list_unique_images(workspace.dst.frames_dir).paths
    return list(zip(plates_of(workspace, plates, merged), merged, strict=True))


def _write_picture(options: StripOptions, pairs: list[tuple[Path, Path]], path: Path) -> int:
    from understudy.media.images import write_image

    count = min(options.count, len(pairs))
    chosen = [pairs[math.floor((i + 0.5) * len(pairs) / count)] for i in range(count)]
    rows = [
        _row(name, [pair[side] for pair in chosen], options.width)
        for side, name in enumerate(("before", "after"))
    ]
    write_image(path, np.concatenate(rows), bit_depth=8, jpeg_quality=92)
    return count


def _row(name: str, paths: Sequence[Path], width: int) -> "Pixels":
    from understudy.media.images import read_pixels

    return named_row(name, [tile_of(read_pixels(path), width) for path in paths])


def tile_of(pixels: "Pixels", width: int) -> "Pixels":
    """The picture in 8 bits, scaled to that width."""
    import cv2

    from understudy.media.stored_frames import to_depth

    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    how = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(to_depth(pixels, 8), (width, height), interpolation=how))


def named_row(name: str, tiles: "Sequence[Pixels]") -> "Pixels":
    """Tiles of one height beside each other, under their name."""
    import cv2

    gap = np.full((tiles[0].shape[0], _GAP, 3), _DARK, np.uint8)
    row = np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
    head = np.full((_HEAD, row.shape[1], 3), _DARK, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(head, name, (8, _HEAD - 11), font, 0.6, (_LIGHT,) * 3, 1, cv2.LINE_AA)
    return np.concatenate([head, row])


def _write_film(
    options: StripOptions,
    parts: "list[FrameManifest]",
    pairs: list[tuple[Path, Path]],
    path: Path,
    job: Job,
) -> int:
    from understudy.media.encode import Sound, encode_video

    plate = clip_paths(Workspace(options.workspace), "dst")
    part = parts[0] if len(parts) == 1 else None
    rate = parts[0].timing.rate if parts else Fraction(25)

    def follow(done: int) -> None:
        job.check()
        job.progress(done, len(pairs), options.out.name)

    encoded = encode_video(
        _both(options, pairs, rate),
        path,
        timing=rate if part is None else part.timing,
        sound=Sound(plate[0]) if len(plate) == 1 and plate[0].exists() else None,
        color=parts[0].color if parts else None,
        sample_aspect=parts[0].sample_aspect if parts else Fraction(1),
        on_frame=follow,
    )
    return encoded.frames


def _both(
    options: StripOptions, pairs: list[tuple[Path, Path]], rate: Fraction
) -> "Iterator[Pixels]":
    from understudy.media.images import read_pixels

    for number, (plate, merged) in enumerate(pairs):
        before, after = read_pixels(plate), read_pixels(merged)
        if options.layout == "side":
            gap = np.full((before.shape[0], _GAP, 3), 0, before.dtype)
            yield np.concatenate([before, gap, after], axis=1)
            continue
        share = options.at / 100
        if options.layout == "wipe":
            turn = float(number / rate) / _SWING_SECONDS
            share = 0.5 - 0.5 * math.cos(2 * math.pi * turn)
        yield _split(before, after, share)


def _split(before: "Pixels", after: "Pixels", share: float) -> "Pixels":
    """The plate left of a line at that share of the width, the result right of it."""
    width = before.shape[1]
    line = max(2, width // _LINE_SHARE)
    place = round(share * width)
    both = after.copy()
    both[:, :place] = before[:, :place]
    both[:, max(0, place - line // 2) : place + line - line // 2] = np.iinfo(both.dtype).max
    return both
