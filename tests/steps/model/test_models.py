"""Models as commands: taken over from DFL, managed, handed on."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from understudy.cli.main import main
from understudy.models.export import compare
from understudy.training.state import import_dfl
from understudy.training.state.model_folder import open_model
from understudy.workspace import Workspace

Told = Callable[..., str]


@pytest.fixture
def dfl(shared: Path, tmp_path: Path) -> Path:
    """A workspace as DFL left it: its models lie in the model folder."""
    root = tmp_path / "w"
    golden = shared / "golden" / "files"
    Workspace.create(root)
    for folder in ("model_saehd", "model_amp"):
        for path in (golden / folder).iterdir():
            if path.is_file():
                shutil.copy(path, root / "model" / path.name)
    return root


def run(*tokens: str | Path, at: Path) -> int:
    return main(["model", *(str(token) for token in tokens), "--workspace", str(at)])


def report(root: Path, name: str) -> dict[str, object]:
    details: dict[str, object] = json.loads((root / "reports" / f"model_{name}.json").read_text())[
        "details"
    ]
    return details


def test_from_dfl_and_back(dfl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", "--name", "new", at=dfl) == 0
    assert run("list", at=dfl) == 0
    shown = capsys.readouterr().out
    rows = [re.split(r" {2,}", line.strip()) for line in shown.splitlines()]
    assert ["new", "SAEHD df-ud 64 px whole_face", "4", "4.252 4.279"] in [row[:4] for row in rows]
    theirs = next(row for row in rows if row[0] == "my amp")
    assert theirs[1:3] == ["AMP 64 px", "4"]
    assert theirs[-1] == "DeepFaceLab's files"
    assert "done: 3 models" in shown
    assert run("info", "new", at=dfl) == 0
    assert run("info", "my amp", at=dfl) == 0  # as it lies there
    assert run("export", "new", "--out", tmp_path / "out", "--name", "back", at=dfl) == 0
    one = import_dfl(dfl / "model", "new", "SAEHD")
    two = import_dfl(tmp_path / "out", "back", "SAEHD", say=pytest.fail)
    three = open_model(dfl / "model" / "new").load(pytest.fail)
    for other in (two, three):
        for key, tensor in one.optimizer.items():
            assert tensor.equal(other.optimizer[key])
        assert one.history == other.history
        assert one.dfl_options == other.dfl_options


@pytest.mark.parametrize(("name", "kind"), [("new", "SAEHD"), ("my amp", "AMP")])
def test_a_dfm_says_who_made_it(dfl: Path, name: str, kind: str, told: Told) -> None:
    assert run("import", "--name", name, "--to", "own", at=dfl) == 0
    assert run("export", "own", "--format", "dfm", "--quantize", at=dfl) == 0
    path = dfl / "model" / f"own_{kind}_model.dfm"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["consent"] == "consent: not recorded"
    assert facts["iteration"] == "4"
    feeds = {"in_face:0": np.full((1, 64, 64, 3), 0.5, np.float32)}
    if kind == "AMP":
        feeds["morph_value:0"] = np.ones(1, np.float32)
    assert [out.shape[-1] for out in session.run(None, feeds)] == [1, 3, 1]
    again = ["model", "export", "own", "--format", "dfm", "--workspace", dfl]
    assert "free name" in told(*again)
    assert main([*(str(t) for t in again), "--replace"]) == 0


@pytest.mark.parametrize(
    ("asked", "dfm_gets_average", "dfl_gets_average"),
    [("auto", True, False), ("averaged", True, True), ("trained", False, False)],
)
def test_which_weights_are_handed_on(
    dfl: Path, asked: str, dfm_gets_average: bool, dfl_gets_average: bool
) -> None:
    assert run("import", "--name", "new", "--to", "own", at=dfl) == 0
    folder = open_model(dfl / "model" / "own")
    state = folder.load(pytest.fail)
    trained = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    averages = {f"average/{name}": 0.5 * p for name, p in trained.items()}
    state.optimizer = {**state.optimizer, **averages}
    folder.save(state)
    at = ["export", "own", "--weights", asked, "--out"]
    assert run(*at, dfl / "own.dfm", "--format", "dfm", at=dfl) == 0
    assert run(*at, dfl / "there", at=dfl) == 0
    again = import_dfl(dfl / "there", "own", "SAEHD")
    for name, parameter in again.model.named_parameters():
        factor = 0.5 if dfl_gets_average else 1.0
        assert parameter.equal(factor * trained[name])
    if dfm_gets_average:
        state.model.load_state_dict(state.averaged)
    assert compare(state.model, dfl / "own.dfm") < 1e-5


def test_a_model_is_copied_renamed_deleted_and_had_back(dfl: Path, told: Told) -> None:
    assert run("import", "--name", "new", at=dfl) == 0
    assert run("copy", "new", "try", at=dfl) == 0
    assert "free name" in told("model", "copy", "new", "try", "--workspace", dfl)
    assert run("rename", "try", "tried", at=dfl) == 0
    assert run("delete", "tried", at=dfl) == 0
    assert not (dfl / "model" / "tried").exists()
    assert run("import", dfl / "model_trash" / "tried", at=dfl) == 0
    assert open_model(dfl / "model" / "tried").load(pytest.fail).iteration == 4


@pytest.mark.parametrize("whole", [True, False])
def test_the_last_preview_comes_along(dfl: Path, whole: bool) -> None:
    preview = dfl / "model" / "new_SAEHD_history" / "SAEHD" / "_last.jpg"
    preview.parent.mkdir(parents=True)
    _, encoded = cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8))
    preview.write_bytes(encoded.tobytes() if whole else b"no picture")
    assert run("import", "--name", "new", at=dfl) == 0
    ours = dfl / "model" / "new" / "previews" / "latest.png"
    assert ours.exists() == whole
    assert bool(report(dfl, "import")["told"]) != whole
    assert not whole or cv2.imread(str(ours)).shape == (40, 60, 3)


def test_what_one_model_is(dfl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", "--name", "my amp", "--to", "own", at=dfl) == 0
    folder = open_model(dfl / "model" / "own")
    folder.backup()
    state = folder.load(pytest.fail)
    state.iteration += 1
    state.history.add(0.5, 0.25)
    state.history.measure(5, "src SSIM", 0.75)
    state.seconds = 5400.0
    folder.save(state)
    capsys.readouterr()
    assert run("info", "own", at=dfl) == 0
    rows = dict(
        re.split(r" {2,}", line.strip(), maxsplit=1)
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("  ") and not line.endswith(":")
    )
    assert (rows["iterations"], rows["training"]) == ("5", "1:30 hours")
    assert rows["likeness"] == "src SSIM 0.7500"
    assert rows["saves"] == "000002 at iteration 5; 000001 at iteration 4"
    assert rows["backups"] == "01 (000001 at iteration 4)"
    assert rows["inter_dims"] == str(state.config.inter_dims)
    assert not {"archi", "base_dims"} & set(rows), "what does not shape an AMP"
    backup = folder.backups_dir / "01"
    assert run("import", backup, "--to", "earlier", at=dfl) == 0
    assert open_model(dfl / "model" / "earlier").load(pytest.fail).iteration == 4


def test_pruning_lists_first(dfl: Path) -> None:
    assert run("import", "--name", "new", at=dfl) == 0
    folder = open_model(dfl / "model" / "new")
    folder.save(folder.load(pytest.fail))
    assert run("prune", "new", at=dfl) == 0
    assert folder.numbers() == [1, 2]
    assert "--delete" in str(report(dfl, "prune")["summary"])
    assert run("prune", "new", "--delete", at=dfl) == 0
    assert folder.numbers() == [2]


def test_which_model_is_asked_and_damage_is_told(
    dfl: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    line = told("model", "import", "--workspace", dfl)
    assert "new (SAEHD)" in line and "--name" in line
    line = told("model", "delete", "new", "--workspace", dfl)
    assert "files of DeepFaceLab, which are left to it" in line
    assert 'understudy model import --name "new" --to NAME' in line
    (dfl / "model" / "new_SAEHD_inter.npy").unlink()
    capsys.readouterr()
    assert run("import", "--name", "new", at=dfl) == 2
    each, last = capsys.readouterr().err.strip().splitlines()  # every tensor, then the error
    assert each == "model import: new_SAEHD_inter.npy: the whole file is missing"
    assert "nothing was taken over" in last
    assert not (dfl / "model" / "new").exists()
    assert not [p for p in (dfl / "model").iterdir() if ".partial" in p.name]
