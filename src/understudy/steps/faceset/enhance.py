"""Sharper faces for training."""

from typing import Literal

from understudy.job import Job
from understudy.options import option
from understudy.steps.faceset.derived import DerivedOptions, derive
from understudy.steps.faceset.enhancers import ENHANCERS
from understudy.types import Report


class EnhanceOptions(DerivedOptions):
    """Options of `faceset enhance`."""

    enhancer: Literal["deconvolve", "dfl"] = option(
        "deconvolve",
        "What makes them sharper: the embedded deconvolution, or DeepFaceLab's network, whose "
        "weights you bring.",
    )
    strength: float = option(
        1.0, "How strongly: 0 changes nothing, 1 takes back the blur it finds.", ge=0, le=2
    )
    device: str = option("auto", "Where to run a network: auto, cpu, cuda.", group="Machine")


def enhance(options: EnhanceOptions, job: Job) -> Report:
    """The faces with finer detail, of the same size and with all that is known of them.

    A face that was enhanced before is left as it is.

    Raises:
        MaterialError: there are no faces.
        OptionError: the new folder holds something else.
        WeightsError: the network's weights are not there.
    """
    change = ENHANCERS[options.enhancer](options.strength, options.device)
    return derive(options, job, step="faceset enhance", suffix="_enhanced", change=change)
