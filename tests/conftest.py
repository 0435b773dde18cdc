"""What several test rooms share: where the material that is not in the repository lies."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with goldens, clips and digital doubles; absent in a user's clone."""
    if not SHARED.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the shared material must be there in CI")
        pytest.skip("needs the shared test material")
    return SHARED
