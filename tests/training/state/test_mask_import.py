"""Mask models to and from DFL's files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import arrays, faces
from understudy import safe_pickle
from understudy.errors import OptionError, StateError
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.mask_net import as_mask_model
from understudy.training.plan.options import TrainOptions
from understudy.training.state.dfl_files import find_models, read_arrays
from understudy.training.state.dfl_import import export_dfl, import_dfl
from understudy.training.state.history import History
from understudy.training.state.train_state import TrainState


@pytest.fixture(scope="module")
def small_dir(shared: Path) -> Path:
    return shared / "golden" / "files" / "model_xseg_small"


def as_dict(path: Path) -> dict[str, object]:
    value = safe_pickle.loads(path.read_bytes(), source=path)
    assert isinstance(value, dict)
    return value


# The golden's logits lie 1.9e-4 from those of the same net in float64, ours 3e-5.
def test_a_model_of_dfl_paints_what_it_painted_there(small_dir: Path) -> None:
    state = import_dfl(small_dir, "XSeg", "XSeg")
    golden = np.load(small_dir.with_name("model_xseg_small_io.npz"))
    with torch.no_grad():
        painted = as_mask_model(state.model)(faces(golden["in_u8"]))
    np.testing.assert_allclose(arrays(painted.logits), golden["logits"], atol=3e-4)
    np.testing.assert_allclose(arrays(painted.mask), golden["sigmoid"], atol=7e-5)
    assert (state.config.base_dims, state.config.face_type.value) == (4, "whole_face")
    assert (state.iteration, list(state.history.curves["mask"])) == (1, [0.69])
    assert (state.options.batch_size, state.options.adabelief) == (4, False)


def test_exported_and_imported_again_every_bit_is_there(small_dir: Path, tmp_path: Path) -> None:
    paths = export_dfl(import_dfl(small_dir, "any", "XSeg"), tmp_path / "out", "any name")
    names = sorted(path.name for path in paths)
    assert names == ["XSeg_256.npy", "XSeg_256_opt.npy", "XSeg_data.dat", "XSeg_summary.txt"]
    for name in ("XSeg_256.npy", "XSeg_256_opt.npy"):
        wanted, found = read_arrays(small_dir / name), read_arrays(tmp_path / "out" / name)
        assert list(wanted) == list(found)
        for key, array in wanted.items():
            assert array.dtype == found[key].dtype
            np.testing.assert_array_equal(array, found[key])
    assert as_dict(small_dir / "XSeg_data.dat") == as_dict(tmp_path / "out" / "XSeg_data.dat")


def test_the_weights_alone_are_a_model(small_dir: Path, tmp_path: Path) -> None:
    shutil.copy(small_dir / "XSeg_256.npy", tmp_path)
    told: list[str] = []
    (found,) = find_models(tmp_path)
    state = import_dfl(tmp_path, found.name, found.kind, say=told.append)
    assert (state.iteration, len(state.history)) == (0, 0)
    assert "taken for a model of whole faces" in told[0]


def test_tensors_of_another_net_are_refused(small_dir: Path, tmp_path: Path) -> None:
    values = as_dict(small_dir / "XSeg_256.npy")
    values.pop("dense1/weight:0")
    (tmp_path / "XSeg_256.npy").write_bytes(b"".join(safe_pickle.dump_dict(values.items())))
    with pytest.raises(StateError, match="dense1/weight:0"):
        import_dfl(tmp_path, "XSeg", "XSeg")


def test_only_a_net_of_dfl_s_side_goes_there(tmp_path: Path) -> None:
    config = ModelConfig(kind="XSeg", resolution=64, base_dims=2)
    history = History.of(("mask",))
    history.add(0.5)
    state = TrainState(config, build(config), TrainOptions(), iteration=1, history=history)
    with pytest.raises(OptionError, match="256 pixels"):
        export_dfl(state, tmp_path, "new")
