"""Devices: what there is, what is refused, what each is taken to have."""

import pytest
import torch

from understudy.errors import OptionError
from understudy.models import devices


def test_the_processor_is_always_there_and_auto_takes_the_first_accelerator() -> None:
    found = devices.available_devices()
    assert found[0] == "cpu"
    assert devices.choose_device("cpu") == torch.device("cpu")
    assert str(devices.choose_device("auto")) == found[min(1, len(found) - 1)]


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "meta"])
def test_a_device_that_is_not_there_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(OptionError, match="cpu") as raised:
        devices.choose_device(name)
    assert repr(name) in raised.value.found


def test_every_device_says_how_much_memory_is_free_and_what_it_computes_in() -> None:
    for name in devices.available_devices():
        device = torch.device(name)
        free = devices.free_memory(device)
        assert free is None or free > 0
        assert isinstance(devices.has_fast_bfloat16(device), bool)
        assert devices.is_pinnable(device) == (device.type in ("cuda", "xpu"))
    assert devices.has_float64(torch.device("cpu"))
    assert not devices.has_float64(torch.device("mps"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_pinned_memory_reaches_the_card_whole() -> None:
    pages = torch.arange(1 << 16, dtype=torch.uint8).pin_memory()
    assert torch.equal(pages.to("cuda", non_blocking=True).cpu(), pages)
