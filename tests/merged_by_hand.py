"""A workspace whose merged frames were made without a model: quick, and known to the pixel."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from understudy.cli.main import main
from understudy.media.encode import Sound, encode_video
from understudy.media.images import read_pixels, write_image, write_mask
from understudy.types import ColorTags
from understudy.workspace import Workspace

RATE = Fraction(24000, 1001)
COUNT = 5
SIZE = (130, 256)  # height, width


def plate_picture(number: int, *, deep: bool = False) -> np.ndarray:
    """Soft colours that move a little."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float64)
    parts = [
        0.5 + 0.35 * np.sin(x / 29 + number / 3),
        0.5 + 0.35 * np.cos(y / 21 - number / 4),
        0.15 + 0.7 * (x + y) / sum(SIZE),
    ]
    kind = np.uint16 if deep else np.uint8
    return np.rint(np.dstack(parts) * np.iinfo(kind).max).astype(kind)


def write_plate(path: Path, *, deep: bool = False, timecode: str | None = "01:00:00:00") -> Path:
    """A clip with two sound tracks, AAC and AC-3."""
    sound = path.with_suffix(".mka")
    with av.open(str(sound), "w", format="matroska") as container:
        tracks = [
            container.add_stream(codec, rate=48000, layout="mono") for codec in ("aac", "ac3")
        ]
        for number, track in enumerate(tracks):
            wave = np.sin(np.arange(14400) * (2 * np.pi * 440 * (number + 1) / 48000))
            frame = av.AudioFrame.from_ndarray(
                wave[None].astype(np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48000, 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    encode_video(
        (plate_picture(n, deep=deep) for n in range(COUNT)),
        path,
        timing=RATE,
        format_name="prores-hq" if deep else "h264",
        sound=Sound(sound),
        color=ColorTags("bt2020", "smpte2084", "bt2020nc", "tv") if deep else None,
        sample_aspect=Fraction(16, 15),
        timecode=timecode,
    )
    sound.unlink()
    return path


def workspace_with_merged(root: Path, plate: Path) -> Path:
    """Frames of `plate`, and merged frames that differ from them inside a soft ellipse."""
    workspace = Workspace.create(root)
    assert main(["frames", "dst", "--video", str(plate), "--workspace", str(root)]) == 0
    for folder in (workspace.merged_dir, workspace.merged_mask_dir):
        folder.mkdir(parents=True)
    mask = np.zeros(SIZE, np.float32)
    cv2.ellipse(mask, (128, 64), (40, 50), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 4)
    mask[mask < 0.01] = 0
    for frame in sorted(workspace.dst.frames_dir.glob("*.png")):
        pixels = read_pixels(frame).astype(np.float32)
        face = np.full_like(pixels, np.iinfo(read_pixels(frame).dtype).max) - pixels
        merged = pixels + (face - pixels) * mask[..., None]
        write_image(
            workspace.merged_dir / frame.name, np.rint(merged).astype(read_pixels(frame).dtype)
        )
        write_mask(workspace.merged_mask_dir / frame.name, mask)
    return root
