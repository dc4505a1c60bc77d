"""Our requests in vLLM's words, and its responses in ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mstar.modules.policy import Policy
from mstar.modules.renderer import Renderer, end_tokens, placeholders
from mstar.rollout.vllm.replica import Response
from mstar.seeds import stable_seed
from mstar.types import Finish, Group, Request, Rollout, Sampling


def to_prompt(renderer: Renderer, request: Request) -> dict[str, Any]:
    """Tokens with one placeholder an image, as the chat template has it: vLLM expands it, and encodes each image once.

    The tokens of a response that is there already follow.
    """
    ids = renderer.unexpanded(request.prompt)
    prompt: dict[str, Any] = {"prompt_token_ids": [*ids, *request.prefix]}
    if request.prompt.images:
        prompt["multi_modal_data"] = {"image": list(request.prompt.images)}
    return prompt


def to_params(policy: Policy, request: Request, sampling: Sampling, seed: int, logprobs: bool) -> dict[str, Any]:
    """The arguments of ``SamplingParams``.

    vLLM gives response i of a request the seed s + i: s is a hash, so that the seeds of two requests do not meet.
    Banned tokens get a bias of minus infinity (``bad_words`` takes texts, which tokenise in more than one way, and
    ``allowed_token_ids`` a list of the whole vocabulary with each request).
    """
    greedy = sampling.temperature == 0
    banned = placeholders(policy.model)
    return {
        "n": 1 if greedy else sampling.num_responses,  # vLLM refuses more greedy ones; they would be equal
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "max_tokens": sampling.max_new_tokens,
        "seed": None if greedy else stable_seed(seed, request.stream) >> 1,  # s + n still fits 63 bits
        "stop": list(sampling.stop),
        "include_stop_str_in_output": True,
        "detokenize": bool(sampling.stop),
        "stop_token_ids": end_tokens(policy.model, policy.renderer),
        "ignore_eos": True,  # the line above names all ends
        "logit_bias": dict.fromkeys(banned, -math.inf) or None,
        "logprobs": 0 if logprobs else None,  # 0 further tokens beside the sampled one
    }


def to_group(renderer: Renderer, request: Request, sampling: Sampling, responses: Sequence[Response]) -> Group:
    """A finished request's group; a greedy response stands for all n.

    Raises:
        RuntimeError: If vLLM ended a response for another reason than an end or the length.
    """
    every = [*responses] * sampling.num_responses if sampling.temperature == 0 else responses
    rollouts = tuple(_rollout(renderer, request, sampling, i, response) for i, response in enumerate(every))
    return Group(request.prompt, rollouts, request.key)


def _rollout(renderer: Renderer, request: Request, sampling: Sampling, index: int, response: Response) -> Rollout:
    tokens = (*request.prefix, *response.tokens)
    return Rollout(
        prompt_id=request.prompt.id,
        index=index,
        text=renderer.decode(tokens),
        tokens=tokens,
        finish=_finish(request, response),
        temperature=sampling.temperature,
        logprobs=response.logprobs,
    )


def _finish(request: Request, response: Response) -> Finish:
    if response.finish == "stop":
        return "stop"
    if response.finish == "length":
        return "length"
    raise RuntimeError(
        f"vLLM ended a response to prompt {request.prompt.id!r} with {response.finish!r}. Its log says why; what was "
        "finished before is in the rollout store, so run the same command again to go on."
    )
