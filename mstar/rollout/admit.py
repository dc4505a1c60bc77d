"""Which prompts a policy can be asked: what cannot be read or does not fit is dropped before anything is sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mstar.modules.families import family_of
from mstar.modules.policy import Policy
from mstar.modules.renderer import placeholders
from mstar.types import Prompt, Sampling


def unusable(policy: Policy, prompts: Sequence[Prompt], sampling: Sampling) -> dict[str, str]:
    """Why prompts cannot be asked, by id; those that can are left out."""
    room, what = sampling.max_new_tokens, f"sampling.max_new_tokens ({sampling.max_new_tokens:,})"
    reasons = {prompt.id: prompt.unusable or refusal(policy, prompt, room, what) for prompt in prompts}
    return {name: reason for name, reason in reasons.items() if reason}


def require_few(dropped: Mapping[str, str], total: int, max_drop_rate: float) -> None:
    """Stop where too many prompts cannot be asked.

    Raises:
        RuntimeError: If their share is above ``max_drop_rate``; the message gives the first one's reason.
    """
    if len(dropped) > max_drop_rate * total:
        name, reason = next(iter(dropped.items()))
        raise RuntimeError(
            f"{len(dropped):,} of {total:,} prompts cannot be asked, more than max_drop_rate ({max_drop_rate}) allows. "
            f"The first is {name!r}: {reason} All are named in the stage's part files. Mend the data and start afresh "
            f"with another --trainer.default_root_dir, or raise max_drop_rate and run the same command again."
        )


def refusal(policy: Policy, prompt: Prompt, room: int, what: str) -> str:
    """Why the policy cannot take a prompt; empty if it can.

    Args:
        policy: The policy.
        prompt: The prompt.
        room: Tokens that must fit into the context behind it.
        what: What these are, in words.
    """
    if not prompt.question.strip() and not prompt.images:
        return f"prompt {prompt.id!r} has neither a question nor an image; fill it in."
    model, renderer = policy.model, policy.renderer
    if not prompt.images and family_of(model).needs_image:
        return f"prompt {prompt.id!r} has no image, and {model.config.model_type} takes no prompt without one."
    if reserved := set(renderer.tokenizer(prompt.question)["input_ids"]) & set(placeholders(model)):
        token = renderer.tokenizer.convert_ids_to_tokens(min(reserved))
        return (
            f"the question of prompt {prompt.id!r} holds {token!r}, which stands for an image's pixels; take it out: "
            f"images are shown before the question."
        )
    context = model.config.get_text_config().to_dict().get("max_position_embeddings")
    length = renderer.num_tokens(prompt)
    if context is not None and length + room > context:
        pictures = f" ({sum(map(renderer.added_tokens, prompt.images)):,} of them for images)" if prompt.images else ""
        return (
            f"prompt {prompt.id!r} takes {length:,} tokens{pictures}, which with {what} exceed the model's context of "
            f"{context:,}; shorten it, lower max_new_tokens or the image processor's max_pixels."
        )
    return ""
