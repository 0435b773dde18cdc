from pathlib import Path

import pytest
import torch

from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.export import compare_mask, mask_to_onnx
from understudy.models.mask_net import as_mask_model


@pytest.mark.parametrize(("side", "width"), [(64, 2), (128, 3)])
def test_the_file_paints_what_the_net_paints(tmp_path: Path, side: int, width: int) -> None:
    import onnx

    torch.set_num_threads(1)
    model = as_mask_model(build(ModelConfig(kind="XSeg", resolution=side, base_dims=width), seed=5))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "tau")):
                parameter.uniform_(-0.2, 0.2, generator=torch.Generator().manual_seed(1))
    path = tmp_path / "XSeg_model.onnx"
    assert mask_to_onnx(model, path, facts={"name": "test"}) < 5e-4
    proto = onnx.load(path)
    (given,), (made,) = proto.graph.input, proto.graph.output
    assert (given.name, made.name) == ("in_face:0", "out_mask:0")
    shape = [d.dim_value or d.dim_param for d in made.type.tensor_type.shape.dim]
    assert shape == ["n", side, side, 1]
    assert proto.opset_import[0].version == 13
    with torch.no_grad():
        model.XSeg.out_conv.bias.add_(3.0)
    assert compare_mask(model, path) > 0.01, "another net paints something else"
