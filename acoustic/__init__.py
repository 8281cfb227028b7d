"""The acoustic model: features, network, training, and the encoder that runs it."""

from acoustic.encoder import Encoder, EncoderState
from acoustic.loader import load_model
from acoustic.model_file import ModelError
from acoustic.nemo import NemoEncoder
from acoustic.streaming import HopError

__all__ = ["Encoder", "EncoderState", "HopError", "ModelError", "NemoEncoder", "load_model"]
