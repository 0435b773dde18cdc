"""The labels for the generic mask are whole, fit their faces, and lie on them when cut out."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from understudy.faces.regions import hull_mask
from understudy.facesets.faceset import Faceset
from understudy.masks.polygons import rasterize

ROOT = Path(__file__).resolve().parents[2]
KNOWN = json.loads((ROOT / "data" / "generic_mask" / "labels.json").read_text(encoding="utf-8"))


def test_every_face_has_an_outline_in_a_known_clip() -> None:
    faces = KNOWN["faces"]
    assert 80 <= len(faces) <= 120
    clips = {face["clip"] for face in faces}
    assert clips == set(KNOWN["people"]) and set(KNOWN["held_out"]) < clips
    places = {(f["clip"], f["frame"], f["landmarks"][0][0]) for f in faces}
    assert len(places) == len(faces), "no face twice"
    for face in faces:
        assert np.array(face["landmarks"]).shape == (68, 2) and face["frame"] >= 0
        first, *others = face["polygons"]
        assert first["include"] and not any(one["include"] for one in others)
        assert all(12 <= len(one["points"]) <= 60 for one in face["polygons"][:1])


def test_people_held_out_entirely_are_seen_nowhere_else() -> None:
    people = KNOWN["people"]
    trained = {who for clip in set(people) - set(KNOWN["held_out"]) for who in people[clip]}
    alone = {clip for clip in KNOWN["held_out"] if not set(people[clip]) & trained}
    assert alone == {"headpose_male.gif", "image_astronaut.png", "synthetic_faces_1x2.jpg"}


def cut(monkeypatch: pytest.MonkeyPatch, *tokens: str | Path) -> None:
    script = str(ROOT / "scripts" / "cut_labelled_faces")
    monkeypatch.setattr(sys, "argv", [script, *map(str, tokens)])
    runpy.run_path(script, run_name="__main__")


def test_faces_are_cut_with_their_labels(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = ("image_astronaut.png", "asl_man1_help.mkv", "headpose_two_people.gif")
    cut(monkeypatch, shared / "media", tmp_path, "--only", *clips)
    train, held_out = Faceset.open(tmp_path / "train"), Faceset.open(tmp_path / "held_out")
    assert held_out.names == ("image_astronaut_00000_0.jpg",)
    wanted = [face for face in KNOWN["faces"] if face["clip"] in clips[1:]]
    assert len(train) == len(wanted)
    for face in (*train, *held_out):
        drawn = rasterize(face.polygons, (256, 256))
        whole = rasterize([p for p in face.polygons if p[0]], (256, 256))
        hull = hull_mask(face.landmarks, (256, 256), 0.0)
        assert 0.15 < drawn.mean() < 0.55
        assert (whole * hull).sum() > 0.9 * hull.sum(), face.name
        assert whole.sum() > hull.sum(), "the forehead belongs to it"
    hand = next(face for face in train if face.name == "asl_man1_help_00031_0.jpg")
    skin = rasterize(hand.polygons, (256, 256))
    assert len(hand.polygons) == 2 and skin[165, 85] == 0 and skin[130, 85] == 1


def test_another_clip_of_that_name_is_told(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clips" / "film_tears_of_steel_10s.mp4"
    clip.parent.mkdir()
    clip.symlink_to(shared / "media" / "headpose_two_people.gif")  # too short
    with pytest.raises(SystemExit, match="not the clip that was labelled"):
        cut(monkeypatch, clip.parent, tmp_path / "out", "--only", clip.name)
