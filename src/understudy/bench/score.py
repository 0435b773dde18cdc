"""How close a face replacement comes to the truth, where an exact truth exists.

Videos or folders of frames in, one row of measures out; everything on RGB in 0..1 inside the
visible face (coverage at least a half, eroded by 6 px):

    likeness      correlation with the truth of the face's features (luma, difference of Gaussians,
                  sigma 4 and 16 px), rescaled so that 0 is the better of two floors (the untouched
                  plate; the plate with its features blurred away) and 1 the truth
    fine          the same for small structure (sigma 2 and 8 px)
    crispness     contrast of that small structure over the truth's: 1 = as crisp
    face_psnr     and face_ssim, with the floors of the plate: they forgive blur
    outside_psnr  result against the plate outside the face grown by 12 px; 60 = nothing visible
    flicker       motion that the truth does not have, mean absolute, in 1/255

    python -m understudy.bench.score RESULT TRUTH.mp4 TRUTH.npz PLATE.mp4
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from understudy.errors import MaterialError
from understudy.media.images import list_images, read_image
from understudy.media.video import decode_frames
from understudy.types import Image, Mask

ERODE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
GROW = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
BANDS = {"likeness": (4.0, 16.0), "fine": (2.0, 8.0)}
FEWEST_PIXELS = 400


def frames_of(path: Path) -> Iterator[Image]:
    """Frames of a video, or of a folder in name order."""
    if path.is_dir():
        for picture in list_images(path):
            yield read_image(picture)
        return
    for frame in decode_frames(path):
        yield frame.pixels.astype(np.float32) / np.float32(255)


def _luma(image: Image) -> Mask:
    return image @ np.array([0.299, 0.587, 0.114], np.float32)


def _band(image: Image, sigmas: tuple[float, float]) -> Float32[np.ndarray, "h w"]:
    y = _luma(image)
    fine: Float32[np.ndarray, "h w"] = cv2.GaussianBlur(y, (0, 0), sigmas[0])
    return fine - cv2.GaussianBlur(y, (0, 0), sigmas[1])


def _wiped(plate: Image, coverage: UInt8[np.ndarray, "h w"]) -> Image:
    soft = cv2.GaussianBlur(coverage.astype(np.float32) / 255, (0, 0), 3.0)[..., None]
    wiped: Image = plate * (1 - soft) + cv2.GaussianBlur(plate, (0, 0), 10.0) * soft
    return wiped


def _correlation(a: Float32[np.ndarray, " n"], b: Float32[np.ndarray, " n"]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-12))


def ssim_map(a: Float32[np.ndarray, "h w"], b: Float32[np.ndarray, "h w"]) -> Any:
    """Structural similarity per pixel. Source: Wang et al. 2004, 11-px Gaussian window."""

    def mean(x: Float32[np.ndarray, "h w"]) -> Any:  # cv2 gives untyped arrays
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    c1, c2 = 0.01**2, 0.03**2
    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    return (2 * ma * mb + c1) * (2 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))


def _psnr(squared_error: float) -> float:
    return float(min(60.0, -10 * np.log10(max(squared_error, 1e-6))))


def _row(
    result: Image,
    truth: Image,
    plate: Image,
    coverage: UInt8[np.ndarray, "h w"],
    face: Bool[np.ndarray, "h w"],
) -> dict[str, float]:
    outside = cv2.dilate(coverage, GROW) == 0
    row = {
        "se": float(np.mean((result - truth)[face] ** 2)),
        "se0": float(np.mean((plate - truth)[face] ** 2)),
        "ssim": float(ssim_map(_luma(result), _luma(truth))[face].mean()),
        "ssim0": float(ssim_map(_luma(plate), _luma(truth))[face].mean()),
        "out": float(np.mean((result - plate)[outside] ** 2)),
    }
    wiped = _wiped(plate, coverage)
    for name, sigmas in BANDS.items():
        of_truth, of_result = _band(truth, sigmas)[face], _band(result, sigmas)[face]
        row[name] = _correlation(of_result, of_truth)
        row[name + "_plate"] = _correlation(_band(plate, sigmas)[face], of_truth)
        row[name + "_wiped"] = _correlation(_band(wiped, sigmas)[face], of_truth)
        row[name + "_contrast"] = float(of_result.std() / (of_truth.std() + 1e-9))
    return row


def score(result: Path, truth: Path, truth_npz: Path, plate: Path) -> dict[str, Any]:
    """Measures of `result` against `truth`, as JSON values.

    Raises:
        MaterialError: no frame with a visible face in common, or sizes differ.
    """
    visible = np.load(truth_npz)["face_visible"]
    rows: list[dict[str, float]] = []
    previous: tuple[Image, Image, Image] | None = None
    streams = zip(frames_of(result), frames_of(truth), frames_of(plate), strict=False)
    for i, (r, t, p) in enumerate(streams):
        if r.shape != t.shape:
            raise MaterialError(
                result,
                expected=f"{t.shape[1]}x{t.shape[0]}",
                found=f"{r.shape[1]}x{r.shape[0]}",
                remedy="Compare with the truth of this plate.",
            )
        face = cv2.erode((visible[i] >= 128).astype(np.uint8), ERODE) > 0
        if face.sum() < FEWEST_PIXELS:
            previous = None
            continue
        row = _row(r, t, p, visible[i], face)
        if previous is not None:
            r0, t0, p0 = previous
            row["flicker"] = float(np.abs((r - r0) - (t - t0))[face].mean() * 255)
            row["flicker0"] = float(np.abs((p - p0) - (t - t0))[face].mean() * 255)
        previous = (r, t, p)
        rows.append(row)
    if not rows:
        raise MaterialError(
            result,
            expected="a frame with a visible face",
            found="none",
            remedy="Check that result and truth belong together.",
        )
    return _summary(rows)


def _summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    m = {k: float(np.mean([row[k] for row in rows if k in row])) for k in rows[-1]}
    out: dict[str, Any] = {"frames": len(rows)}
    for name in BANDS:
        floor = max(m[name + "_plate"], m[name + "_wiped"], 0.0)
        out[name] = round((m[name] - floor) / (1 - floor), 4)
    floors = {n: [round(m[n + "_plate"], 4), round(m[n + "_wiped"], 4)] for n in BANDS}
    return out | {
        "crispness": round(m["fine_contrast"], 4),
        "face_psnr": round(_psnr(m["se"]), 2),
        "floor_psnr": round(_psnr(m["se0"]), 2),
        "face_ssim": round(m["ssim"], 4),
        "floor_ssim": round(m["ssim0"], 4),
        "outside_psnr": round(_psnr(m["out"]), 2),
        "flicker": round(m.get("flicker", 0.0), 3),
        "floor_flicker": round(m.get("flicker0", 0.0), 3),
        "floors": floors,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(score(*map(Path, sys.argv[1:5]))) + "\n")
