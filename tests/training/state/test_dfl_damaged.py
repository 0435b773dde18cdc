"""Files of DFL models that are damaged, left over or of something else: each is told by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.state.conftest import Golden
from understudy import safe_pickle
from understudy.errors import FileError, FormatError, OptionError, StateError, UnsafeFileError
from understudy.training.state.dfl_files import read_arrays, read_data
from understudy.training.state.dfl_import import import_dfl


def damage(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = read_arrays(path)
    change(values)
    path.write_bytes(safe_pickle.dumps(values))


def test_a_mismatch_is_told_tensor_by_tensor(golden: Golden) -> None:
    folder, name = golden("SAEHD")

    def change(values: dict[str, Any]) -> None:
        values["dense1/bias:0"] = np.zeros(3, np.float32)
        del values["dense2/weight:0"]
        values["upscale1/conv1/bias:0"][0] = np.nan

    damage(folder / "new_SAEHD_inter.npy", change)
    (folder / "new_SAEHD_decoder_dst.npy").unlink()
    told: list[str] = []
    with pytest.raises(StateError, match=r"dense1/bias:0.*dense2/weight:0.*upscale1.*decoder_dst"):
        import_dfl(folder, name, "SAEHD", say=told.append)
    assert len(told) == 4


def test_an_optimizer_that_does_not_fit_is_refused_and_a_missing_one_told(golden: Golden) -> None:
    folder, name = golden("SAEHD")
    path = folder / "new_SAEHD_src_dst_opt.npy"
    damage(path, lambda values: values.pop("vs_inter/dense1/weight_0:0"))
    with pytest.raises(StateError, match="vs_inter/dense1/weight_0:0"):
        import_dfl(folder, name, "SAEHD")
    path.unlink()
    told: list[str] = []
    state = import_dfl(folder, name, "SAEHD", say=told.append)
    assert not state.optimizer
    assert "begins anew" in told[0]


def test_what_is_no_part_of_the_model_is_told(golden: Golden) -> None:
    folder, name = golden("SAEHD")
    extra = {"more/weight:0": np.ones(2, np.float32)}
    damage(folder / "new_SAEHD_encoder.npy", lambda values: values.update(extra))
    told: list[str] = []
    import_dfl(folder, name, "SAEHD", say=told.append)
    assert len(told) == 1
    assert "more/weight:0" in told[0]


def test_left_over_discriminators_of_other_settings_are_told_but_one_in_use_is_refused(
    golden: Golden,
) -> None:
    folder, name = golden("SAEHD")
    path = folder / "new_SAEHD_GAN.npy"
    path.write_bytes(safe_pickle.dumps({"in_conv/weight:0": np.ones(2, np.float32)}))
    told: list[str] = []
    state = import_dfl(folder, name, "SAEHD", say=told.append)
    assert not state.adversaries
    assert "left out" in told[-1]
    data = folder / "new_SAEHD_data.dat"
    values = safe_pickle.loads(data.read_bytes(), source=data)
    values["options"]["gan_power"] = 0.1
    data.write_bytes(safe_pickle.dumps(values))
    with pytest.raises(StateError, match=r"GAN\.npy: convs_0"):
        import_dfl(folder, name, "SAEHD")


def test_options_that_ask_for_a_giant_take_no_memory(golden: Golden) -> None:
    resource = pytest.importorskip("resource")
    folder, name = golden("SAEHD")
    data = folder / "new_SAEHD_data.dat"
    values = safe_pickle.loads(data.read_bytes(), source=data)
    values["options"] |= {"resolution": 640, "ae_dims": 1024, "e_dims": 256, "d_dims": 256}
    data.write_bytes(safe_pickle.dumps(values))
    told: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StateError, match="downs_0"):
        import_dfl(folder, name, "SAEHD", say=told.append)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10  # kilobytes; its first dense layer alone would take 13 GB
    assert any("dense1/weight:0" in line for line in told)


def test_code_in_a_file_is_not_run(golden: Golden) -> None:
    folder, name = golden("SAEHD")
    attack = b"\x80\x04cos\nsystem\n\x8c\x04true\x85R."
    (folder / "new_SAEHD_inter.npy").write_bytes(attack)
    with pytest.raises(UnsafeFileError):
        import_dfl(folder, name, "SAEHD")


@pytest.mark.parametrize(("kind", "name"), [("XSeg", "new"), ("SAEHD", "old"), ("AMP", "new")])
def test_what_is_not_there_is_named(golden: Golden, kind: str, name: str) -> None:
    folder, _ = golden("SAEHD")
    with pytest.raises((OptionError, FileError)):
        import_dfl(folder, name, kind)


def test_data_of_another_sort_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x_SAEHD_data.dat"
    for value in (
        [1],
        {"options": {}},
        {"iter": 1, "options": 3},
        {"iter": 1, "loss_history": [1]},
    ):
        path.write_bytes(safe_pickle.dumps(value))
        with pytest.raises(FormatError, match="iterations, options and losses"):
            read_data(path)


@pytest.mark.parametrize(("count", "start"), [(2, 2), (7, 0), (0, 4)])
def test_losses_of_other_iterations_are_told_and_the_last_ones_kept(
    golden: Golden, count: int, start: int
) -> None:
    folder, name = golden("SAEHD")
    data = folder / "new_SAEHD_data.dat"
    values = safe_pickle.loads(data.read_bytes(), source=data)
    values["loss_history"] = [[float(i), 0.5] for i in range(count)]
    data.write_bytes(safe_pickle.dumps(values))
    told: list[str] = []
    history = import_dfl(folder, name, "SAEHD", say=told.append).history
    assert told == [f"losses of {count} iterations for 4 that were made"]
    assert (history.start, len(history)) == (start, min(count, 4))
    assert list(history.src) == [float(i) for i in range(count)][-4:]
