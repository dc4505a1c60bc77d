"""Reference answers as the responses to imitate: what plain SFT on questions and answers trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mstar.prompts.contents import Contents, contents_of
from mstar.prompts.listed import ListedPrompts, prompt_ids
from mstar.types import Prompt, PromptSource


class Answered(ListedPrompts):
    """Gives each labelled prompt its reference answer as worked response: the paper's row "SFT" of Table 1.

    The paper does not state the format of its targets; here it is the answer alone, written as the policy is to write
    it, so that the verifier finds it.

    Args:
        source: Labelled prompts.
        template: The response; ``{answer}`` is replaced by the reference answer.
    """

    def __init__(self, source: PromptSource, template: str = "Answer: {answer}") -> None:
        if "{answer}" not in template:
            raise ValueError(f"Answered.template is {template!r}; it must say {{answer}} where the answer goes.")
        self.source = source
        self.template = template

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> Prompt:
        prompt = self.source[index]
        if prompt.answer is None:
            raise ValueError(
                f"Prompt {prompt.id!r} has no reference answer to imitate; give Answered labelled prompts."
            )
        return replace(prompt, cot=self.template.replace("{answer}", prompt.answer))

    def ids(self) -> Sequence[str]:
        """The source's ids."""
        return prompt_ids(self.source)

    def contents(self) -> Contents:
        """What the source shows."""
        return contents_of(self.source)
