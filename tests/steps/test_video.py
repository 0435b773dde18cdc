"""What is told of the film while it is made."""

import shutil
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.media.images import read_pixels, write_image


def test_notices_name_the_film_and_no_temporary_file(
    merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Path(shutil.copytree(merged, tmp_path / "w"))
    for path in (workspace / "data_dst" / "merged").glob("*.png"):
        write_image(path, read_pixels(path)[:-1, :-1])
    film = tmp_path / "film.mp4"
    assert main(["video", "--workspace", str(workspace), "--out", str(film)]) == 0
    told = capsys.readouterr().err
    assert f"{film}: 255x255 is odd" in told
    assert ".partial" not in told
