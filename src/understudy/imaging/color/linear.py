"""Colour transfers by one linear map that takes mean and covariance along: lct, mkl, mkl-m.

Two pictures in, one out; no files, no state. Source: lct, Hertzmann, "Algorithms for rendering in
artistic styles", 2001 (the symmetric root); mkl, Pitie and Kokaram, "The linear Monge-Kantorovitch
colour mapping for example-based colour transfer", 2007; constants of reference section 18.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Float64

from understudy.imaging.color.methods import COLOR_FITS, COLOR_TRANSFERS, ColorMap, PlateImage
from understudy.types import Image, Mask

Square = Float64[np.ndarray, "3 3"]
Row = Float32[np.ndarray, "..."]
_RIDGE = 1e-5
_SMALLEST = float(np.finfo(np.float64).eps)


@COLOR_FITS.register("lct")
def fit_lct(face: Image, plate: PlateImage) -> ColorMap:
    """Map by the symmetric roots of both covariances; always defined, thanks to a small ridge."""
    return _linear_map(face, plate, _roots_map)


@COLOR_FITS.register("mkl-m")
@COLOR_FITS.register("mkl")
def fit_mkl(face: Image, plate: PlateImage) -> ColorMap:
    """Map with the covariances matched by the smallest possible movement of colours."""
    return _linear_map(face, plate, _transport_map)


@COLOR_TRANSFERS.register("lct")
def transfer_lct(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face` with mean and covariance of the whole `plate`; the mask does not matter."""
    return fit_lct(face, plate)(face)


@COLOR_TRANSFERS.register("mkl")
def transfer_mkl(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face` moved to mean and covariance of the whole `plate`; the mask does not matter."""
    return fit_mkl(face, plate)(face)


@COLOR_TRANSFERS.register("mkl-m")
def transfer_mkl_masked(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """As mkl, with both pictures multiplied by `mask` beforehand."""
    if mask is None:
        return fit_mkl(face, plate)(face)
    inside = face * mask[..., None]
    return fit_mkl(inside, plate * mask[..., None])(inside)


def fit_lightness(face: Row, plate: Row) -> Callable[[Row], Row]:
    """Map of one channel by mean and spread; the same small ridge keeps it defined."""
    gain = np.sqrt((plate.var() + _RIDGE) / (face.var() + _RIDGE))
    offset = plate.mean() - gain * face.mean()
    return lambda values: np.asarray(values * gain + offset, np.float32)


def _linear_map(
    face: Image, plate: PlateImage, solve: Callable[[Square, Square], Square]
) -> ColorMap:
    face_mean, face_cov = _moments(face)
    plate_mean, plate_cov = _moments(plate)
    linear = solve(face_cov, plate_cov)
    offset = plate_mean - linear @ face_mean

    def apply(picture: Image) -> Image:
        moved = picture.astype(np.float64) @ linear.T + offset
        return np.asarray(np.clip(moved, 0.0, 1.0), np.float32)

    return apply


def _moments(picture: Image) -> tuple[Float64[np.ndarray, "3"], Square]:
    pixels = picture.reshape(-1, 3).astype(np.float64)
    mean = pixels.mean(axis=0)
    centred = pixels - mean
    return mean, centred.T @ centred / max(len(pixels), 1)


def _roots_map(face_cov: Square, plate_cov: Square) -> Square:
    ridge = _RIDGE * np.eye(3)
    return np.asarray(_root(plate_cov + ridge) @ np.linalg.inv(_root(face_cov + ridge)))


def _transport_map(face_cov: Square, plate_cov: Square) -> Square:
    face_root = _root(face_cov)
    inverse = np.linalg.inv(face_root)
    return np.asarray(inverse @ _root(face_root @ plate_cov @ face_root) @ inverse)


def _root(matrix: Square) -> Square:
    """Symmetric square root, eigenvalues held above zero."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, _SMALLEST))) @ vectors.T)
