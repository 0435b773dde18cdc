"""Names of a picture's colour tags, and what holds where a file leaves them out.

FFmpeg's numbers in, FFmpeg's names out, and back. Untagged pictures are taken as players take them:
BT.709 from 720 lines on, BT.601 below. Knows nothing of pixels or files.
"""

from dataclasses import replace

from understudy.types import ColorTags

PRIMARIES = {
    "bt709": 1,
    "bt470m": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "film": 8,
    "bt2020": 9,
    "smpte428": 10,
    "smpte431": 11,
    "smpte432": 12,
    "ebu3213": 22,
}
TRANSFERS = {
    "bt709": 1,
    "gamma22": 4,
    "gamma28": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "linear": 8,
    "log100": 9,
    "log316": 10,
    "iec61966-2-4": 11,
    "bt1361e": 12,
    "iec61966-2-1": 13,
    "bt2020-10": 14,
    "bt2020-12": 15,
    "smpte2084": 16,
    "smpte428": 17,
    "arib-std-b67": 18,
}
MATRICES = {
    "gbr": 0,
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "ycgco": 8,
    "bt2020nc": 9,
    "bt2020c": 10,
}
RANGES = {"tv": 1, "pc": 2}

SCALER_MATRICES = {
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 5,
    "smpte240m": 7,
    "bt2020nc": 9,
    "bt2020c": 9,  # the scaler knows no constant-luminance form; it differs in saturated edges only
}
"""The scaler's own numbers for the matrices it can compute."""


def tags_from_numbers(*, primaries: int, transfer: int, matrix: int, range_: int) -> ColorTags:
    """Tags by FFmpeg's numbers; what is unspecified, or unknown to us, is None."""
    return ColorTags(
        primaries=_name(PRIMARIES, primaries),
        transfer=_name(TRANSFERS, transfer),
        matrix=_name(MATRICES, matrix),
        range=_name(RANGES, range_),
    )


def completed(tags: ColorTags, *, height: int) -> ColorTags:
    """Tags with every gap filled as players fill it for a picture of this many lines."""
    matrix = "bt709" if tags.matrix == "gbr" else tags.matrix  # RGB is about to become YUV
    if matrix not in SCALER_MATRICES:
        matrix = "bt709" if height >= 720 else "bt470bg" if _is_625_line(height) else "smpte170m"
    family = {"bt709": "bt709", "bt470bg": "bt470bg", "bt2020nc": "bt2020", "bt2020c": "bt2020"}
    primaries = tags.primaries or family.get(matrix, "smpte170m")
    transfer = tags.transfer or {
        "bt709": "bt709",
        "bt2020": "bt2020-10",
        "smpte240m": "smpte240m",
    }.get(family.get(matrix, matrix), "smpte170m")
    return replace(
        tags,
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        range=tags.range or "tv",
    )


def _is_625_line(height: int) -> bool:
    return height in (576, 288)


def _name(names: dict[str, int], number: int) -> str | None:
    return next((name for name, value in names.items() if value == number), None)
