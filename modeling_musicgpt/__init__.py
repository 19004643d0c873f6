"""The MusicGPT model for transformers: configuration, model, grammar and generation."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from .configuration_musicgpt import MusicGPTConfig
from .modeling_musicgpt import MusicGPTForCausalLM, MusicGPTModel, MusicGPTPreTrainedModel

AutoConfig.register("musicgpt", MusicGPTConfig, exist_ok=True)
AutoModel.register(MusicGPTConfig, MusicGPTModel, exist_ok=True)
AutoModelForCausalLM.register(MusicGPTConfig, MusicGPTForCausalLM, exist_ok=True)

__all__ = ["MusicGPTConfig", "MusicGPTForCausalLM", "MusicGPTModel", "MusicGPTPreTrainedModel"]
