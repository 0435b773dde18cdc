"""Quick96: DFL's small model with everything fixed, a df-ud autoencoder of 96 pixels.

A config in, a `FaceModel` out; its losses and optimizer differ from SAEHD's, its networks do not.
Source: reference "networks, losses, training", section 4.
"""

from understudy.models.config import ModelConfig
from understudy.models.face_model import MODELS, FaceModel
from understudy.models.saehd import DfModel


@MODELS.register("Quick96")
def quick96(config: ModelConfig) -> FaceModel:
    """The df wiring at Quick96's sizes."""
    return DfModel(config)
