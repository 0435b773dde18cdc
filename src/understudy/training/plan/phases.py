"""The plan of an unattended run: phases with the options they change, and when each one ends.

Values only. A `Plan` says which phase training is in, what ended those before, and what the faces
kept aside looked like at best; asked after each iteration, it says whether to go on to the next.
A run limited by iterations or minutes is shared out among the phases, each in proportion to its own
number of iterations; only then, and only with minutes, does a clock have a say. Knows no torch and
no files.
"""

from typing import Any  # values of options are of several plain types

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from understudy.options import parse
from understudy.training.plan.options import TrainOptions

_FIXED_IN_RUN = ("target_iter", "minutes", "device", "threads", "seed", "held_out", "pretrain")


class Phase(BaseModel):
    """One stretch of training: what it sets differently, and what ends it.

    It ends after `iterations`, or when the measure of the faces kept aside has not grown by `gain`
    within the last `plateau` iterations, whichever comes first; 0 = not by this. In a run that is
    shared out `iterations` is only a proportion. Options that speak of a share of the run (lr_fall,
    unwarped_end) mean a share of the phase.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    iterations: int = Field(default=0, ge=0)
    plateau: int = Field(default=0, ge=0)
    gain: float = Field(default=0.002, ge=0)

    @field_validator("options")
    @classmethod
    def _options_of_training(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in values:
            if name in _FIXED_IN_RUN:
                raise ValueError(f"options a phase can change; {name} is fixed for the whole run")
            if name not in TrainOptions.model_fields:
                raise ValueError(f"options of training; {name!r} is none")
        # what fits one by one is checked here, with the values the user wrote
        checked = TrainOptions.model_validate(values)
        return {name: getattr(checked, name) for name in values}

    @model_validator(mode="after")
    def _ends(self) -> "Phase":
        if not (self.iterations or self.plateau):
            raise ValueError("iterations or plateau above 0: a phase has to end")
        return self


class PhaseEnd(BaseModel):
    """Where a phase ended, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    iteration: int
    reason: str


class Plan(BaseModel):
    """Phases of a run, and how far it is; what follows from an iteration is a new plan.

    `settings` are options the user gave by hand: they hold in every phase. `first` and
    `first_seconds` say where the plan began, `began` and `began_seconds` where its phase did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    phases: tuple[Phase, ...] = Field(min_length=1)
    measure_every: int = Field(default=250, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    place: int = Field(default=0, ge=0)
    first: int = Field(default=0, ge=0)
    first_seconds: float = Field(default=0.0, ge=0)
    began: int = Field(default=0, ge=0)
    began_seconds: float = Field(default=0.0, ge=0)
    best: float = 0.0
    best_at: int = 0
    ended: tuple[PhaseEnd, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the last phase has ended."""
        return self.place >= len(self.phases)

    @property
    def phase(self) -> Phase:
        """The phase training is in; the last one once all are over."""
        return self.phases[min(self.place, len(self.phases) - 1)]

    @property
    def where(self) -> str:
        """The recipe and how far it is, in words."""
        if self.is_over:
            return f"recipe {self.recipe}: all phases done"
        place = f"{self.place + 1} of {len(self.phases)}"
        return f"recipe {self.recipe}: phase {place}, {self.phase.name}"

    def is_as(self, other: "Plan") -> bool:
        """Whether both are the same plan, however far each is."""
        return (self.recipe, self.phases) == (other.recipe, other.phases)

    def acting(self, options: TrainOptions) -> TrainOptions:
        """`options` as the present phase changes them, and the user's settings above all.

        Raises:
            OptionError: values do not go together.
        """
        return parse(TrainOptions, options.model_dump() | self.phase.options | self.settings)

    def ever(self, name: str, options: TrainOptions) -> bool:
        """Whether a yes-or-no option is on in any phase."""
        if name in self.settings:
            return bool(self.settings[name])
        return any(p.options.get(name, getattr(options, name)) for p in self.phases)

    def with_settings(self, settings: dict[str, Any]) -> "Plan":
        """The plan with more options given by hand; those of the whole run are left out."""
        lasting = {k: v for k, v in settings.items() if k not in _FIXED_IN_RUN}
        return self.model_copy(update={"settings": self.settings | lasting})

    def wants_measure(self, iteration: int) -> bool:
        """Whether the faces kept aside are to be measured after this iteration."""
        return bool(self.phase.plateau) and (iteration - self.began) % self.measure_every == 0

    def measured(self, iteration: int, value: float) -> "Plan":
        """The plan that has seen a measure taken after `iteration`."""
        if value < self.best + self.phase.gain:
            return self
        return self.model_copy(update={"best": value, "best_at": iteration})

    def begun(self, iteration: int, seconds: float) -> "Plan":
        """The plan as it begins, at this iteration and after so many seconds of training."""
        return self.model_copy(
            update={
                "first": iteration,
                "first_seconds": seconds,
                "began": iteration,
                "began_seconds": seconds,
                "best_at": iteration,
            }
        )

    def phase_share(self, iteration: int, seconds: float, options: TrainOptions) -> float:
        """How much of the present phase is done, 0 or more; 0 where only a plateau can end it."""
        end = self._share_by_end
        if end is None or not (options.target_iter or options.minutes):
            whole = self.phase.iterations
            return (iteration - self.began) / whole if whole else 0.0
        start = self._run_share(self.began, self.began_seconds, options)
        done = self._run_share(iteration, seconds, options) - start
        return done / (end - start) if end > start else 1.0

    @property
    def _share_by_end(self) -> float | None:
        """Share of the whole run that is done as the phase ends; None if some are of any length."""
        counts = [phase.iterations for phase in self.phases]
        return sum(counts[: self.place + 1]) / sum(counts) if all(counts) else None

    def _run_share(self, iteration: int, seconds: float, options: TrainOptions) -> float:
        by_count = _share(float(iteration), float(self.first), float(options.target_iter))
        return max(by_count, _share(seconds, self.first_seconds, 60 * options.minutes))

    def why_over(self, iteration: int, share: float) -> str | None:
        """Why the present phase, of which `share` is done, is over after `iteration`, if it is."""
        phase = self.phase
        if share >= 1:
            return f"{iteration - self.began} iterations are done"
        if phase.plateau and iteration - max(self.best_at, self.began) >= phase.plateau:
            return (
                f"faces kept aside grew no better than {self.best:.3f} for {phase.plateau} "
                "iterations"
            )
        return None

    def moved_on(self, iteration: int, seconds: float, *, reason: str) -> "Plan":
        """The plan in its next phase, which begins after so many seconds of training."""
        end = PhaseEnd(name=self.phase.name, iteration=iteration, reason=reason)
        return self.model_copy(
            update={
                "place": self.place + 1,
                "began": iteration,
                "began_seconds": seconds,
                "best": 0.0,
                "best_at": iteration,
                "ended": (*self.ended, end),
            }
        )

    def told(self) -> str:
        """The whole plan in one line, for the log."""
        parts = []
        for phase in self.phases:
            ends = [f"{phase.iterations} iterations"] if phase.iterations else []
            ends += [f"plateau of {phase.plateau}"] if phase.plateau else []
            parts.append(f"{phase.name} ({' or '.join(ends)})")
        return f"recipe {self.recipe}: {', '.join(parts)}"


def _share(now: float, first: float, last: float) -> float:
    """How far `now` is from `first` to `last`; 0 if there is no last."""
    if not last:
        return 0.0
    return (now - first) / (last - first) if last > first else 1.0
