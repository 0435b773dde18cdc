"""A DFL model as a `TrainState`, and a `TrainState` as the files DFL goes on training from.

A folder and the model's name in, weights, optimizer, options, losses and iteration out, and back.
What does not fit is told tensor by tensor, and then nothing is taken over: DFL itself would begin
such a network anew without a word. Source: reference "DFL formats", section 7.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple  # Any: what a pickle holds

import numpy as np
import torch
from torch import Tensor, nn

from understudy import safe_pickle
from understudy.errors import OptionError, StateError
from understudy.models import amp, config_from_dfl, mask_net, quick96, saehd  # noqa: F401  (MODELS)
from understudy.models.config import ModelConfig
from understudy.models.dfl_weights import from_dfl, misfits, to_dfl
from understudy.models.discriminators import CodeDiscriminator, PatchDiscriminator
from understudy.models.model import MODELS, Model
from understudy.training.plan.options import TrainOptions
from understudy.training.state import dfl_summary
from understudy.training.state.dfl_files import (
    KINDS,
    MASKS,
    Arrays,
    Content,
    DflModel,
    known_data,
    mask_width,
    read_arrays,
    write_model,
)
from understudy.training.state.dfl_options import dfl_options, plain, train_options
from understudy.training.state.history import History
from understudy.training.state.train_state import TrainState, loss_names

DFL_SIDE = 256
"""Side of DFL's mask net, in pixels."""

GAN, CODE = "GAN", "code_discriminator"
_SLOTS = {"m": "ms_{net}/{{}}_0:0", "v": "vs_{net}/{{}}_0:0", "acc": "acc_{net}/{{}}_0:0"}
_COUNTER = "iters:0"
_TOLD_MAX = 5

Say = Callable[[str], None]


def import_dfl(folder: Path, name: str, kind: str, *, say: Say | None = None) -> TrainState:
    """The DFL model `name` of `kind` "SAEHD", "AMP", "Quick96" or "XSeg", of files in `folder`.

    XSeg has no name; its weights alone are enough, and the width of its net is theirs. `say` hears
    of every tensor that does not fit, and of what is there and not taken over.

    Raises:
        OptionError: an unknown kind, or options out of range.
        FileError: the model, or one of its files, is not there.
        FormatError: a file is damaged.
        StateError: tensors do not fit the model that the options describe.
    """
    tell = say or _nobody
    source = DflModel(folder, name, kind)
    _check_kind(kind)
    data = known_data(source, tell)
    config = config_from_dfl(kind, {**data.options, **mask_width(source)})
    model = _blank(config)
    weights = _read_networks(source, model, tell)
    optimizer, counter = _read_main_optimizer(source, model, tell)
    options = train_options(kind, data.options)
    for net, module in model.networks().items():
        module.load_state_dict(weights[net], assign=True)
    return TrainState(
        config=config,
        model=model,
        options=options,
        iteration=data.iteration,
        optimizer=optimizer,
        optimizer_iteration=counter,
        history=_history(data.losses, data.iteration, tell, names=loss_names(config)),
        adversaries=_read_adversaries(source, config, options, tell),
        dfl_options=plain(data.options),
    )


def export_dfl(state: TrainState, folder: Path, name: str) -> list[Path]:
    """Writes `state` as the DFL model `name`; the paths of its files.

    The weights are those training goes on with, not their averages: the optimizer's state belongs
    to them. A network DFL does not train keeps no optimizer state there.

    Raises:
        OptionError: DFL can't open a model of this kind or name.
        StateError: the model was not trained yet: DFL would begin it anew.
        FileError: a file of that name is there already; nothing is overwritten.
        StorageError: the disk is full or can't be written.
    """
    config = state.config
    _check_kind(config.kind)
    if state.iteration < 1:
        raise StateError(
            f"model {name!r}",
            expected="at least one iteration of training",
            found="none",
            remedy="Train it first: DFL takes a model without iterations for a new one.",
        )
    if config.kind == MASKS and config.resolution != DFL_SIDE:
        raise OptionError(
            f"model {name!r}",
            expected=f"a mask net of {DFL_SIDE} pixels, which is what DFL can load",
            found=f"{config.resolution} pixels",
            remedy="Hand it on as ONNX, or train one of that size.",
        )
    target = DflModel(folder, name, config.kind)
    networks = state.model.networks()
    contents: dict[str, Content] = {
        target.weights(net): _weights_of(module) for net, module in networks.items()
    }
    contents[target.optimizer] = lambda: _optimizer_items(
        networks, state.optimizer, state.optimizer_iteration, resting=_resting(config)
    )
    contents |= _adversary_contents(state)
    options = dfl_options(config, state.options, state.dfl_options)
    losses = [list(row) for row in zip(*state.history.curves.values(), strict=True)]
    data = {
        "iter": state.iteration,
        "options": options,
        "loss_history": losses,
        "sample_for_preview": None,  # DFL draws it anew
        "choosed_gpu_indexes": None,
    }
    called = MASKS if config.kind == MASKS else f"{name}_{config.kind}"
    summary = dfl_summary.summary(called, state.iteration, plain(options))
    others = {"summary.txt": summary.encode(), "data.dat": safe_pickle.dumps(data)}
    write_model(target, contents, others)
    return [target.path(file) for file in (*contents, *others)]


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise OptionError(
            "kind of model",
            expected=f"one of {', '.join(KINDS)}",
            found=repr(kind),
            remedy="Use one of these.",
        )


