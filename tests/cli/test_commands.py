"""What the command line offers, and how it tells what it can't read."""

from pathlib import Path

import pytest

from understudy.cli.main import main


def help_of(step: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([step, "--help"]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_help_of_run_shows_what_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of("run", capsys)
    assert "--empty-" not in text
    assert "[default: .]" not in text
    assert "--no-overwrite" in text, "what a preset turns on can be turned off"


@pytest.mark.parametrize(
    ("step", "groups"),
    [
        ("run", ["Main", "Person", "Workspace", "Machine"]),
        ("extract", ["Inputs", "Main", "Detection", "Tracks", "Frames", "Person", "Machine"]),
    ],
)
def test_help_shows_what_a_command_is_about_first(
    step: str, groups: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([step, "--help"]) == 0
    heads = [line.strip("╭─╮ ") for line in capsys.readouterr().out.splitlines() if "╭" in line]
    assert heads == groups


def test_no_list_has_a_flag_that_empties_it(capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("frames", "extract", "train"):
        assert "--empty-" not in help_of(step, capsys)


def test_a_guess_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frames", "src", "--vido", "x"]) == 2
    line = capsys.readouterr().err.strip()
    assert line.endswith("found none of them. Did you mean --video? See: understudy frames --help")
    for wrong in ("?.", "..", ".?"):
        assert wrong not in line


def test_an_empty_path_is_not_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for tokens in (["new", ""], ["clear", "", "--yes"], ["frames", "src", "--workspace", ""]):
        assert main(tokens) == 2
        assert "expected a path, found ''." in capsys.readouterr().err
    assert main(["frames", "src", "--video", "a.mp4", ""]) == 2
    assert list(tmp_path.iterdir()) == []
    assert main(["new", "."]) == 0
    assert (tmp_path / "workspace.json").is_file()


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ("run", "understudy run --src: expected a value (clip or clips of the face to put"),
        ("extract", "understudy extract SIDE: expected a value (which clip's frames: src or dst)"),
        ("extract up", "SIDE: expected one of src, dst, found 'up'."),
        ("faceset shet", 'shet: expected a command of understudy faceset, found none of them. '
         'Did you mean "sheet"? See: understudy faceset --help'),
        ("frames src more", "understudy frames: expected no further words, found 'more'."),
        ("train --batch-size x", "--batch-size: expected a whole number, found 'x'."),
        ("consent --expires soon", "--expires: expected a date, such as 2030-12-31, found 'soon'."),
        ("merge --mode x", "--mode: expected one of original, overlay, hist-match,"),
        ("train --colour red", "--colour: expected an option of understudy train, found none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_it_takes(
    tokens: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tokens.split()) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"understudy: {said}")
    assert "\n" not in line and "See: understudy" in line
