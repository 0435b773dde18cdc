"""Masks painted onto faces as they are cut, by the mask that ships.

A face in, the same face with its mask out; what was painted is recorded as `mask apply` records it,
so that it may paint over these masks and knows them for done. Knows no frames.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from understudy.masks.face_masks import without_specks
from understudy.masks.generic import generic_sha256, load_generic
from understudy.masks.painter import MaskPainter
from understudy.steps.mask.record import fingerprint, maker, open_record
from understudy.types import FaceSample


class FaceMasks:
    """Paints faces; safe to use from several threads."""

    def __init__(self, aligned_dir: Path, manifests_dir: Path, *, device: torch.device) -> None:
        self._painter = MaskPainter(load_generic(), device=device)
        facts = {"name": "generic", "sha256": generic_sha256(), "soft": False, "smooth": 0}
        self._made_by = maker(facts)
        self.record = open_record(manifests_dir, aligned_dir)
        self._painted: dict[str, int | None] = {}

    def __call__(self, face: FaceSample, name: str) -> FaceSample:
        """The face, which is to be called `name`, with its mask."""
        (soft,) = self._painter.paint([self._painter.prepare(face)])
        mask = without_specks(soft)
        self._painted[name] = fingerprint(mask)
        return replace(face, mask=mask)

    def note(self, names: Iterable[str]) -> None:
        """Record that these faces were written."""
        for name in names:
            self.record.add(name, made_by=self._made_by, mask=self._painted.pop(name))
