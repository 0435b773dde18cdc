"""A model as DFL wrote it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = {"SAEHD": ("model_saehd", "new"), "AMP": ("model_amp", "my amp")}
Golden = Callable[[str], tuple[Path, str]]


@pytest.fixture
def golden(shared: Path, tmp_path: Path) -> Golden:
    """Folder and name of a model DFL wrote; a copy."""

    def copy(kind: str) -> tuple[Path, str]:
        folder, name = GOLDEN[kind]
        target = tmp_path / folder
        shutil.copytree(shared / "golden" / "files" / folder, target)
        return target, name

    return copy
