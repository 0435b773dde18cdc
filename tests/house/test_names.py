"""The list of steps is complete, described, and cheap to show."""

import subprocess
import sys
from keyword import iskeyword

import pytest

from understudy.cli.commands import parse_command
from understudy.options import flag_of
from understudy.steps import STEPS


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_help_loads_neither_torch_nor_codecs() -> None:
    code = (
        "import sys\nfrom understudy.cli.main import main\nmain(['--help'])\n"
        "unwanted = {'torch', 'cv2', 'av', 'nicegui', 'fastapi', 'numpy'}\n"
        "print('LOADED', sorted(unwanted & set(sys.modules)))"
    )
    assert run_python(code).rstrip().endswith("LOADED []")


@pytest.mark.parametrize("name", STEPS)
def test_step_declares_itself(name: str) -> None:
    step = STEPS[name]
    assert step.summary.endswith(".")
    word = name.split()[-1].replace("-", "_")
    assert step.function.__name__ == (f"{word}_" if iskeyword(word) else word)
    for option, field in step.options.model_fields.items():
        assert field.description, f"{name} --{option} has no sentence"
        assert field.description.rstrip().endswith("."), f"{name} --{option}: no full sentence"


@pytest.mark.parametrize("name", STEPS)
def test_step_options_load_no_torch(name: str) -> None:
    code = (
        f"import sys\nfrom understudy.steps import STEPS\nSTEPS[{name!r}].options\n"
        "print('torch' in sys.modules)"
    )
    assert run_python(code).strip() == "False"


@pytest.mark.parametrize("name", STEPS)
def test_step_is_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_command([*name.split(), "--help"]) is None
    shown = capsys.readouterr().out
    for option in STEPS[name].options.model_fields:
        assert flag_of(option) in shown


def test_what_a_preset_turns_on_can_be_turned_off() -> None:
    parsed = parse_command(["train", "--preset", "demo", "--no-clipgrad"])
    assert parsed is not None
    assert parsed[1]["clipgrad"] is False
