"""A stub with the interface of Phi-3.5-vision's own code: its config."""

from transformers import PreTrainedConfig


class Phi3VConfig(PreTrainedConfig):
    model_type = "phi3_v"

    vocab_size: int = 512
    hidden_size: int = 32
    intermediate_size: int = 48
    num_hidden_layers: int = 2
    num_attention_heads: int = 2
    num_key_value_heads: int = 1
    max_position_embeddings: int = 1024
    patch_size: int = 8
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
