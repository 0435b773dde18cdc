"""Pictures of a workspace as a browser shows them: 8-bit JPEG at the size of the screen."""

from pathlib import Path


def shown_picture(path: Path, *, height: int, quality: int = 90) -> bytes:
    """JPEG of the picture at `path`, shrunk to `height` if it is higher.

    Raises:
        FileError: it can't be read.
        FormatError: it is no picture.
    """
    import cv2

    from understudy.media.images import encode_picture, read_pixels

    pixels = read_pixels(path)
    if pixels.dtype != "uint8":
        pixels = (pixels >> 8).astype("uint8")
    full = pixels.shape[0]
    if full > height:
        size = (max(1, round(pixels.shape[1] * height / full)), height)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return encode_picture(pixels, ".jpg", jpeg_quality=quality)


def picture_names(folder: Path) -> list[str]:
    """Names of the pictures of a folder, in the order steps take them; none if it is not there."""
    from understudy.media.images import list_unique_images

    if not folder.is_dir():
        return []
    return [path.name for path in list_unique_images(folder).paths]
