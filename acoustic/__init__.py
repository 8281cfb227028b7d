"""The acoustic model: features, network, training, and the encoder that runs it."""

from acoustic.encoder import Encoder, EncoderState, ModelError
from acoustic.loader import load_model
from acoustic.nemo import NemoEncoder

__all__ = ["Encoder", "EncoderState", "ModelError", "NemoEncoder", "load_model"]
