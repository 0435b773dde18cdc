import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import arrays, faces, open_golden, weight
from understudy.models.dfl_weights import dump_network, load_network
from understudy.models.discriminators import (
    CodeDiscriminator,
    PatchDiscriminator,
    _receptive_field,
    patch_strides,
)

PATCHES = ["gan_p8_b8_r64", "gan_p16_b16_r64", "gan_p3_b4_r64", "gan_p28_b8_r96"]
CODES = ["code_c24_r8", "code_c16_r16", "code_c12_r24"]


def rule_weights(golden: np.lib.npyio.NpzFile, case: str, prefix: str) -> dict[str, np.ndarray]:
    listed = json.loads(str(golden[f"{case}:weights"]))
    return {name.removeprefix(prefix): weight(name, shape) for name, shape in listed}


def test_layers_of_every_patch_size_equal_the_table(shared: Path) -> None:
    table = json.loads((shared / "golden/models/gan_patch_layers.json").read_text())
    assert len(table) > 600
    for size, (field, layers) in table.items():
        strides = patch_strides(int(size))
        assert (_receptive_field(strides), [[3, stride] for stride in strides]) == (field, layers)


@pytest.mark.parametrize("case", PATCHES)
def test_patch_discriminator_equals_golden(shared: Path, case: str) -> None:
    golden = open_golden(shared, "discriminators")
    patch, width = (int(part[1:]) for part in case.split("_")[1:3])
    network = PatchDiscriminator(patch_size=patch, width=width)
    wanted = rule_weights(golden, case, "D_src/")
    load_network(network, wanted)
    assert set(dump_network(network)) == set(wanted)
    with torch.no_grad():
        center, full = network(faces(golden[f"{case}:in_u8"]))
    # logits of a few units through up to ten layers: the README's tolerance for forwards
    np.testing.assert_allclose(arrays(center), golden[f"{case}:center_out"], atol=1e-5)
    np.testing.assert_allclose(arrays(full), golden[f"{case}:out"], atol=1e-5)


@pytest.mark.parametrize("case", CODES)
def test_code_discriminator_equals_golden(shared: Path, case: str) -> None:
    golden = open_golden(shared, "discriminators")
    channels, side = (int(part[1:]) for part in case.split("_")[1:3])
    network = CodeDiscriminator(num_in=channels, side=side)
    load_network(network, rule_weights(golden, case, "dis/"))
    code = torch.from_numpy(golden[f"{case}:in"]).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        (logits,) = network(code)
    np.testing.assert_allclose(arrays(logits), golden[f"{case}:out"], atol=1e-5)
