import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import arrays, faces, load_rule_weights, open_golden, weights_of
from understudy.models import build, config_from_dfl
from understudy.models.amp import AmpModel, draw_channels
from understudy.models.config import ModelConfig

CASES = ["amp_default", "amp_gan_clip_blur"]
MORPHS = ["0.0", "0.25", "0.5", "0.65", "1.0"]
SMALL = ModelConfig(
    kind="AMP", resolution=64, ae_dims=8, inter_dims=10, e_dims=4, d_dims=4, d_mask_dims=2
)


@pytest.mark.parametrize("case", CASES)
def test_forward_equals_golden(shared: Path, case: str) -> None:
    golden = open_golden(shared, case)
    batches = open_golden(shared, str(golden["batch_ref"]).removesuffix(".npz"))
    model = build(config_from_dfl("AMP", json.loads(str(golden["options"]))))
    assert isinstance(model, AmpModel)
    load_rule_weights(model, weights_of(golden))
    src, dst = (faces(batches[f"target_{side}"][0]) for side in ("src", "dst"))
    # the README's tolerance for a float32 port
    with torch.no_grad():
        np.testing.assert_allclose(model.encoder(dst), golden["fwd_enc_dst"], atol=1e-5)
        for morph in MORPHS:
            view = model.view(src, dst, morph=float(morph))
            merged = model.merge(dst, morph=float(morph))
            assert_near(view.src_dst, golden[f"fwd_pred_src_dst@{morph}"])
            assert_near(merged.src_dst, golden[f"fwd_pred_src_dst@{morph}"])
            assert_near(view.src_dst_mask, golden[f"fwd_pred_src_dstm@{morph}"])
            assert_near(merged.src_dst_mask, golden[f"fwd_pred_src_dstm@{morph}"])
            assert_near(merged.dst_mask, golden["fwd_pred_dst_dstm@0.0"])
        assert_near(view.src_src, golden["fwd_pred_src_src@0.0"])
        assert_near(view.dst_dst, golden["fwd_pred_dst_dst@0.0"])
        assert_near(view.dst_dst_mask, golden["fwd_pred_dst_dstm@0.0"])


def assert_near(found: torch.Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(arrays(found), wanted, atol=1e-5)


def test_both_ways_to_reconstruct_agree_and_the_channels_matter() -> None:
    model = build(SMALL, seed=1)
    assert isinstance(model, AmpModel)
    src, dst = torch.rand(3, 3, 64, 64), torch.rand(3, 3, 64, 64)
    channels = draw_channels(3, num_in=10, share=0.5, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        both = model.reconstruct(src, dst, channels=channels)
        alone = model.reconstruct_side(src, is_src=True, channels=channels)
        first = model.reconstruct_side(src, is_src=True)
        dst_alone = model.reconstruct_side(dst, is_src=False)
    torch.testing.assert_close(both.src, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both.dst, dst_alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(alone.code, first.code)


def test_drawn_channels_have_the_share_and_differ() -> None:
    drawn, again = (
        draw_channels(50, num_in=64, share=0.33, generator=torch.Generator().manual_seed(0))
        for _ in range(2)
    )
    assert (drawn.sum(dim=1) == 21).all()  # int(64 * 0.33)
    assert (drawn.float().mean(dim=0) > 0.05).all()
    assert torch.equal(drawn, again)


def test_inters_rest_under_parity_only() -> None:
    model = AmpModel(SMALL)
    assert model.frozen(random_warp=True) == frozenset()
    assert model.frozen(random_warp=True, parity=True) == {"inter_src", "inter_dst"}
