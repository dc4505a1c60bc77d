"""Whole runs and what befalls them: losses that are no numbers, disks, folders, checkpoints, misspelt settings."""

from __future__ import annotations

import builtins
import errno
import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mstar.files
import mstar.rollout.store
from mstar.cli import main
from mstar.demo.scenes import DigitScenes
from mstar.modules.process_reward import ProcessRewardModule
from mstar.modules.step_heads import ScalarHead
from mstar.rewards import ProcessReward
from mstar.run_folder import held
from tests.bad_input.world import Listed, World, read, snapshot
from tests.house.test_evolution import CONFIG, assert_same, fit
from tests.policies import backbone


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    fit(run)
    return run


@pytest.mark.parametrize(("value", "told"), [("nan", "nan"), ("inf", "(nan|-?inf)")])
def test_a_loss_that_is_no_number_stops_before_it_is_trained_on(
    uninterrupted: Path, tmp_path: Path, value: str, told: str
) -> None:
    spoil = ["--trainer.callbacks+=tests.house.stubs.SpoilAtStep", "--trainer.callbacks.step=2"]
    with pytest.raises(RuntimeError, match=rf"the loss is {told} at step 2 \(batch 2 of epoch 0\).*optimizer\.lr"):
        fit(tmp_path, *spoil, f"--trainer.callbacks.value={value}")
    fit(tmp_path)
    assert_same(uninterrupted, tmp_path)


class Disk:
    """Opens files that are on a disk with room for a few bytes more.

    Args:
        room: Bytes.
    """

    def __init__(self, room: int) -> None:
        self.room = room

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """As ``open`` does."""
        file = builtins.open(*args, **kwargs)  # noqa: SIM115 (closed by who asked)
        write = file.write

        def limited(data: Any) -> int:
            fits = data[: max(0, self.room)]
            self.room -= len(data)
            write(fits)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return len(data)

        return _Writing(file, limited)


class _Writing:
    def __init__(self, file: io.IOBase, write: Callable[[Any], int]) -> None:
        self.file = file
        self.write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


FULL = r"No space left on device: free some space and run the same command again; what was finished is kept"


@pytest.mark.parametrize(
    ("module", "room", "file"),
    [
        (mstar.rollout.store, 100, "part-00000.jsonl"),  # in the key
        (mstar.rollout.store, 3_000, "part-00000.jsonl"),  # in a group
        (mstar.files, 100, "scored-00000.parquet"),
        (mstar.files, 9_000, "rollouts.parquet"),
        (mstar.files, 60_000, "last.ckpt"),
    ],
)
def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, room: int, file: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "open", Disk(room).open, raising=False)
        with pytest.raises(OSError, match=rf"{FULL}: '{tmp_path}.*{file}'"):
            fit(tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))
    fit(tmp_path)
    assert_same(uninterrupted, tmp_path)


def test_a_run_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"Not a directory: make it writable, or give another folder .*default_root_dir"):
        fit(tmp_path / "file" / "run")


def test_a_read_only_run_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(tmp_path, "--trainer.max_epochs=1")
    before = snapshot(tmp_path)

    def refuse(path: Any, *_: Any, **__: Any) -> int:  # as root, no mode of a folder would
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(mstar.run_folder.os, "open", refuse)
    with pytest.raises(OSError, match=r"Read-only file system: make it writable, or give another folder"):
        fit(tmp_path)
    assert snapshot(tmp_path) == before


def test_a_folder_held_by_another_process_is_refused(tmp_path: Path) -> None:
    with (
        held(tmp_path),
        pytest.raises(RuntimeError, match=r"Another run is at work in .*Wait for it, stop it"),
    ):
        fit(tmp_path)
    fit(tmp_path, "--trainer.max_epochs=1")


