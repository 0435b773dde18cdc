"""What the command line offers, and how it tells what it can't read."""

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


def test_no_list_has_a_flag_that_empties_it(capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("frames", "extract", "train"):
        assert "--empty-" not in help_of(step, capsys)


def test_a_guess_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frames", "src", "--vido", "x"]) == 2
    line = capsys.readouterr().err.strip()
    assert line.endswith("--vido. Did you mean --video? See: understudy frames --help")
    for wrong in ("?.", "..", ".?"):
        assert wrong not in line
