from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mstar.answers import verify
from mstar.demo import easyvqa as demo
from mstar.demo.tiny import TinyLlava
from mstar.files import write_json
from mstar.prompts import DatasetPrompts
from tests.demo.easyvqa import easyvqa


@pytest.fixture
def source(tmp_path: Path) -> DatasetPrompts:
    folder = easyvqa(tmp_path, 20)
    fields = {"images": "images/{image}.png", "kind": "answer"}
    columns = ["question", "answer", "image"]
    return DatasetPrompts(str(folder / "train" / "questions.json"), columns=columns, fields=fields)


def test_worked_responses_are_made_of_answers_about_the_same_image(source: DatasetPrompts) -> None:
    worked = demo.Worked(source, 10)
    assert list(worked.ids()) == [str(row) for row in range(3, 13)]  # image 0 was not asked for its colour
    assert worked[1].cot == "shape: rectangle\ncolor: green\nAnswer: no" and worked[1].answer == "no"
    assert all(verify(worked[i].cot or "", worked[i]).verdict == "correct" for i in range(10))
    assert worked.contents().first.tolist() == source.contents().first[3:13].tolist()


def test_too_few_worked_responses_are_said(source: DatasetPrompts) -> None:
    with pytest.raises(ValueError, match=r"Worked\.num is 1000, but only 64 prompts"):
        demo.Worked(source, 1000)


def test_the_tiny_model_takes_other_pictures_and_words(source: DatasetPrompts) -> None:
    worked = demo.Worked(source, 8)
    tiny = TinyLlava(
        side=64,
        cell=16,
        paper=0.75,
        contrast=0.3,
        texts=worked,
        hidden_size=32,
        mlp_size=32,
        num_heads=2,
        num_kv_heads=2,
    )
    model, processor = tiny.load()
    inputs = processor(images=list(worked[0].images), text="<image>what color is the shape?", return_tensors="pt")
    assert inputs["input_ids"].shape[1] == 16 + 6 and inputs["pixel_values"].shape[-2:] == (64, 64)
    assert model(**inputs).logits.shape[:2] == inputs["input_ids"].shape
    with pytest.raises(ValueError, match=r"side is 64, which 24 \(cell\) does not divide"):
        TinyLlava(side=64, cell=24)


def test_floors_do_not_look_at_images() -> None:
    train = [("a?", "no")] * 3 + [("b?", "yes")] * 2
    test = [("a?", "no"), ("b?", "yes"), ("b?", "no"), ("never asked?", "no")]
    assert demo.floors(train, test) == {"majority": 0.75, "by_question": 0.5}


def measured(**kinds: tuple[int, float]) -> dict[str, Any]:
    total = sum(num for num, _ in kinds.values())
    right = sum(num * accuracy for num, accuracy in kinds.values())
    parts = {answer: {"num_prompts": num, "accuracy": accuracy} for answer, (num, accuracy) in kinds.items()}
    return {"test": {"num_prompts": total, "accuracy": right / total, "ci95": [0.1, 0.9], "kinds": parts}}


def test_the_summary_says_what_evolution_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    easyvqa(tmp_path / "data" / "easy-vqa", 8)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs"
    for number, (policy, stage) in enumerate(demo.POLICIES.items()):
        share = number / 4
        kinds = {"yes": (30, share), "no": (50, share), "circle": (10, share), "teal": (10, share)}
        (out / stage).mkdir(parents=True)
        write_json(out / stage / "evaluation.json", measured(**kinds))
        (out / demo.TRAINED[policy]).mkdir()
        write_json(out / demo.TRAINED[policy] / "attempts.json", [{"cpu_seconds": 2.0}, {"cpu_seconds": None}])
        write_json(out / demo.TRAINED[policy] / "done.json", {"seconds": 3.0})
    monkeypatch.setattr("sys.argv", ["easyvqa", "--out", str(out)])
    demo.main()
    printed = capsys.readouterr().out
    assert "evolved: 25.0 points above the control, 50.0 above the warm-up" in printed
    summary = json.loads((out / "summary.json").read_text())
    assert summary["policies"]["evolved"]["asks"]["yes/no"]["num_prompts"] == 80
    assert summary["cpu_seconds"] == {"warm-up": 2.0, "control": 2.0, "evolved": 2.0}
    assert summary["floor"]["majority"] == pytest.approx(8 / 30)