class Evil:
    """What a pickle may do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/mstar-was-here"),))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2_000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("no checkpoint")


def objects(file: Path) -> None:
    checkpoint = torch.load(file, weights_only=True)
    torch.save({**checkpoint, "evil": Evil()}, file)


def plain_pickle(file: Path) -> None:
    file.write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))


def weights_alone(file: Path) -> None:
    torch.save(torch.load(file, weights_only=True)["state_dict"], file)


def a_list(file: Path) -> None:
    torch.save([1, 2], file)


NOT_READ = r"last\.ckpt cannot be read \(.*\)\. Remove it to go on from an older one, or restore it from a copy"
NEVER = r"last\.ckpt is not a checkpoint, or holds more than tensors and plain values, which is never loaded"
CHECKPOINTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (cut, NOT_READ),
    "zero bytes": (empty, rf"{NOT_READ}|{NEVER}"),
    "a text": (text, NEVER),
    "with objects": (objects, NEVER),
    "a pickle": (plain_pickle, NEVER),
    "weights alone": (weights_alone, r"is no checkpoint of a run: it has no state_dict"),
    "a list": (a_list, r"is no checkpoint of a run: it has no state_dict"),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_that_is_none_is_named(uninterrupted: Path, tmp_path: Path, case: str) -> None:
    spoil, message = CHECKPOINTS[case]
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    spoil(run / "checkpoints" / "last.ckpt")
    before = snapshot(run / "rollouts")
    with pytest.raises(ValueError, match=message):
        fit(run, "--trainer.max_epochs=3")
    assert snapshot(run / "rollouts") == before and not Path("/tmp/mstar-was-here").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            ["num_layers=2"],
            r"of another model: \d+ weights of this model are not in it \(the first: model\.model\.",
        ),
        (["num_layers=1", "vision_mlp_size=48"], r"of another model: \d+ have another shape \(the first: model\."),
    ],
)
def test_a_checkpoint_of_another_model_is_named(
    uninterrupted: Path, tmp_path: Path, changed: list[str], message: str
) -> None:
    other = [f"--model.init_args.backbone.init_args.{setting}" for setting in changed]
    before = snapshot(uninterrupted)
    with pytest.raises(ValueError, match=f"{message}.*Give model.backbone as in the run that wrote it"):
        fit(tmp_path, *other, f"--ckpt_path={uninterrupted / 'checkpoints' / 'last.ckpt'}")
    assert snapshot(uninterrupted) == before


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .*nothing\.ckpt; give one below"):
        fit(tmp_path, f"--ckpt_path={tmp_path / 'nothing.ckpt'}")


def trained(folder: Path) -> Path:
    module = ProcessRewardModule(backbone(), ScalarHead(), separator="\n")
    module.configure_model()
    module.export(folder, module.state_dict())
    return folder


def another_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    tokens = content["model"]["vocab"]
    names = list(tokens)[-2:]
    tokens[names[0]], tokens[names[1]] = tokens[names[1]], tokens[names[0]]
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (another_tokenizer, ValueError, r"holds another tokenizer than its model was trained with.*Restore tokenizer"),
        (lambda folder: (folder / "process_head.safetensors").unlink(), FileNotFoundError, r"holds no process reward"),
        (lambda folder: (folder / "process_reward.json").write_text("{"), ValueError, r"is not valid JSON"),
    ],
)
def test_a_process_reward_of_another_kind_is_named(
    world: World, tmp_path: Path, spoil: Callable[[Path], Any], error: type[Exception], message: str
) -> None:
    folder = trained(tmp_path / "prm")
    spoil(folder)
    source = read(world.rows())
    with pytest.raises(error, match=message) as broken:
        world.collect(source, reward=ProcessReward(str(folder)))
    assert "ProcessReward was scoring 8 responses" in broken.value.__notes__[0]
    assert len(world.stage.generated()) == 4 and world.intact()
    world.collect(source, reward=ProcessReward(str(trained(tmp_path / "mended"))))
    assert world.stage.sealed


KEYS = [
    (
        ["--trainer.max_epoch=3", "-c", "{bad}"],
        "trainer: {max_epoch: 3}",
        "did you mean 'trainer.max_epochs'?",
    ),
    (["-c", "{bad}"], "trainer: {acelerator: cpu}", "'trainer.acelerator': did you mean 'trainer.accelerator'?"),
    (["-c", "{bad}"], "data: {init_args: {batchsize: 3}}", "'batchsize': did you mean 'batch_size'?"),
    (["-c", "{bad}"], "rewards: {class_path: OutcomeReward}", "'rewards': did you mean 'reward'?"),
    (["-c", "{bad}"], "model: {init_args: {objektive: null}}", "'objektive': did you mean 'objective'?"),
    (["--data.init_args.samplin.num_responses=2"], "", "'samplin': did you mean 'sampling'?"),
    (["--data.batch_sie=2"], "", "'batch_sie': did you mean 'batch_size'?"),
    (["--data.class_path=mstar.datamodules.evolving.EvolvinDataModule"], "", "did you mean 'EvolvingDataModule'?"),
    (["--data.init_args.selectors+=mstar.selection.KeepCorect"], "", "'KeepCorect': did you mean 'KeepCorrect'?"),
]


@pytest.mark.parametrize(("words", "content", "hint"), KEYS)
def test_a_misspelt_key_is_told_from_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], content: str, hint: str
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "-c", CONFIG, f"--trainer.default_root_dir={tmp_path}/run", *(w.format(bad=bad) for w in words)])
    assert ended.value.code == 2 and not (tmp_path / "run").exists()
    assert hint in capsys.readouterr().err.strip().splitlines()[-1]


def torn(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-10])


def garbled(part: Path) -> None:
    lines = part.read_text().splitlines(keepends=True)
    part.write_text("".join([lines[0], "#" * 40 + "\n", *lines[2:]]))


def headless(part: Path) -> None:
    part.write_text("".join(part.read_text().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            garbled,
            r"part-00000\.jsonl, line 2: this is no group any more .*Take the line out to sample its group",
        ),
        (
            headless,
            r"part-00000\.jsonl, line 1: this is not the key of a stage .*Restore the file from a copy, or",
        ),
    ],
)
def test_a_spoilt_part_is_named_and_not_overwritten(
    world: World, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    prompts = Listed(*(DigitScenes("prompts", 4, seed=0)[i] for i in range(4)))
    with pytest.raises(FileNotFoundError):
        world.collect(prompts, reward=ProcessReward(str(tmp_path / "none")))  # sampled, not scored
    part = world.stage.folder / "part-00000.jsonl"
    torn(part)
    assert len(world.stage.generated()) == 3
    spoil(part)
    before = part.read_bytes()
    with pytest.raises(RuntimeError, match=message):
        world.collect(prompts)
    assert part.read_bytes() == before


def test_a_spoilt_seal_is_named(world: World) -> None:
    source = read(world.rows())
    world.collect(source)
    file = world.stage.rollouts
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RuntimeError, match=r"is not what was sealed: its checksum is .* or remove .*iteration-0001 to"):
        world.collect(source)
    (world.stage.folder / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"manifest\.json is not valid JSON .*Remove it, or restore it from a copy"):
        world.collect(source)
    assert world.intact()
