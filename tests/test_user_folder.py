"""Where what belongs to the user lies."""

from pathlib import Path

import pytest

from understudy.user_folder import data_dir


def test_data_dir_follows_the_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UNDERSTUDY_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_dir() == tmp_path / "understudy"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert data_dir() == Path.home() / ".local" / "share" / "understudy"