def _blank(config: ModelConfig) -> Model:
    """A model without memory for its weights: options from a stranger may ask for any size."""
    with torch.device("meta"):
        return MODELS[config.kind](config)


def _nobody(_: str) -> None:
    """Hears what nobody asked for."""


def _read_networks(source: DflModel, model: Model, tell: Say) -> dict[str, dict[str, Tensor]]:
    """Weights of each network under our names; all of them fit."""
    wrong: list[str] = []
    weights = {}
    for net, module in model.networks().items():
        path = source.path(source.weights(net))
        if not path.exists():
            wrong.append(f"{path.name}: the whole file is missing")
            continue
        arrays = read_arrays(path)
        found = misfits(module, arrays)
        wrong += [f"{path.name}: {one}" for one in found]
        if not found:
            weights[net] = from_dfl(module, arrays)
            known = to_dfl_keys(module)
            for key in sorted(set(arrays) - known):
                tell(f"{path.name}: {key} belongs to no network of this model and is left out")
    _refuse(source, wrong, tell)
    return weights


def to_dfl_keys(module: nn.Module, key: str = "{}:0") -> set[str]:
    """DFL's keys of the parameters of `module`."""
    return {key.format(name.replace(".", "/")) for name, _ in module.named_parameters()}


def _read_main_optimizer(
    source: DflModel, model: Model, tell: Say
) -> tuple[dict[str, Tensor], int]:
    """The optimizer's state under our names, and its counter."""
    path = source.path(source.optimizer)
    if not path.exists():
        tell(f"{path.name} is not there: the optimizer's memory begins anew")
        return {}, 0
    resting = _resting(model.config)
    tensors, counter, wrong = _read_optimizer(path, model.networks(), resting=resting)
    _refuse(source, wrong, tell)
    return tensors, counter


def _read_optimizer(
    path: Path, networks: Mapping[str, nn.Module], *, resting: AbstractSet[str] = frozenset()
) -> tuple[dict[str, Tensor], int, list[str]]:
    """State of an optimizer under our names, its counter, and the tensors that don't fit.

    Networks in `resting` may be missing: their state is zero.
    """
    arrays = read_arrays(path)
    slots = [slot for slot in _SLOTS if any(k.startswith(_prefix(slot)) for k in arrays)]
    if not slots or _COUNTER not in arrays:
        return {}, 0, [f"{path.name}: no state of an optimizer"]
    wrong: list[str] = []
    tensors: dict[str, Tensor] = {}
    for slot in slots:
        for net, module in networks.items():
            key = _SLOTS[slot].format(net=net)
            if net in resting and not to_dfl_keys(module, key) & arrays.keys():
                own = {name: torch.zeros(p.shape) for name, p in module.named_parameters()}
            else:
                found = misfits(module, arrays, key=key)
                wrong += [f"{path.name}: {one}" for one in found]
                own = {} if found else from_dfl(module, arrays, key=key)
            tensors |= {f"{slot}/{net}.{name}": tensor for name, tensor in own.items()}
    return tensors, int(arrays[_COUNTER]), wrong


def _resting(config: ModelConfig) -> frozenset[str]:
    """Networks DFL's optimizer never holds: AMP's inters stay as they were drawn."""
    return frozenset({"inter_src", "inter_dst"} if config.kind == "AMP" else ())


def _prefix(slot: str) -> str:
    return _SLOTS[slot].partition("{net}")[0]


def _refuse(source: DflModel, wrong: list[str], tell: Say) -> None:
    """An error that names the tensors, if there are any."""
    if not wrong:
        return
    for line in wrong:
        tell(line)
    shown = "; ".join(wrong[:_TOLD_MAX])
    more = f"; and {len(wrong) - _TOLD_MAX} more" if len(wrong) > _TOLD_MAX else ""
    raise StateError(
        source.path("data.dat"),
        expected="weights that fit the model its options describe",
        found=f"{shown}{more}",
        remedy="Take the model's files from one of its autobackups; nothing was taken over.",
    )


def _history(
    losses: Iterable[tuple[float, ...]], iteration: int, tell: Say, *, names: Sequence[str]
) -> History:
    """Losses of the last iterations, as many as there are."""
    rows = list(losses)
    if len(rows) != iteration:
        tell(f"losses of {len(rows)} iterations for {iteration} that were made")
    rows = rows[max(0, len(rows) - iteration) :]
    history = History.of(names, start=iteration - len(rows))
    for row in rows:
        history.add(*(row[min(place, len(row) - 1)] for place in range(len(names))))
    return history


