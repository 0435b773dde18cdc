import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import arrays, faces, golden_model, open_golden
from understudy.errors import OptionError
from understudy.models import build, config_from_dfl
from understudy.models.config import ModelConfig
from understudy.models.dfl_weights import dump_network, load_network
from understudy.models.face_model import as_face_model
from understudy.models.mask_net import NETWORK, MaskModel, XSegNet, _norm_threshold, as_mask_model
from understudy.options import parse


def small(*, side: int = 64, width: int = 4, seed: int = 0) -> MaskModel:
    config = ModelConfig(kind="XSeg", resolution=side, base_dims=width)
    return as_mask_model(build(config, seed=seed))


# Forty layers of norms: the golden itself lies 1.3e-5 from the same net in float64.
@pytest.mark.parametrize("name", ["xseg_train", "xseg_pretrain"])
def test_forward_is_the_golden_one(shared: Path, name: str) -> None:
    golden = open_golden(shared, name)
    model = as_mask_model(golden_model(golden, "XSeg", {}))
    with torch.no_grad():
        painted = model(faces(golden["in_img_u8"][0]), skips=not bool(golden["pretrain"]))
    np.testing.assert_allclose(arrays(painted.mask), golden["fwd_sigmoid"], atol=2e-5)


def test_names_are_those_of_the_weight_file(shared: Path) -> None:
    golden = open_golden(shared, "xseg_train")
    wanted = {n.removeprefix("XSeg/"): tuple(s) for n, s in json.loads(str(golden["weights"]))}
    with torch.device("meta"):
        net = XSegNet(side=256, width=32)
    assert {n.replace(".", "/") + ":0" for n, _ in net.named_parameters()} == wanted.keys()
    assert sum(p.numel() for p in net.parameters()) == 17_569_317


@pytest.mark.parametrize(("side", "width"), [(64, 4), (128, 2), (192, 3)])
def test_smaller_nets_paint_a_mask_of_the_picture_s_size(side: int, width: int) -> None:
    model = small(side=side, width=width)
    with torch.no_grad():
        painted = model(torch.rand(2, 3, side, side))
        mask = model.paint(torch.rand(2, 3, side, side))
    assert painted.mask.shape == painted.logits.shape == (2, 1, side, side)
    assert not ((mask > 0) & (mask < 0.1)).any()


def test_layouts_in_memory_agree() -> None:
    model, x = small(seed=3), torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        one = model(x).logits
        model.to(memory_format=torch.channels_last)
        other = model(x.contiguous(memory_format=torch.channels_last)).logits
    np.testing.assert_allclose(one, other, atol=5e-4)  # sums in another order, forty layers deep


def test_norm_and_threshold_give_the_true_gradients() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        value = torch.randn(*shape, dtype=torch.float64, generator=generator)
        return value.requires_grad_()

    eps = torch.full((1,), 0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        _norm_threshold, (draw(2, 3, 5, 4), draw(3), draw(3), eps, draw(3))
    )


def test_without_skips_only_the_bottleneck_counts() -> None:
    model = small()
    with torch.no_grad():
        for parameter in model.XSeg.dense2.parameters():
            parameter.zero_()
        one, other = (model(x, skips=False).logits for x in torch.rand(2, 1, 3, 64, 64))
        assert torch.equal(one, other)
        one, other = (model(x).logits for x in torch.rand(2, 1, 3, 64, 64))
        assert not torch.equal(one, other)


def test_a_new_net_begins_as_the_predecessor_s() -> None:
    net = small().XSeg
    for name, parameter in net.named_parameters():
        last = name.rpartition(".")[2]
        if name.endswith("frn.weight"):
            assert (parameter == 1).all()
        elif last == "eps":
            assert parameter.item() == pytest.approx(1e-6)
        elif parameter.dim() == 1:
            assert (parameter == 0).all(), name
        else:
            assert parameter.std() > 0


def test_dump_of_load_is_the_same() -> None:
    one, other = small(seed=1).XSeg, small(seed=2).XSeg
    wanted = dump_network(one)
    load_network(other, wanted)
    found = dump_network(other)
    assert wanted.keys() == found.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(array, found[key])


def test_config_from_dfl() -> None:
    config = config_from_dfl("XSeg", {"face_type": "head", "batch_size": np.int64(4)})
    assert (config.resolution, config.base_dims, config.face_type.value) == (256, 32, "head")
    assert list(small().networks()) == [NETWORK]


def test_sides_that_do_not_halve_six_times_are_refused() -> None:
    with pytest.raises(OptionError, match="multiple of 64"):
        parse(ModelConfig, {"kind": "XSeg", "resolution": 96})


def test_face_models_and_mask_models_are_told_apart() -> None:
    with pytest.raises(OptionError, match="paints masks"):
        as_face_model(small())
    tiny = {"ae_dims": 8, "e_dims": 2, "d_dims": 2, "d_mask_dims": 2, "resolution": 64}
    with pytest.raises(OptionError, match="swaps faces"):
        as_mask_model(build(config_from_dfl("SAEHD", tiny)))
