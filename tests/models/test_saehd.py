import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from model_goldens import arrays, faces, golden_model, open_golden

ARCHIS = "df_64 df-u_64 df-d_64 df-t_64 df-c_64 df-ud_96 df-udt_96 df-udtc_64".split()
ARCHIS += "liae_64 liae-ud_96 liae-udt_64 liae-udtc_64".split()


@pytest.mark.parametrize("name", ARCHIS)
def test_forward_equals_golden(shared: Path, name: str) -> None:
    golden = open_golden(shared, f"fwd_{name}")
    model = golden_model(golden, "SAEHD", json.loads(str(golden["cfg"])))
    src, dst = faces(golden["in_src_u8"]), faces(golden["in_dst_u8"])
    with torch.no_grad():
        view, merged, both = model.view(src, dst), model.merge(dst), model.reconstruct(src, dst)
        flat = model.networks()["encoder"](dst)
    found = {
        "pred_src_src": [view.src_src, both.src.face],
        "pred_src_srcm": [both.src.mask],
        "pred_dst_dst": [view.dst_dst, both.dst.face],
        "pred_dst_dstm": [view.dst_dst_mask, merged.dst_mask, both.dst.mask],
        "pred_src_dst": [view.src_dst, merged.src_dst],
        "pred_src_dstm": [view.src_dst_mask, merged.src_dst_mask],
    }
    # The README's tolerance for a float32 port: other summation orders, nothing else.
    np.testing.assert_allclose(flat.numpy(), golden["enc_dst"], atol=1e-5, rtol=1e-5)
    for key, tensors in found.items():
        for tensor in tensors:
            np.testing.assert_allclose(arrays(tensor), golden[key], atol=1e-5, err_msg=key)


def test_a_wrong_shape_is_refused(shared: Path) -> None:
    golden = open_golden(shared, "fwd_df-ud_96")
    model = golden_model(golden, "SAEHD", json.loads(str(golden["cfg"])))
    with pytest.raises(TypeCheckError):
        model.merge(torch.rand(1, 1, 96, 96))
    with pytest.raises(TypeCheckError):
        model.merge(torch.rand(1, 3, 96, 64))
