"""The acoustic model: features, network, training, and the encoder that runs it."""

from acoustic.encoder import Encoder, EncoderState, ModelError

__all__ = ["Encoder", "EncoderState", "ModelError"]
