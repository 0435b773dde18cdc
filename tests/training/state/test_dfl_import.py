"""Models of DFL: what its own files hold, what ours hold, and what is refused."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_goldens import arrays, faces
from strict_pickle import NUMPY_1, equal, read_pickle
from training.state.conftest import GOLDEN, Golden
from understudy.errors import FileError, OptionError, StateError
from understudy.job import Job
from understudy.models import build, config_from_dfl
from understudy.training.loop.trainer import train
from understudy.training.plan.options import TrainOptions
from understudy.training.state.dfl_files import find_models, read_arrays, read_data
from understudy.training.state.dfl_import import export_dfl, import_dfl
from understudy.training.state.history import History
from understudy.training.state.model_folder import create_model, open_model
from understudy.training.state.train_state import TrainState
from understudy.types import FaceType

SMALL = {"resolution": 64, "ae_dims": 16, "e_dims": 8, "d_dims": 8, "d_mask_dims": 4}


def assert_same(one: TrainState, other: TrainState) -> None:
    for mine, yours in [
        (one.model.state_dict(), other.model.state_dict()),
        (one.optimizer, other.optimizer),
        (one.adversaries, other.adversaries),
    ]:
        assert mine.keys() == yours.keys()
        assert all(torch.equal(mine[key], yours[key]) for key in mine)
    assert one.config == other.config
    assert one.options == other.options
    assert one.history == other.history
    assert one.dfl_options == other.dfl_options
    assert (one.iteration, one.optimizer_iteration) == (other.iteration, other.optimizer_iteration)


@pytest.mark.parametrize("kind", GOLDEN)
def test_merges_as_dfl_did(golden: Golden, shared: Path, kind: str) -> None:
    folder, name = golden(kind)
    io = np.load(shared / "golden" / "files" / f"{GOLDEN[kind][0]}_merge_io.npz")
    state = import_dfl(folder, name, kind, say=pytest.fail)
    morphs = ["0.0", "0.25", "0.5", "0.75", "1.0"] if kind == "AMP" else [""]
    for morph in morphs:
        at, how = (f"@{morph}", {"morph": float(morph)}) if morph else ("", {})
        with torch.no_grad():
            merged = state.model.merge(faces(io["in_u8"]), **how)
        # the README's tolerance for forwards of a float32 port
        for found, wanted in zip(
            merged, ("pred_src_dst", "pred_dst_dstm", "pred_src_dstm"), strict=True
        ):
            np.testing.assert_allclose(arrays(found), io[wanted + at], atol=1e-5)


@pytest.mark.parametrize("kind", GOLDEN)
def test_what_comes_back_is_what_dfl_wrote(golden: Golden, tmp_path: Path, kind: str) -> None:
    folder, name = golden(kind)
    state = import_dfl(folder, name, kind)
    paths = export_dfl(state, tmp_path / "out", name)
    assert_same(state, import_dfl(tmp_path / "out", name, kind, say=pytest.fail))
    for path in paths:
        if path.suffix == ".txt":
            continue
        ours, theirs = (
            read_pickle(path.read_bytes()),
            read_pickle((folder / path.name).read_bytes()),
        )
        assert ours.protocol == 4
        assert ours.names <= NUMPY_1
        if path.name.endswith("data.dat"):
            for key in ("iter", "options", "loss_history"):
                assert equal(ours.value[key], theirs.value[key]), key
            continue
        assert ours.value.keys() == theirs.value.keys()
        for key, array in theirs.value.items():
            assert ours.value[key].dtype == array.dtype
            np.testing.assert_array_equal(ours.value[key], array)


@pytest.mark.parametrize("kind", GOLDEN)
def test_summary_is_the_box_dfl_draws(golden: Golden, tmp_path: Path, kind: str) -> None:
    folder, name = golden(kind)
    export_dfl(import_dfl(folder, name, kind), tmp_path / "out", name)
    at = f"{name}_{kind}_summary.txt"
    ours, theirs = ((f / at).read_text().splitlines() for f in (tmp_path / "out", folder))
    up_to = next(i for i, line in enumerate(theirs) if "Running On" in line)
    assert ours[: up_to - 1] == theirs[: up_to - 1]


def test_says_what_the_model_is(golden: Golden) -> None:
    folder, name = golden("SAEHD")
    state = import_dfl(folder, name, "SAEHD")
    assert (state.config.archi, state.config.resolution) == ("df-ud", 64)
    assert state.config.face_type == "whole_face"
    assert (state.iteration, state.optimizer_iteration, len(state.history)) == (4, 3, 4)
    assert state.history.dst[3] == pytest.approx(4.199099540710449)
    assert (state.options.batch_size, state.options.backup_minutes) == (2, 60)
    assert [(m.name, m.kind) for m in find_models(folder)] == [("new", "SAEHD")]


@pytest.mark.parametrize("kind", GOLDEN)
def test_survives_our_own_folder(golden: Golden, tmp_path: Path, kind: str) -> None:
    folder, name = golden(kind)
    state = import_dfl(folder, name, kind)
    ours = create_model(tmp_path / "ours", state.config)
    (ours.path / "dfl_options.json").write_text(json.dumps(dict(state.dfl_options)))
    ours.save(state)
    assert_same(state, open_model(ours.path).load(pytest.fail))


def made(kind: str, **options: Any) -> TrainState:
    """A model with something in every place a state has."""
    config = config_from_dfl(
        kind, SMALL | ({"inter_dims": 12} if kind == "AMP" else {"archi": "df-ud"})
    )
    if kind == "Quick96":
        config = config.model_copy(update={"e_dims": 4, "d_dims": 4})
    model = build(config, seed=3)
    slots = ("acc",) if kind == "Quick96" else ("m", "v")
    generator = torch.Generator().manual_seed(1)
    optimizer = {
        f"{slot}/{name}": torch.randn(p.shape, generator=generator)
        for slot in slots
        for name, p in model.named_parameters()
    }
    history = History(start=6)
    for number in range(4):
        history.add(1.5 / (number + 1), 2.5)
    state = TrainState(
        config=config,
        model=model,
        options=TrainOptions(learning_rate=5e-5, **options),
        iteration=10,
        optimizer=optimizer,
        optimizer_iteration=9,
        history=history,
    )
    return state


@pytest.mark.parametrize("kind", ["SAEHD", "AMP"])
def test_a_model_of_ours_goes_there_and_back(tmp_path: Path, kind: str) -> None:
    state = made(kind, lr_dropout=True, batch_size=6, clipgrad=True, gan_dims=8)
    export_dfl(state, tmp_path, "a b")
    again = import_dfl(tmp_path, "a b", kind)
    assert again.dfl_options["lr_dropout"] == "y"
    assert again.dfl_options["gan_patch_size"] == 8
    expected = state.options.model_copy(update={"gan_patch_size": 8})
    state = replace(state, options=expected, dfl_options=again.dfl_options)
    assert_same(state, again)


def test_quick96_goes_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = made("Quick96")
    small = state.config
    monkeypatch.setattr("understudy.models.config.QUICK96", small)
    export_dfl(state, tmp_path, "q")
    again = import_dfl(tmp_path, "q", "Quick96", say=lambda _: None)
    assert not again.options.adabelief
    assert_same(replace(state, options=again.options), again)
    keys = read_arrays(tmp_path / "q_Quick96_src_dst_opt.npy").keys()
    assert "acc_encoder/down1/downs_0/conv1/weight_0:0" in keys


def test_discriminators_travel_with_their_optimizers(tmp_path: Path) -> None:
    from understudy.models.discriminators import CodeDiscriminator, PatchDiscriminator

    state = made("SAEHD", gan_power=0.1, gan_patch_size=8, gan_dims=4, true_face_power=0.5)
    judges = {
        "GAN": PatchDiscriminator(patch_size=8, width=4),
        "code_discriminator": CodeDiscriminator(num_in=16, side=4),
    }
    tensors = {}
    for file, module in judges.items():
        for name, parameter in module.named_parameters():
            tensors[f"{file}/model/{name}"] = parameter.detach()
            tensors[f"{file}/optimizer/m/{name}"] = torch.rand_like(parameter)
            tensors[f"{file}/optimizer/v/{name}"] = torch.rand_like(parameter)
        tensors[f"{file}/iteration"] = torch.tensor([7])
    state.adversaries = tensors
    export_dfl(state, tmp_path, "g")
    again = import_dfl(tmp_path, "g", "SAEHD", say=lambda _: None)
    assert again.adversaries.keys() == tensors.keys()
    assert all(torch.equal(again.adversaries[key], tensors[key]) for key in tensors)
    keys = set(read_arrays(tmp_path / "g_SAEHD_GAN_opt.npy"))
    assert {"iters:0", "ms_D_src/convs_0/weight_0:0", "vs_D_src/upconvs_0/bias_0:0"} <= keys


def test_discriminator_keys_are_those_of_the_files(shared: Path, tmp_path: Path) -> None:
    listed = json.loads((shared / "golden" / "models" / "weight_names.json").read_text())
    from understudy.models.dfl_weights import dump_network
    from understudy.models.discriminators import PatchDiscriminator

    entry = next(files for name, files in listed.items() if "GAN" in name)
    wanted = entry if "file_keys_and_shapes" in entry else next(iter(entry.values()))
    found = dump_network(PatchDiscriminator(patch_size=16, width=16))
    assert {k: list(v.shape) for k, v in found.items()} == dict(wanted["file_keys_and_shapes"])


def test_nothing_is_overwritten_and_names_dfl_cant_open_are_refused(tmp_path: Path) -> None:
    state = made("SAEHD")
    export_dfl(state, tmp_path / "out", "one")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    with pytest.raises(FileError, match="free name"):
        export_dfl(made("SAEHD", batch_size=3), tmp_path / "out", "one")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    export_dfl(state, tmp_path / "out", "two")  # beside the first
    assert {m.name for m in find_models(tmp_path / "out")} == {"one", "two"}
    for name in ("a_b", "", "a/b", "what?"):
        with pytest.raises(OptionError):
            export_dfl(state, tmp_path / "new", name)
    with pytest.raises(StateError, match="iteration"):
        export_dfl(replace(state, iteration=0), tmp_path / "new", "new")
    assert not (tmp_path / "new").exists()
    assert not [p for p in tmp_path.rglob("*") if ".partial" in p.name]


@pytest.mark.parametrize("kind", GOLDEN)
def test_training_goes_on_here_and_the_result_goes_back(
    golden: Golden, tmp_path: Path, make_faces: Callable[..., list[Any]], kind: str
) -> None:
    folder, name = golden(kind)
    state = import_dfl(folder, name, kind)
    ours = create_model(tmp_path / "ours", state.config)
    ours.save(state)
    own = {"device": "cpu", "threads": 1, "precision": "fp32", "held_out": 0.1}
    options = state.options.model_copy(update=own | {"target_iter": 6, "gan_power": 0.1})
    src, dst = (make_faces(3, face_type=FaceType.WHOLE, first=f) for f in (0, 50))
    result = train(ours, src, dst=dst, options=options, job=Job("train", workers=1))
    assert result.iteration == 6
    after = open_model(ours.path).load(pytest.fail)
    assert after.optimizer_iteration == state.optimizer_iteration + 2
    assert (len(after.history), after.history.src[:4]) == (6, state.history.src)
    export_dfl(after, tmp_path / "back", "b")
    again = import_dfl(tmp_path / "back", "b", kind, say=pytest.fail)
    assert again.adversaries.keys() == after.adversaries.keys() != set()
    for mine, yours in [
        (after.model.state_dict(), again.model.state_dict()),
        (again.optimizer, after.optimizer),  # the averages stay here
        (again.adversaries, after.adversaries),
    ]:
        for key, tensor in mine.items():
            assert torch.equal(tensor, yours[key]), key
    assert again.history == History(after.history.curves)
    first = next(iter(state.model.state_dict()))
    assert not torch.equal(again.model.state_dict()[first], state.model.state_dict()[first])


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.txt").write_text("mine")
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name.endswith("decoder_dst.npy"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(FileError, match="full disk"):
        export_dfl(made("SAEHD"), tmp_path / "out", "one")
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "other.txt"]


def test_files_of_a_mask_model_are_read_too(shared: Path) -> None:
    folder = shared / "golden" / "files" / "model_xseg_small"
    found = read_arrays(folder / "XSeg_256.npy")
    assert found["conv01/conv/weight:0"].shape == (3, 3, 3, 4)
    assert len(found) == 222
    data = read_data(folder / "XSeg_data.dat")
    assert data.iteration == len(data.losses)
    (model,) = find_models(folder)
    assert (model.name, model.kind) == ("XSeg", "XSeg")


@pytest.mark.parametrize("face_type", ["full_face_no_align", "mark_only"])
def test_a_face_type_dfl_does_not_know_is_refused(tmp_path: Path, face_type: str) -> None:
    state = made("SAEHD")
    config = state.config.model_copy(update={"face_type": FaceType(face_type)})
    with pytest.raises(OptionError, match=face_type):
        export_dfl(replace(state, config=config), tmp_path / "out", "one")
    assert not list(tmp_path.iterdir())
