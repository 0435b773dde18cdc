import json
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.errors import OptionError, StateError
from understudy.models import build, config_from_dfl
from understudy.models.dfl_weights import dump_network, from_dfl, load_network, to_dfl
from understudy.models.face_model import FaceModel

SMALL = {"resolution": 64, "ae_dims": 16, "e_dims": 8, "d_dims": 8, "d_mask_dims": 4}


def small(archi: str, *, seed: int = 0) -> FaceModel:
    return build(config_from_dfl("SAEHD", SMALL | {"archi": archi}), seed=seed)


@pytest.mark.parametrize("archi", ["df", "df-ud", "df-dt", "liae-ud", "liae-t"])
def test_names_and_shapes_are_those_of_the_files(shared: Path, archi: str) -> None:
    listed = json.loads((shared / "golden" / "models" / "weight_names.json").read_text())
    letters = archi.replace("-u", "-").rstrip("-")
    files = listed[f"SAEHD {letters} res128 e64 ae256 d64 dm22"]
    config = config_from_dfl("SAEHD", {"archi": archi, "ae_dims": 256, "resolution": 128})
    with torch.device("meta"):
        from understudy.models.saehd import saehd

        networks = saehd(config).networks()
    for net, module in networks.items():
        entry = files[f"{net}.npy"]
        if "same_as" in entry:
            entry = files[entry["same_as"]]
        wanted = {name: tuple(shape) for name, shape in entry["file_keys_and_shapes"]}
        found = {}
        for name, parameter in module.named_parameters():
            order = (2, 3, 1, 0) if parameter.dim() == 4 else range(parameter.dim() - 1, -1, -1)
            found[name.replace(".", "/") + ":0"] = tuple(parameter.shape[i] for i in order)
        assert found == wanted


@pytest.mark.parametrize("archi", ["df-ud", "liae-udt"])
def test_dump_of_load_is_the_same(archi: str) -> None:
    for name, module in small(archi, seed=1).networks().items():
        arrays = dump_network(module)
        other = small(archi, seed=2).networks()[name]
        load_network(other, arrays)
        again = dump_network(other)
        assert arrays.keys() == again.keys()
        for key, array in arrays.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, again[key])


def test_colors_change_sides() -> None:
    networks = small("df-ud").networks()
    first = dump_network(networks["encoder"])["down1/downs_0/conv1/weight:0"]
    parameter = networks["encoder"].get_parameter("down1.downs_0.conv1.weight")
    np.testing.assert_array_equal(first[1, 2, 0], parameter[:, 2, 1, 2].detach())
    head = networks["decoder_src"].get_parameter("out_conv1.weight")
    dumped = dump_network(networks["decoder_src"])["out_conv1/weight:0"]
    np.testing.assert_array_equal(dumped[1, 2, :, 0], head[2, :, 1, 2].detach())


def test_optimizer_slots_travel_the_same_way() -> None:
    module = small("df-ud").networks()["encoder"]
    slots = {name: torch.randn_like(p) for name, p in module.named_parameters()}
    arrays = to_dfl(module, slots, key="ms_encoder/{}_0:0")
    assert "ms_encoder/down1/downs_0/conv1/weight_0:0" in arrays
    for name, tensor in from_dfl(module, arrays, key="ms_encoder/{}_0:0").items():
        assert torch.equal(tensor, slots[name])


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(damage: str) -> None:
    module = small("df-ud", seed=1).networks()["inter"]
    before = dump_network(module)
    arrays = dump_network(small("df-ud", seed=2).networks()["inter"])
    if damage == "missing":
        del arrays["dense2/bias:0"]
    else:
        arrays["dense2/bias:0"] = np.zeros(3, np.float32)
    with pytest.raises(StateError, match="dense2/bias"):
        load_network(module, arrays)
    for key, array in dump_network(module).items():
        np.testing.assert_array_equal(array, before[key])


def test_config_takes_numpy_scalars_and_ignores_what_fixes_no_weights() -> None:
    options = {"resolution": np.int64(192), "d_dims": np.int64(48), "archi": "liae-ud"}
    config = config_from_dfl("SAEHD", options | {"gan_power": np.float64(0.1), "face_type": "wf"})
    assert (config.resolution, config.d_dims, config.d_mask_dims) == (192, 48, 16)
    assert config.face_type == "whole_face"


@pytest.mark.parametrize(
    ("kind", "options"), [("SAEHD", {"archi": "df-"}), ("SAEHD", {"ae_dims": 9000}), ("H64", {})]
)
def test_a_config_out_of_range_is_refused(kind: str, options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        config_from_dfl(kind, options)


@pytest.mark.parametrize(("resolution", "told"), [(640, False), (768, True)])
def test_a_large_face_is_allowed_with_a_notice(resolution: int, told: bool) -> None:
    config = config_from_dfl("SAEHD", {"archi": "df-ud", "resolution": resolution})
    assert (config.notice is not None) is told