def _weights_of(module: nn.Module) -> Content:
    return lambda: to_dfl(module, dict(module.named_parameters())).items()


def _optimizer_items(
    networks: Mapping[str, nn.Module],
    tensors: Mapping[str, Tensor],
    counter: int,
    *,
    resting: AbstractSet[str] = frozenset(),
) -> Iterator[tuple[str, Any]]:
    yield _COUNTER, np.int64(counter)
    for slot, pattern in _SLOTS.items():
        for net, module in networks.items():
            own = {
                name: tensors[f"{slot}/{net}.{name}"]
                for name, _ in module.named_parameters()
                if f"{slot}/{net}.{name}" in tensors
            }
            if net in resting and not any(tensor.any() for tensor in own.values()):
                continue
            arrays: Arrays = to_dfl(module, own, key=pattern.format(net=net))
            yield from arrays.items()


# ---------------------------------------------------------------- networks only training needs


class _Judge(NamedTuple):
    """One discriminator: its files and what DFL calls it inside of them."""

    file: str
    optimizer: str
    net: str
    module: nn.Module
    in_use: bool


def _judges(config: ModelConfig, options: TrainOptions) -> list[_Judge]:
    """The discriminators a model of this config may have; the modules hold no numbers."""
    with torch.device("meta"):
        return _make_judges(config, options)


def _make_judges(config: ModelConfig, options: TrainOptions) -> list[_Judge]:
    judges = []
    if config.kind not in ("Quick96", MASKS):
        patch = options.gan_patch_size or config.resolution // 8
        gan = PatchDiscriminator(patch_size=patch, width=options.gan_dims)
        net = "GAN" if config.kind == "AMP" else "D_src"
        judges.append(_Judge(GAN, "GAN_opt", net, gan, options.gan_power > 0))
    if config.kind == "SAEHD" and config.is_df:
        side = config.resolution // (32 if "d" in config.letters else 16)
        side *= 1 if "t" in config.letters else 2
        code = CodeDiscriminator(num_in=config.ae_dims, side=side)
        judges.append(_Judge(CODE, "D_code_opt", "dis", code, options.true_face_power > 0))
    return judges


def _read_adversaries(
    source: DflModel, config: ModelConfig, options: TrainOptions, tell: Say
) -> dict[str, Tensor]:
    """State of the discriminators there are files of.

    One that is in use must fit; one that was left from other settings is told of and left out.
    """
    tensors: dict[str, Tensor] = {}
    for judge in _judges(config, options):
        path, beside = source.path(f"{judge.file}.npy"), source.path(f"{judge.optimizer}.npy")
        if not path.exists():
            continue
        arrays = read_arrays(path)
        wrong = [f"{path.name}: {one}" for one in misfits(judge.module, arrays)]
        slots: dict[str, Tensor] = {}
        counter = 0
        if beside.exists():
            slots, counter, amiss = _read_optimizer(beside, {judge.net: judge.module})
            wrong += amiss
        if judge.in_use:
            _refuse(source, wrong, tell)
        if wrong:
            for line in wrong:
                tell(line)
            tell(f"{path.name} is of other settings, not in use, and left out")
            continue
        own = {f"model/{k}": t for k, t in from_dfl(judge.module, arrays).items()}
        own |= {f"optimizer/{k.replace(f'/{judge.net}.', '/')}": t for k, t in slots.items()}
        own["iteration"] = torch.tensor([counter])
        tensors |= {f"{judge.file}/{k}": t for k, t in own.items()}
    return tensors


def _adversary_contents(state: TrainState) -> dict[str, Content]:
    """Files of the discriminators that were trained."""
    contents: dict[str, Content] = {}
    for judge in _judges(state.config, state.options):
        begin = f"{judge.file}/"
        own = {k[len(begin) :]: t for k, t in state.adversaries.items() if k.startswith(begin)}
        if not own:
            continue
        contents[f"{judge.file}.npy"] = _judge_weights(judge, own)
        contents[f"{judge.optimizer}.npy"] = _judge_optimizer(judge, own)
    return contents


def _judge_weights(judge: _Judge, own: Mapping[str, Tensor]) -> Content:
    weights = {k.removeprefix("model/"): t for k, t in own.items() if k.startswith("model/")}
    return lambda: to_dfl(judge.module, weights).items()


def _judge_optimizer(judge: _Judge, own: Mapping[str, Tensor]) -> Content:
    slots = {}
    for key, tensor in own.items():
        if key.startswith("optimizer/"):
            _, slot, name = key.split("/", 2)
            slots[f"{slot}/{judge.net}.{name}"] = tensor
    counter = int(own["iteration"])
    return lambda: _optimizer_items({judge.net: judge.module}, slots, counter)
