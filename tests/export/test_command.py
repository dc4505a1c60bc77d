"""`mstar export`: what comes out is the trained policy, with what it was trained on and how well it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import yaml
from huggingface_hub import DatasetCard, ModelCard
from huggingface_hub.errors import OfflineModeIsEnabled
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from mstar.__main__ import main
from mstar.checkpoints import read_checkpoint
from mstar.cli import main as lightning_cli
from mstar.demo.tiny import TinyLlava
from mstar.export.card import told
from mstar.modules.adapter import Lora
from mstar.modules.backbone import PretrainedBackbone
from mstar.modules.policy import PolicyModule
from mstar.modules.renderer import Renderer
from mstar.rollout.inspect import find_stages, rows_of
from tests.strategies.runs import arguments, between

EPOCHS = 2
NO_EXPORT = (
    "--trainer.callbacks=[{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {filename: last, \
save_on_train_epoch_end: true, enable_version_counter: false}}]"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    made = TinyLlava(hidden_size=64, num_layers=2, mlp_size=64, num_heads=2, num_kv_heads=2, vision_mlp_size=64).load()
    for each in made:
        each.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    more = ["--model.instruction=Think.", f"--trainer.max_epochs={EPOCHS}"]
    lightning_cli(["fit", *arguments(base, folder, ["lora"], *more, NO_EXPORT)])
    measured = {"accuracy": 0.25, "ci95": [0.1, 0.5], "num_prompts": 1200, "pass@2": 0.5, "pass@2-greedy": 0.25}
    (folder / "evaluation.json").write_text(json.dumps({"test": measured}))
    return folder


@pytest.fixture(scope="module")
def adapter(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapter") / "out"
    main(["export", str(run), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def merged(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "out"
    main(["export", str(run), "--out", str(out), "--merge"])
    return out


@pytest.fixture(scope="module")
def trained(run: Path, base: Path) -> PolicyModule:
    module = PolicyModule(PretrainedBackbone(str(base)), adapter=Lora())
    module.configure_model()
    module.load_state_dict(read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"], strict=False)
    return module.eval()


def test_merged_weights_load_in_plain_transformers_and_are_the_policy(
    merged: Path, run: Path, trained: PolicyModule
) -> None:
    model: Any = AutoModelForImageTextToText.from_pretrained(merged).eval()
    processor: Any = AutoProcessor.from_pretrained(merged)
    assert trained.model is not None
    assert between(trained.model, model, Renderer(processor), run) < 1e-5
    assert processor.chat_template == trained.renderer.processor.chat_template
    generation = GenerationConfig.from_pretrained(merged)
    assert generation.eos_token_id == trained.renderer.tokenizer.eos_token_id


def test_what_vllm_reads_is_there(merged: Path) -> None:
    names = {file.name for file in merged.iterdir()}
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    } < names
    assert {"generation_config.json", "processor_config.json"} < names
    config = json.loads((merged / "config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]  # by which vLLM chooses its own class


def test_the_adapter_alone_loads_beside_its_base(adapter: Path, run: Path, base: Path, trained: PolicyModule) -> None:
    assert {"adapter_config.json", "adapter_model.safetensors"} < {file.name for file in adapter.iterdir()}
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    whole: Any = AutoModelForImageTextToText.from_pretrained(config["base_model_name_or_path"])
    model: Any = PeftModel.from_pretrained(whole, adapter).eval()
    processor: Any = AutoProcessor.from_pretrained(adapter)
    assert trained.model is not None
    assert between(trained.model, model, Renderer(processor), run) < 1e-5
    assert GenerationConfig.from_pretrained(adapter).eos_token_id == trained.renderer.tokenizer.eos_token_id


def test_the_training_set_is_what_was_kept(merged: Path, run: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(merged / "kept"), split="train", cache_dir=str(tmp_path))
    kept = [row for stage in find_stages(run / "rollouts").values() for row in rows_of(stage) if row.kept]
    assert len(kept) > EPOCHS and loaded["text"] == [row.text for row in kept]
    assert loaded["prompt_id"] == [row.prompt_id for row in kept] and "reference" not in loaded.column_names
    card = DatasetCard.load(merged / "kept" / "README.md")
    assert card.data.size_categories == ["n<1K"] and f"{len(kept)} responses" in card.text


def test_the_card_has_recipe_figures_and_provenance(merged: Path, run: Path) -> None:
    card = ModelCard.load(merged / "README.md")
    assert card.data.pipeline_tag == "image-text-to-text" and card.data.library_name == "transformers"
    assert "| test | greedy accuracy | 25.0 | 10.0 to 50.0 | 1,200 |" in card.text
    assert "| test | pass@2 | 50.0 | not made | 1,200 |" in card.text and "pass@2-greedy" not in card.text
    assert "| optimizer | AdamW (lr 0.01, eps 1e-08, weight_decay 0.01) |" in card.text and "    Think." in card.text
    assert "| selectors | KeepCorrect, RandomK (k 2) |" in card.text
    for name, stage in find_stages(run / "rollouts").items():
        assert f"| {name} | " in card.text and f"{stage.manifest['key']['policy']} |" in card.text
    assert "{{" not in card.text and "{%" not in card.text
    config = yaml.safe_load((merged / "mstar.yaml").read_text())
    assert config["model"]["init_args"]["instruction"] == "Think."


def test_an_earlier_checkpoint_was_trained_on_no_later_iteration(run: Path, tmp_path: Path) -> None:
    state = read_checkpoint(run / "checkpoints" / "last.ckpt")
    first = tmp_path / "first.ckpt"
    torch.save({**state, "epoch": 0}, first)
    main(["export", str(run), "--out", str(tmp_path / "out"), "--checkpoint", str(first)])
    kept = datasets.load_dataset(str(tmp_path / "out" / "kept"), split="train", cache_dir=str(tmp_path / "cache"))
    assert set(kept["stage"]) == {"iteration-0000"}
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert [each["name"] for each in record["iterations"]] == ["iteration-0000"]


def test_the_same_command_again_leaves_it_alone(merged: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in merged.rglob("*")}
    main(["export", str(run), "--out", str(merged), "--merge"])
    assert "there already" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in merged.rglob("*")} == before


def fails(*args: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, args)])
    return str(ended.value.code)


def test_another_export_is_not_overwritten(merged: Path, run: Path) -> None:
    assert "holds another export: merge was True, is now False" in fails(run, "--out", merged)


def test_what_was_measured_anew_is_not_said_to_be_there(run: Path, tmp_path: Path) -> None:
    measured = tmp_path / "test"
    measured.mkdir()
    for accuracy in (0.5, 0.75):
        found = {"test": {"accuracy": accuracy, "ci95": [0.1, 0.9], "num_prompts": 8}}
        (measured / "evaluation.json").write_text(json.dumps(found))
        command = [run, "--out", tmp_path / "out", "--measured", measured]
        if accuracy == 0.5:
            main(["export", *map(str, command)])
    assert "holds another export: figures was" in fails(*command)


def test_a_folder_of_others_is_not_touched(run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    assert "is not empty, and not of `mstar export`" in fails(run, "--out", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_without_a_checkpoint_is_named(run: Path, tmp_path: Path) -> None:
    assert "has no checkpoint best or last; give the folder of a run" in fails(tmp_path, "--out", tmp_path / "out")
    said = fails(run, "--out", tmp_path / "out", "--checkpoint", "bets")
    assert said.endswith(f"{run} has no checkpoint bets; there are --checkpoint last.")
    several = tmp_path / "several"
    several.mkdir()
    (several / "one").symlink_to(run)
    assert fails(several, "--out", tmp_path / "out").endswith(f"a folder of several runs: give one of {several}/one.")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_in_parts_must_be_made_whole(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "last.ckpt").mkdir(parents=True)
    assert "consolidate_checkpoint" in fails(tmp_path, "--out", tmp_path / "out")


def test_a_base_that_is_gone_is_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    (tmp_path / "logs").mkdir()
    config = yaml.safe_load((run / "logs" / "config.yaml").read_text())
    config["model"]["init_args"]["backbone"]["init_args"] |= {"path": str(tmp_path / "gone"), "quantization": "nf4"}
    (tmp_path / "logs" / "config.yaml").write_text(yaml.safe_dump(config))
    assert str(tmp_path / "gone") in fails(tmp_path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_measured_nothing_is_named(run: Path, tmp_path: Path) -> None:
    said = fails(run, "--out", tmp_path / "out", "--measured", tmp_path)
    assert "has neither evaluation.json nor benchmark.json" in said


class Hub:
    """Stands for ``HfApi``: there is no network here."""

    calls: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012 (cleared by each test)
    offline = False

    def create_repo(self, repo_id: str, **settings: Any) -> None:
        self.calls.append(("create", {"repo_id": repo_id, **settings}))

    def upload_folder(self, **settings: Any) -> str:
        if self.offline:
            raise OfflineModeIsEnabled("offline")
        self.calls.append(("upload", settings))
        return f"https://hub/{settings['repo_id']}"


def test_push_sends_the_model_and_beside_it_the_data(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mstar.export.push.HfApi", Hub)
    Hub.calls.clear()
    out = tmp_path / "out"
    command = ["export", str(run), "--out", str(out), "--merge", "--push", "me/evolved"]
    monkeypatch.setattr(Hub, "offline", True)
    with pytest.raises(SystemExit, match="is written, but not pushed"):
        main(command)
    monkeypatch.setattr(Hub, "offline", False)
    Hub.calls.clear()
    main(command)
    (_, model), (_, sent), (_, data), (_, kept) = Hub.calls
    assert (model["repo_id"], model["private"], model["exist_ok"]) == ("me/evolved", True, True)
    assert sent["folder_path"] == out and sent["ignore_patterns"] == ["kept/**"]
    assert (data["repo_id"], data["repo_type"]) == ("me/evolved-kept", "dataset")
    assert (kept["repo_id"], kept["folder_path"]) == ("me/evolved-kept", out / "kept")
    assert "https://hub/me/evolved\nhttps://hub/me/evolved-kept\n" in capsys.readouterr().out
    assert ModelCard.load(out / "README.md").data.datasets == ["me/evolved-kept"]
    assert 'load_dataset("me/evolved-kept"' in (out / "kept" / "README.md").read_text()


def test_a_cell_of_a_table_stays_one() -> None:
    assert told("a|b\nc") == "a\\|b c"
