"""The record of which masks were painted by us, of one faceset.

What made a mask and a fingerprint of it, by the face's name. A face whose mask has another
fingerprint got it from elsewhere. Knows no nets.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any  # JSON values

import numpy as np

from understudy.steps.journal import Journal
from understudy.types import Mask

VERSION = 1


def open_record(manifests_dir: Path, folder: Path) -> Journal:
    """The record of the faceset in `folder`, begun if there is none."""
    text = str(folder.resolve()).encode("utf-8", "surrogateescape")
    journal = Journal(manifests_dir / f"mask_apply_{hashlib.sha256(text).hexdigest()[:12]}.jsonl")
    if journal.header.get("version") != VERSION:
        journal.begin({"version": VERSION, "folder": str(folder)})
    return journal


def maker(facts: Mapping[str, Any]) -> str:
    """What tells masks of one model and settings from those of others."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def storable(mask: Mask) -> Mask:
    """The mask in the levels a file holds, each a little above, since files round down."""
    return np.asarray((np.floor(np.clip(mask, 0, 1) * 255) + 0.25) / 255, np.float32).clip(0, 1)


def fingerprint(mask: Mask | None) -> int | None:
    """What tells a mask, as a file holds it, from another."""
    if mask is None:
        return None
    levels = np.rint(mask * 255).astype(np.uint8)
    return zlib.crc32(levels.tobytes(), mask.shape[1])
