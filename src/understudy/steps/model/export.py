"""Hand a model on: as DeepFaceLab's files, or as one file for live players."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.errors import FileError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.training.state.train_state import TrainState

Weights = Literal["auto", "averaged", "trained"]


class ExportOptions(StepOptions):
    """Options of `model export`."""

    model: str = argument("Name of the model.", default="new")
    format: Literal["dfl", "dfm", "onnx"] = option(
        "dfl",
        "dfl: DeepFaceLab's files, to train on there; dfm: one file for live players; onnx: a mask "
        "model as one file.",
    )
    out: Path | None = option(
        None, "Folder for the files, or path of the one file; the model folder if left out."
    )
    name: str | None = option(
        None, "Name of the model there; its own, spaces for underscores, if left out."
    )
    weights: Weights = option(
        "auto", "Averaged or last trained weights; auto: trained for dfl, averaged for others."
    )
    quantize: bool = option(False, "Half the size by float16 inside; dfm only.")
    replace: bool = option(False, "Write over a .dfm or .onnx that is there already.")


def export(options: ExportOptions, job: Job) -> Report:
    """Files that DeepFaceLab trains on from, or a `.dfm`; checked before they get their names.

    Raises:
        FileError: there is no such model, or there are files of that name already.
        OptionError: the other program could not open it.
    """
    from understudy.training.state import shelf_moves
    from understudy.training.state.model_folder import open_model

    workspace = Workspace.open(options.workspace)
    path = shelf_moves.model_path(workspace.model_dir, options.model)
    name = options.name or path.name.replace("_", " ")
    if options.format != "dfl":
        kind = _kind(path)
        beginning = kind if kind == "XSeg" and name == kind else f"{name}_{kind}"
        default = workspace.model_dir / f"{beginning}_model.{options.format}"
        target = options.out or default
        _check_free(target, may_replace=options.replace)
    state = open_model(path).load(job.message, mend=False)
    averaged = options.weights == "averaged" or (
        options.weights == "auto" and options.format != "dfl"
    )
    if averaged and state.averaged:
        state.model.load_state_dict(state.model.state_dict() | state.averaged)
    job.check()
    if options.format == "dfl":
        from understudy.training.state import export_dfl

        outputs = export_dfl(state, options.out or workspace.model_dir, name)
        summary = f"{options.model} as DeepFaceLab's model {name!r}, iteration {state.iteration}"
        details: dict[str, object] = {"summary": summary}
    elif options.format == "onnx":
        outputs, details = [target], _to_onnx(state, target, options)
    else:
        outputs, details = [target], _to_dfm(state, target, options, workspace)
    return Report("model export", done=1, outputs=outputs, details=details)


def _kind(path: Path) -> str:
    from understudy.training.state.shelf import read_config

    return read_config(path).kind


def _check_free(path: Path, *, may_replace: bool) -> None:
    if path.exists() and not (may_replace and path.is_file()):
        raise FileError(
            path,
            expected="a free name",
            found="a folder" if path.is_dir() else "a file",
            remedy="Name another with --out, or write over it with --replace.",
        )


def _to_onnx(state: "TrainState", target: Path, options: ExportOptions) -> dict[str, object]:
    from understudy.models.export import mask_to_onnx
    from understudy.models.mask_net import as_mask_model
    from understudy.training.state.shelf import in_words

    facts = {
        "name": options.model,
        "iteration": str(state.iteration),
        "weights_sha256": state.sha256,
    }
    difference = mask_to_onnx(as_mask_model(state.model), target, facts=facts)
    size = target.stat().st_size
    return {
        "summary": f"{options.model} as {target.name}, {in_words(size)}",
        "bytes": size,
        "largest_difference": difference,
        "facts": facts,
    }


def _to_dfm(
    state: "TrainState", target: Path, options: ExportOptions, workspace: Workspace
) -> dict[str, object]:
    from understudy.models.export import to_dfm
    from understudy.provenance.consent import read_consent, status_sentence
    from understudy.training.state.shelf import in_words

    facts = {
        "name": options.model,
        "iteration": str(state.iteration),
        "weights_sha256": state.sha256,
        "consent": status_sentence(read_consent(workspace.root)),
        "purpose": "replaces faces; pictures made with it are to be marked as such",
    }
    difference = to_dfm(state, target, quantize=options.quantize, facts=facts)
    size = target.stat().st_size
    return {
        "summary": f"{options.model} as {target.name}, {in_words(size)}",
        "bytes": size,
        "largest_difference": difference,
        "quantized": options.quantize,
        "facts": facts,
    }
