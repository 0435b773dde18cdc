"""The docs say what the program does."""

from pathlib import Path

from understudy.cli.reference import page

ROOT = Path(__file__).resolve().parents[2]


def test_commands_page_is_current() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == page(), (
        "run: python -m understudy.cli.reference > docs/commands.md"
    )


def test_readme_shows_the_two_commands_and_the_picture() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first_screen = "\n".join(readme.splitlines()[:30])
    assert "make demo" in first_screen
    assert "make check" in first_screen
    picture = first_screen.split("](")[1].split(")")[0]
    assert (ROOT / picture).is_file()
