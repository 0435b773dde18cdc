"""Everything a user can start, in one list.

A step is one file here with one function of its name, `fn(options, job) -> Report`, and one line
in `STEPS`. A step of two words lies in the folder of its first: "faceset pack" is `pack` in
`faceset/pack.py`, and the first words stand with their sentence in `GROUPS`. What steers a running
training ("train set") is one small thing each and shares the file `steering`. The command line
makes a command from each, the studio a form, the docs a table. The rooms a step works with are
imported inside its function, so that naming the steps and their options (help, forms) loads neither
torch nor a codec.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:  # the list of steps is shown without loading what they need
    from understudy.job import Job
    from understudy.options import Options
    from understudy.types import Report


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a user can start; `name` is also the module and, by its last word, the function.

    `module` is the file where it is another.
    """

    name: str
    summary: str
    module: str = ""

    @property
    def function(self) -> "Callable[[Any, Job], Report]":  # each step has its own options
        """The step itself."""
        words = self.name.replace("-", "_").split()
        # a word of Python's own, as in "model import", gets an underscore in code
        path = [f"{word}_" if iskeyword(word) else word for word in words]
        file = [self.module] if self.module else path
        module = importlib.import_module(".".join((__name__, *file)))
        function: "Callable[[Any, Job], Report]" = getattr(module, path[-1])
        return function

    @property
    def options(self) -> "type[Options]":
        """The step's options, as its signature declares them."""
        kind: "type[Options]" = get_type_hints(self.function)["options"]
        return kind


GROUPS = {
    "train": "Train a model on the two facesets; steer the training that runs.",
    "faceset": "Look after a faceset: pack, trim, repair, inspect, undo.",
    "mask": "Label faces, train a mask model on the labels, apply it.",
    "merge": "Put the model's faces into the frames of dst; take over DeepFaceLab's settings.",
    "model": "Look after models: list, copy, take over from DeepFaceLab, hand on.",
}

_ALL = (
    Step("run", "Two clips in, one finished film out; goes on where it was."),
    Step("demo", "The whole way on two bundled clips of digital doubles."),
    Step("new", "Make a workspace."),
    Step("clear", "Empty a workspace: frames, faces, models, results."),
    Step("info", "What a workspace holds and what comes next."),
    Step("cut", "A part of a clip, exact to the frame, with its sound."),
    Step("frames", "Frames out of a clip."),
    Step("denoise", "Less noise in frames, averaged over time; the originals are kept."),
    Step("extract", "Faces out of frames: found, aligned, saved with their landmarks."),
    Step("sort", "Put faces in order by what they show; the unfit go to the trash."),
    Step("faceset undo", "Take back the last sort, trim or other move of faces."),
    Step("faceset inspect", "What a face, a pak, saved metadata or a folder of faces holds."),
    Step("faceset pack", "One file out of a folder of faces."),
    Step("faceset unpack", "The faces of a pak as files."),
    Step("faceset save-meta", "Keep what is known of each face apart, before pictures are edited."),
    Step("faceset restore-meta", "Give edited or resized pictures their metadata back."),
    Step("faceset resize", "Faces at another size or of another face type."),
    Step("faceset debug", "Pictures beside the faces that show their landmarks."),
    Step("faceset recover-names", "Give faces the names they were extracted under."),
    Step("faceset sheet", "Contact sheets of a faceset."),
    Step("faceset enhance", "Sharper faces for training."),
    Step("faceset match", "Trim src to what dst needs: direction, light, colour."),
    Step("faceset stats", "What a faceset holds against another, in numbers and one picture."),
    Step("mask info", "How many faces have labels and masks, and where labels are missing."),
    Step("mask suggest", "The faces to label next: those most unlike the labelled ones."),
    Step("mask fetch", "Copies of the labelled faces in a folder of their own."),
    Step("mask import", "Take over masks that were painted elsewhere."),
    Step("mask export", "Masks and labels as pictures, of faces or of whole frames."),
    Step("mask to-polygons", "Labels made from masks: polygons of a few dozen points."),
    Step("mask remove-labels", "Take the labels off faces; undo brings them back."),
    Step("mask train", "Train a mask model on labelled faces."),
    Step("mask apply", "Masks painted onto faces by a mask model, or by the one that ships."),
    Step("mask remove", "Take applied masks off faces; undo brings them back."),
    Step("train", "Train a model on the two facesets."),
    Step("train set", "Change options of the running training.", "steering"),
    Step("train save", "Let the running training save now.", "steering"),
    Step("train backup", "Let the running training save and keep a backup.", "steering"),
    Step("train preview", "Let the running training write previews, of certain faces.", "steering"),
    Step("train pause", "Let the running training wait.", "steering"),
    Step("train resume", "Let the paused training go on.", "steering"),
    Step("train stop", "Let the running training save and end.", "steering"),
    Step("model list", "The models of a workspace: iterations, losses, size."),
    Step("model info", "What one model is and how far it came."),
    Step("model rename", "Give a model another name."),
    Step("model copy", "Copy a model, to try something on the copy."),
    Step("model delete", "Put a model into the trash."),
    Step("model import", "Take over a model made by DeepFaceLab, or one of another workspace."),
    Step("model export", "Hand a model on: DeepFaceLab's files, or a .dfm for live players."),
    Step("model prune", "Free the space of a model's old saves, backups and previews."),
    Step("merge", "Put the model's faces into the frames of dst."),
    Step("merge import", "Take over a session of DeepFaceLab's merger.", "merge_import"),
    Step("preview", "One frame merged in all ways side by side, as one picture."),
    Step("video", "The finished video, with the sound of dst, signed."),
    Step("deliver", "Layers over the plate and transforms, for a compositor."),
    Step("strip", "Before and after, as a picture or a split-screen film."),
    Step("verify", "Whether a file is as it was signed, and by whom."),
    Step("consent", "Record on whose authority the faces are used."),
    Step("weights", "Fetch the face models, or list them."),
    Step("devices", "What this machine can compute on."),
    Step("studio", "The whole product in a browser, on this machine or a remote one."),
    Step("bench", "Measure extraction, sorting, training, masks or merging on this machine."),
)

STEPS: dict[str, Step] = {step.name: step for step in _ALL}
