"""Nothing imports upward: data walks one way through the rooms."""

import ast
from pathlib import Path

import understudy

ROOT = Path(understudy.__file__).parent
GROUND = {"", *(path.stem for path in ROOT.glob("*.py"))}
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


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    inside = {n.split(".")[1] if "." in n else "" for n in names if n.split(".")[0] == "understudy"}
    return inside


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
