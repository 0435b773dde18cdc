"""One training run in several processes: each makes an equal part of every batch.

The first process runs the loop as if it were alone, and before it does what takes all of them it
says so: load the faces, take over the model, make the next iteration. The others do as they are
told, each with its part of the faces and of the batch. Gradients are added up before the update, so
that all hold the same weights and the run is that of one process with the whole batch. The first
one alone draws, writes, measures, and listens to the user. Knows no step.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal  # what the loop takes is passed on as it is

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor

from understudy.errors import Cancelled, MaterialError, OptionError, UnderstudyError
from understudy.job import Job
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.face_model import FaceModel, as_face_model
from understudy.training.distributed.team import Team
from understudy.training.distributed.wire import FirstEnd, OtherEnd, Over, Word
from understudy.training.loop.beginning import to_load_by
from understudy.training.loop.sides import load_side
from understudy.training.loop.trainer import Trainer
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.setting import changed
from understudy.training.samples.batch import Batch
from understudy.training.samples.batches import BatchSource, Side
from understudy.training.samples.mask_batches import MaskBatch
from understudy.training.state.model_folder import ModelFolder
from understudy.training.state.tensor_file import under
from understudy.training.step.face_step import StepLosses, TrainStep
from understudy.training.step.mask_step import MaskLosses
from understudy.types import FaceSample

Faces = Sequence[FaceSample]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def word(self) -> Word:
        """What goes over the wire."""
        return self.model_dump(mode="json")


class Load(_Said):
    """Load your part of the faces; `faces` is what all have to agree on."""

    do: Literal["load"] = "load"
    config: ModelConfig
    options: TrainOptions
    faces: tuple[str, str]


class TakeOver(_Said):
    """Take over the model as it now is, to train it with these options."""

    do: Literal["take over"] = "take over"
    options: TrainOptions
    attempt: int
    updates: int


class Iterate(_Said):
    """Make your part of a batch and learn from it."""

    do: Literal["iterate"] = "iterate"
    number: int
    late: bool
    rate: float


LoadSides = Callable[[Load], tuple[Side, Side]]

_SAID: TypeAdapter[Load | TakeOver | Iterate] = TypeAdapter(
    Annotated[Load | TakeOver | Iterate, Field(discriminator="do")]
)


class Lead:
    """What the first process says to the others, each time before it does the same."""

    def __init__(self, team: Team[FirstEnd]) -> None:
        self.team = team

    def load(self, config: ModelConfig, options: TrainOptions, faces: tuple[str, str]) -> None:
        """Let all load their part of the faces."""
        check_batch_size(options.batch_size, self.team.size)
        self.team.wire.say(Load(config=config, options=options, faces=faces).word())

    def hand_over(self, step: TrainStep, options: TrainOptions, *, attempt: int = 0) -> None:
        """Let all go on from the model and optimizer of `step`, and add up gradients from now."""
        # Another kind of processor would choose otherwise, and round otherwise.
        precision = "bf16" if step.dtype == torch.bfloat16 else "fp32"
        said = TakeOver(
            options=options.model_copy(update={"precision": precision, "ema": 0.0}),
            attempt=attempt,
            updates=step.optimizer.iteration,
        )
        self.team.wire.say(said.word())
        self.team.hand_round(_everything(step))
        step.share_gradients(self.team.sum_gradients)

    def iterate(self, step: TrainStep, number: int, *, late: bool = False) -> None:
        """Let all make their part of a batch and learn from it."""
        rate = step.optimizer.rule.learning_rate
        self.team.wire.say(Iterate(number=number, late=late, rate=rate).word())


class TeamTrainer(Trainer):
    """The loop, in the first process of a team."""

    def __init__(
        self, folder: ModelFolder, src: Faces, *, team: Team[FirstEnd], job: Job, **rest: Any
    ) -> None:
        self._team, self._lead, self._share = team, Lead(team), team.share
        team.wire.on_word = self._hear
        super().__init__(folder, src, job=job, device=team.device, **rest)
        for phase in self.state.plan.phases if self.state.plan is not None else ():
            check_batch_size(int(phase.options.get("batch_size", team.size)), team.size)
        job.message(f"{team.size} processes share each batch of {self._options.batch_size} faces")

    def _load_sides(self) -> None:
        src, dst = (mark_of(faces) for faces in self._faces)
        self._lead.load(self._folder.config, to_load_by(self.state), (src, dst))
        super()._load_sides()
        self._team.wire.wait_ready(self._job.check)

    def _prepare(self) -> None:
        super()._prepare()
        self._lead.hand_over(self._step, self._options, attempt=self.state.attempt)

    def _draw(self, *, late: bool) -> Batch | MaskBatch:
        self._lead.iterate(self._step, self.state.iteration, late=late)
        return super()._draw(late=late)

    def _means(self, losses: StepLosses | MaskLosses) -> Tensor:
        return sums(self._team, losses) / self._options.batch_size

    def _set(self, values: Mapping[str, Any]) -> str:
        changes = changed(self.state.options, values)
        check_batch_size(changes.get("batch_size", self._team.size), self._team.size)
        return super()._set(values)

    def _hear(self, word: Word) -> None:
        """What one of the others says; called by another thread."""
        if word.get("say") == "stop":
            self._job.cancel()
        elif word.get("say") == "failed item":
            self._job.fail(str(word["item"]), str(word["reason"]))
        elif word.get("say") == "message":
            self._job.message(str(word["text"]))


def check_batch_size(batch_size: int, num_processes: int) -> None:
    """Nothing, if each process gets a face of every batch.

    Raises:
        OptionError: some would get none.
    """
    if batch_size < num_processes:
        raise OptionError(
            "--batch-size",
            expected=f"{num_processes} or more, a face for each process",
            found=str(batch_size),
            remedy="It counts the faces of all processes together; give more, or fewer devices.",
        )


def load_part(
    said: Load,
    faces: tuple[Faces, Faces],
    *,
    team: Team[OtherEnd],
    job: Job,
    cache_dir: Path | None,
) -> tuple[Side, Side]:
    """The part of `faces` that a further process holds.

    Raises:
        MaterialError: they are not those of the first process.
    """
    sides = []
    for name, own, wanted in zip(("src", "dst"), faces, said.faces, strict=True):
        if mark_of(own) != wanted:
            raise MaterialError(
                f"{name}, on process {team.rank + 1}",
                expected=f"the {wanted.partition(' ')[0]} faces of the first process",
                found=f"{len(own)}, or others",
                remedy="Give every machine the same facesets.",
            )
        side = load_side(
            own,
            name,
            config=said.config,
            options=said.options,
            device=team.device,
            job=job,
            cache_dir=cache_dir,
            share=team.share,
        )
        sides.append(side)
    src, dst = sides
    return src, dst


def mark_of(faces: Faces) -> str:
    """What tells whether two processes have the same faces: their number, and a hash of names."""
    names = "\n".join(f"{face.name}\t{face.source_name}" for face in faces)
    return f"{len(faces)} {hashlib.sha256(names.encode()).hexdigest()[:16]}"


def _everything(step: TrainStep) -> dict[str, Tensor]:
    """What the next iterations follow from, but averages: they lead nowhere."""
    tensors = {f"model/{k}": v for k, v in step.model.state_dict().items()}
    slots = step.optimizer.state_tensors()
    tensors |= {f"optimizer/{k}": v for k, v in slots.items() if not k.startswith("average/")}
    adversaries = step.adversaries.state_tensors()
    return tensors | {f"adversaries/{k}": v for k, v in adversaries.items()}


def sums(team: Team[FirstEnd] | Team[OtherEnd], losses: StepLosses | MaskLosses) -> Tensor:
    """Losses of both sides, each summed over the whole batch."""
    summed = torch.stack([loss.sum() for loss in losses])
    team.add_up(summed)
    return summed


class Member:
    """A further process of a team, which does as the first one says."""

    _config: ModelConfig
    _sides: tuple[Side, Side]
    _model: FaceModel | None
    _step: TrainStep | None
    _sources: tuple[BatchSource, BatchSource]

    def __init__(self, team: Team[OtherEnd], job: Job, load: LoadSides) -> None:
        self._team, self._job, self._load = team, job, load
        self._model = self._step = None
        self._asked_to_stop = False
        team.wire.on_over = job.cancel

    def run(self) -> None:
        """Work until the first process says that it is over.

        Raises:
            StateError: the first process is lost.
        """
        wire = self._team.wire
        try:
            while True:
                self._obey(_SAID.validate_python(wire.hear(self._look_up)))
        except Over:
            return
        except Cancelled:  # while it did not listen
            self._ask_to_stop()
            wire.is_over.wait()

    def _obey(self, said: Load | TakeOver | Iterate) -> None:
        if isinstance(said, Load):
            self._config, self._sides = said.config, self._load(said)
            self._team.wire.tell("ready")
        elif isinstance(said, TakeOver):
            self._take_over(said)
        else:
            self._iterate(said)

    def _take_over(self, said: TakeOver) -> None:
        self._step = None  # two of them at once may not fit the device
        model = self._model or as_face_model(build(self._config))
        step = TrainStep(model, said.options, device=self._team.device, say=self._say)
        self._model = step.model
        tensors = _everything(step)
        self._team.hand_round(tensors)
        adversaries = under("adversaries/", tensors)
        step.adversaries.load_state_tensors(adversaries, self._job.message)
        step.optimizer.iteration = said.updates
        step.refresh()
        step.share_gradients(self._team.sum_gradients)
        self._step = step
        still = said.options.model_copy(update={"random_warp": False})
        source, late_source = (
            BatchSource(
                *self._sides,
                self._config,
                options,
                attempt=said.attempt,
                share=self._team.share,
            )
            for options in (said.options, still)
        )
        self._sources = source, late_source

    def _say(self, text: str) -> None:
        self._team.wire.tell("message", text=f"process {self._team.rank + 1}: {text}")

    def _iterate(self, said: Iterate) -> None:
        if self._step is None:
            raise ValueError("there is no model to train yet")
        self._step.set_learning_rate(said.rate)
        sums(self._team, self._step(self._sources[said.late].batch(said.number)))

    def _look_up(self) -> None:
        """While there is nothing to do: has someone asked this process to end?"""
        try:
            self._job.check()
        except Cancelled:
            if not self._asked_to_stop:
                self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        self._asked_to_stop = True
        self._team.wire.tell("stop")


class MemberJob(Job):
    """The job of a further process: the first one hears of items that failed, no more."""

    def __init__(self, job: Job, wire: OtherEnd) -> None:
        self.__dict__ = job.__dict__  # one and the same job, whoever speaks to it
        self._wire = wire

    def fail(self, item: str, reason: str) -> None:
        """Let the first process record an item that could not be done."""
        self._wire.tell("failed item", item=item, reason=reason)


@contextmanager
def failures_told(wire: OtherEnd) -> Iterator[None]:
    """The first process is told of an error that ends this one."""
    try:
        yield
    except UnderstudyError as error:
        wire.tell("failed", reason=str(error), is_bug=False)
        raise
    except Exception as error:  # any bug here must end the others too; it goes on from here
        wire.tell("failed", reason=f"{type(error).__name__}: {error}", is_bug=True)
        raise
