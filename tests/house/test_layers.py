"""Nothing imports upward: data walks one way through the rooms."""

import ast
from pathlib import Path

import pytest

import understudy

ROOT = Path(understudy.__file__).parent
GROUND = {"", "__version__", *(path.stem for path in ROOT.glob("*.py"))}
BELOW: dict[str, set[str]] = {
    "media": set(),
    "imaging": set(),
    "provenance": set(),
    "faces": {"imaging"},
    "models": set(),
    "facesets": {"faces", "imaging", "media"},
}
BELOW["masks"] = BELOW["facesets"] | {"facesets", "models"}
BELOW["training"] = BELOW["masks"] | {"masks"}
BELOW["merging"] = {"imaging", "faces"}
BELOW["bench"] = BELOW["training"] | {"training", "merging", "provenance"}
BELOW["steps"] = BELOW["bench"] | {"bench"}
BELOW["cli"] = {"steps"}
BELOW["studio"] = {"steps"}
INNER = {  # rooms inside a room, or files of it: each imports those before it
    "facesets": ("dfl", "moves", "faceset", "sorting", "survey"),
    "training": (
        *("plan", "samples", "step", "state", "memory", "monitor", "loop", "distributed"),
    ),
}


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported_names(path) if name.startswith("understudy.")}


def test_nothing_imports_upward() -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        room = parts[0] if len(parts) > 1 else ""
        allowed = GROUND | (BELOW[room] | {room} if room else set())
        wrong += [f"{path.relative_to(ROOT)} -> {r}" for r in imported_rooms(path) - allowed]
    assert not wrong, wrong


def test_ground_floor_and_numpy_rooms_know_no_torch() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        if len(parts) > 1 and parts[0] not in ("media", "imaging", "provenance", "merging", "cli"):
            continue
        assert "import torch" not in path.read_text(encoding="utf-8"), path


def test_only_the_studio_knows_the_browser() -> None:
    browser = ("nicegui", "fastapi", "starlette", "uvicorn", "webview")
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] != "studio":
            named = {name.split(".")[0] for name in imported_names(path)}
            assert not named & set(browser), path


@pytest.mark.parametrize("room", INNER)
def test_inner_rooms_import_only_those_before_them(room: str) -> None:
    order, wrong = INNER[room], []
    for path in sorted((ROOT / room).rglob("*.py")):
        inner = path.relative_to(ROOT / room).with_suffix("").parts[0]
        before = order[: order.index(inner) + 1] if inner in order else order
        for name in imported_names(path):
            parts = name.split(".")
            if parts[:2] == ["understudy", room] and parts[2] not in before:
                wrong.append(f"{path.relative_to(ROOT)} -> {name}")
    assert not wrong, wrong


@pytest.mark.parametrize("room", INNER)
def test_every_inner_room_has_its_place(room: str) -> None:
    found = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
    assert found <= set(INNER[room])
