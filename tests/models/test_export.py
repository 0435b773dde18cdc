"""Models as `.dfm`: what players rely on, and that they paint what the networks paint."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from understudy.errors import FormatError, OptionError
from understudy.models import build, config_from_dfl, export
from understudy.models.dfl_weights import load_network
from understudy.models.export import to_dfm
from understudy.models.face_model import FaceModel
from understudy.models.onnx_graph import merging_graph
from understudy.safe_pickle import loads

SMALL = {"resolution": 64, "ae_dims": 16, "e_dims": 8, "d_dims": 8, "d_mask_dims": 4}
OUTPUTS = ["out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0"]


@dataclass
class State:
    model: FaceModel


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def small(archi: str) -> State:
    kind = "AMP" if archi == "AMP" else "SAEHD"
    options: dict[str, Any] = SMALL | (
        {"inter_dims": 24} if kind == "AMP" else {"archi": archi, "face_type": "wf"}
    )
    model = build(config_from_dfl(kind, options), seed=5)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():  # biases too: fresh ones are zero and would hide a flipped one
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return State(model)


ARCHIS = ["df", "df-ud", "df-t", "df-dtc", "liae", "liae-udt", "AMP"]


@pytest.mark.parametrize("archi", ARCHIS)
@pytest.mark.parametrize("quantize", [False, True])
def test_paints_what_the_networks_paint(tmp_path: Path, archi: str, quantize: bool) -> None:
    path = tmp_path / "a.dfm"
    # the tolerances players' users are promised
    assert to_dfm(small(archi), path, quantize=quantize) <= (2e-3 if quantize else 1e-5)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    kinds = {weight.data_type for weight in proto.graph.initializer}
    assert (onnx.TensorProto.FLOAT16 in kinds) == quantize


@pytest.mark.parametrize("archi", ["liae-ud", "AMP"])
def test_is_described_as_players_expect(tmp_path: Path, archi: str) -> None:
    to_dfm(small(archi), tmp_path / "a.dfm", facts={"made_for": "a test"})
    proto = onnx.load(tmp_path / "a.dfm")
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 12)]
    assert proto.ir_version == 7
    session = onnxruntime.InferenceSession(tmp_path / "a.dfm", providers=["CPUExecutionProvider"])
    inputs = [(i.name, i.type, i.shape) for i in session.get_inputs()]
    outputs = [(o.name, o.type, o.shape) for o in session.get_outputs()]
    assert inputs[0] == ("in_face:0", "tensor(float)", ["n", 64, 64, 3])
    morph = [("morph_value:0", "tensor(float)", [1])]
    assert inputs[1:] == (morph if archi == "AMP" else [])
    sizes = (1, 3, 1)
    assert outputs == [
        (name, "tensor(float)", ["n", 64, 64, c]) for name, c in zip(OUTPUTS, sizes, strict=True)
    ]
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["made_for"] == "a test"
    assert facts["resolution"] == "64"


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        to_dfm(small("df-ud"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("file", "folder", "name", "kind"),
    [
        ("saehd", "model_saehd", "new", "SAEHD"),
        ("saehd_fp16", "model_saehd", "new", "SAEHD"),
        ("amp", "model_amp", "my amp", "AMP"),
    ],
)
def test_gives_what_dfls_own_export_gives(
    shared: Path, tmp_path: Path, file: str, folder: str, name: str, kind: str
) -> None:
    golden = shared / "golden" / "files"
    half = file.endswith("fp16")
    to_dfm(dfl_model(golden / folder, name, kind), tmp_path / "ours.dfm", quantize=half)
    theirs = np.load(golden / "dfm" / f"{file}.dfm.io.npz")
    ours, dfls = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for path in (tmp_path / "ours.dfm", golden / "dfm" / f"{file}.dfm")
    )
    face = theirs["in_u8"].astype(np.float32) / 255
    for morph in [0.0, 0.25, 0.5, 0.75, 1.0] if kind == "AMP" else [None]:
        at = "" if morph is None else f"@{morph}"
        feeds = {"in_face:0": face}
        if morph is not None:
            feeds["morph_value:0"] = np.array([morph], np.float32)
        for name, found, now in zip(
            OUTPUTS, ours.run(None, feeds), dfls.run(None, feeds), strict=True
        ):
            # float16 rounds in other places than DFL's converter put its casts
            tolerance = 2e-3 if half else 1e-5
            np.testing.assert_allclose(found, theirs[name[:-2] + at], atol=tolerance)
            np.testing.assert_allclose(found, now, atol=tolerance)


def dfl_model(folder: Path, name: str, kind: str) -> State:
    data = folder / f"{name}_{kind}_data.dat"
    options = loads(data.read_bytes(), source=data)["options"]
    model = build(config_from_dfl(kind, options))
    for net, module in model.networks().items():
        path = folder / f"{name}_{kind}_{net}.npy"
        load_network(module, loads(path.read_bytes(), source=path))
    return State(model)


def test_morph_chooses_channels_as_the_network_does(tmp_path: Path) -> None:
    state = small("AMP")
    to_dfm(state, tmp_path / "a.dfm")
    session = onnxruntime.InferenceSession(tmp_path / "a.dfm", providers=["CPUExecutionProvider"])
    face = np.random.default_rng(1).random((1, 64, 64, 3), np.float32)
    rgb = torch.from_numpy(np.ascontiguousarray(face[..., ::-1].transpose(0, 3, 1, 2)))
    for morph in (0.0, 0.04, 0.25, 0.5, 0.98, 1.0):
        feeds = {"in_face:0": face, "morph_value:0": np.array([morph], np.float32)}
        found = session.run(["out_celeb_face:0"], feeds)[0]
        with torch.no_grad():
            wanted = state.model.merge(rgb, morph=morph).src_dst.flip(1).permute(0, 2, 3, 1)
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_one_that_paints_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = merging_graph(small("df").model)
    wrong = small("df")
    with torch.no_grad():
        wrong.model.get_parameter("decoder_src.out_conv.bias").add_(0.5)
    monkeypatch.setattr(export, "merging_graph", lambda *_, **__: other)
    with pytest.raises(FormatError, match="difference"):
        to_dfm(wrong, tmp_path / "a.dfm")
    assert not list(tmp_path.iterdir())


def test_one_too_large_for_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BYTES_MAX", 1000)
    with pytest.raises(OptionError, match="quantized"):
        to_dfm(small("df"), tmp_path / "a.dfm")


def test_onnx_is_loaded_only_when_used() -> None:
    for module in ("export", "onnx_graph"):
        tree = ast.parse(Path(export.__file__).with_name(f"{module}.py").read_text())
        names = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        assert not [name for name in names if "onnx " in f"{name} " and "understudy" not in name]
