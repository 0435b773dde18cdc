"""Give faces the names they were extracted under, after sorting."""

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class RecoverNamesOptions(StepOptions):
    """Options of `faceset recover-names`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    dfl_parity: bool = option(
        False, "Number the faces of one frame in the order they lie in, as DeepFaceLab does."
    )


def recover_names(options: RecoverNamesOptions, job: Job) -> Report:
    """Every face under its frame's name and its number in it; undo takes it back.

    Raises:
        FileError: the faces are in a pak, or a name is taken by a picture that is no face; nothing
            was renamed.
    """
    from understudy.facesets.faceset import Faceset
    from understudy.facesets.moves.edit import Move, apply_moves
    from understudy.facesets.moves.rename import origin_of, original_names

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    refuse_pak(folder, options.faces)
    names = faceset.names
    found = job.map(
        lambda index: origin_of(names[index], faceset[index]),
        range(len(names)),
        total=len(names),
        name=lambda index: names[index],
        message="reading faces",
    )
    origins = [origin for _, origin in found]
    recovered = original_names(origins, dfl_parity=options.dfl_parity)
    moves = [Move(folder / old, folder / new) for old, new in recovered.items()]
    renamed = apply_moves(folder, moves, operation="recover-names")
    left_out = tell_left_out(faceset, job)
    without = sum(origin.source_name is None for origin in origins)
    summary = f"{renamed} of {len(names)} faces renamed"
    summary += f", {without} don't know their frame" if without else ""
    return Report(
        "faceset recover-names",
        done=renamed,
        outputs=[folder],
        details={"summary": summary, "without_source": without, "left_out": left_out},
    )
