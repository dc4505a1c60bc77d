"""A stub with the interface of Phi-3.5-vision's own code: a causal language model whose negative ids are images."""

import torch
from torch import nn
from transformers import GenerationMixin, LlamaConfig, LlamaModel, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_phi3_v import Phi3VConfig


class Phi3ImageEmbedding(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.img_processor = nn.Conv2d(3, config.hidden_size, config.patch_size, config.patch_size)
        self.img_projection = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, pixels):
        return self.img_projection(self.img_processor(pixels).flatten(2).transpose(1, 2)).flatten(0, 1)


class Phi3VModel(LlamaModel):
    def __init__(self, config):
        names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        more = ("num_key_value_heads", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
        settings = {name: getattr(config, name) for name in (*names, *more)}
        super().__init__(LlamaConfig(**settings, initializer_range=0.08))
        self.vision_embed_tokens = Phi3ImageEmbedding(config)

    def forward(self, input_ids=None, pixel_values=None, image_sizes=None, **kwargs):
        embedded = self.embed_tokens(input_ids.clamp(min=0))
        if pixel_values is not None and bool((input_ids < 0).any()):
            embedded = embedded.masked_scatter((input_ids < 0)[..., None], self.vision_embed_tokens(pixel_values))
        return super().forward(inputs_embeds=embedded, **kwargs)


class Phi3VForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = Phi3VConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def __init__(self, config):
        super().__init__(config)
        self.model = Phi3VModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self):
        return self.lm_head

    def get_decoder(self):
        return self.model

    def forward(
        self,
        input_ids: torch.LongTensor = None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        pixel_values=None,
        image_sizes=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
    ):
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            use_cache=use_cache,
        )
        return CausalLMOutputWithPast(
            logits=self.lm_head(found.last_hidden_state), past_key_values=found.past_key_values
        )
