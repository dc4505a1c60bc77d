"""The rollout store: every finished group is on disk once, and a stage asked twice gives the same answer.

    <run>/rollouts/iteration-0003/part-00000.jsonl     groups as they finish, one file a rank
    <run>/rollouts/iteration-0003/scored-00000.parquet one rank's scored groups
    <run>/rollouts/iteration-0003/rollouts.parquet     all rollouts, scored, kept or dropped and why
    <run>/rollouts/iteration-0003/manifest.json        the seal: key, counts, seconds, versions

A stage is one such folder. Its key says what it was made from; opened with another key it refuses. ``datasets`` and
pyarrow read the Parquet files directly. Prompts are referenced by id and hash: neither images nor reference answers
are copied in.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from mstar.files import checksum, explained, read_json, write_atomically, write_json
from mstar.rollout.fingerprint import prompt_digest
from mstar.types import Group, Prompt, Rollout

SYNC_SECONDS = 1.0  # a power cut may lose this much; a killed process loses nothing it flushed
Key = Mapping[str, Any]
ROLLOUTS, MANIFEST = "rollouts.parquet", "manifest.json"
FIELDS = {field.name for field in fields(Rollout)}


def iteration_folder(run: Path, iteration: int) -> Path:
    """Where a run keeps the rollouts of an iteration."""
    return run / "rollouts" / f"iteration-{iteration:04d}"


class Stage:
    """One folder of the store.

    Args:
        folder: Where it lives; made when the stage is opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def sealed(self) -> bool:
        """Whether the stage is complete; nothing is written to it any more."""
        return (self.folder / MANIFEST).is_file()

    @property
    def manifest(self) -> dict[str, Any]:
        """The seal of a complete stage."""
        manifest: dict[str, Any] = read_json(self.folder / MANIFEST)
        return manifest

    def open(self, key: Key) -> None:
        """Begin the stage, or go on with what an earlier run of the same key left.

        Raises:
            RuntimeError: If the folder was made from something else; the message names what differs.
        """
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        found = self.manifest["key"] if self.sealed else self._key_of_parts()
        if found is not None:
            require_same(found, json.loads(json.dumps(key)), self.folder)

    def part(self, rank: int, key: Key) -> Part:
        """The append-only file of this rank."""
        return Part(self.folder / f"part-{rank:05d}.jsonl", key)

    def generated(self) -> dict[str, tuple[Rollout, ...]]:
        """Finished groups of all ranks so far, by name."""
        return {name: rollouts for path in self._parts() for name, rollouts in read_part(path)}

    def dropped(self) -> dict[str, str]:
        """Why prompts were not asked, by id; of all ranks so far, or of the sealed stage."""
        if self.sealed:
            reasons: dict[str, str] = self.manifest.get("dropped", {})
            return reasons
        return {name: reason for path in self._parts() for name, reason in read_drops(path)}

    def write_scored(self, rank: int, groups: Sequence[Group]) -> None:
        """Write this rank's scored groups, whole or not at all."""
        write_atomically(self.folder / f"scored-{rank:05d}.parquet", to_parquet(groups))

    def read_scored(self, world_size: int) -> dict[str, tuple[Rollout, ...]]:
        """Scored rollouts of all ranks, by prompt id."""
        files = [self.folder / f"scored-{rank:05d}.parquet" for rank in range(world_size)]
        return {name: rollouts for file in files for name, rollouts in from_parquet(file).items()}

    def seal(
        self,
        groups: Sequence[Group],
        key: Key,
        seconds: Mapping[str, float],
        spent: Mapping[str, float] | None = None,
    ) -> None:
        """Write the final rollouts, then the manifest; intermediate files go last.

        Args:
            groups: Scored, selected.
            key: What the stage was made from.
            seconds: Wall time of the stage's phases.
            spent: What the engine of rank 0 counted since the stage was last begun (``Account``).
        """
        write_atomically(self.folder / ROLLOUTS, to_parquet(groups))
        dropped = self.dropped()
        rollouts = [rollout for group in groups for rollout in group]
        manifest = {
            "key": dict(key),
            "prompts": [group.prompt.id for group in groups],
            "asked": prompt_digest([group.prompt for group in groups]),
            "dropped": dropped,
            "counts": {
                "prompts": len(groups),
                "dropped": len(dropped),
                "rollouts": len(rollouts),
                "correct": sum(r.correct for r in rollouts),
                "unscorable": sum(r.verdict == "unscorable" for r in rollouts),
                "kept": sum(r.kept is True for r in rollouts),
                "tokens": sum(len(r.tokens) for r in rollouts),
            },
            "seconds": dict(seconds),
            "spent": dict(spent or {}),
            "checksums": {ROLLOUTS: checksum(self.folder / ROLLOUTS)},
            "versions": {name: version(name) for name in ("torch", "transformers", "lightning")},
        }
        write_json(self.folder / MANIFEST, manifest)
        for leftover in [*self._parts(), *self.folder.glob("scored-*.parquet")]:
            leftover.unlink()

    def read(self) -> dict[str, tuple[Rollout, ...]]:
        """Rollouts of a sealed stage by prompt id.

        Raises:
            RuntimeError: If they are not what was sealed: removed, or changed on disk.
        """
        self.verify()
        return from_parquet(self.rollouts)

    @property
    def rollouts(self) -> Path:
        """The Parquet file of a sealed stage."""
        return self.folder / str(self.manifest.get("rollouts", ROLLOUTS))

    def amend(self, **changes: Any) -> None:
        """Change what the manifest says, as a retention policy does."""
        write_json(self.folder / MANIFEST, {**self.manifest, **changes})

    def verify(self) -> None:
        """Hold the files of a sealed stage against the checksums in its manifest.

        Raises:
            RuntimeError: Naming the file that is missing or has changed.
        """
        manifest = self.manifest
        for name, expected in manifest.get("checksums", {}).items():
            file = self.folder / name
            if not file.is_file():
                pruned = f": {manifest['retention']}" if "retention" in manifest else ""
                raise RuntimeError(f"{file} is gone{pruned}. Restore it from a copy, or give a run that still has it.")
            if checksum(file) != expected:
                raise RuntimeError(
                    f"{file} is not what was sealed: its checksum is {checksum(file)}, the manifest's {expected}. "
                    f"Restore it from a copy, or remove {self.folder} to sample it again."
                )

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.jsonl"))

    def _key_of_parts(self) -> Any:
        heads = (read_head(path) for path in self._parts())
        return next((head for head in heads if head is not None), None)


class Part:
    """One rank's append-only file: a line with the key, then a line a finished group.

    A line that a killed run left torn is cut off before the first append. Use as a context manager.
    """

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        self.key = key
        self.file: TextIO | None = None
        self.synced = 0.0

    def __enter__(self) -> Part:
        whole = _whole_lines(self.path)
        with explained(self.path):
            self.file = open(self.path, "a", encoding="utf-8")
        try:
            self.file.truncate(sum(len(line) for line in whole))
            if not whole:
                self._write({"key": dict(self.key)})
        except BaseException:
            self.file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self.file is not None
        self._sync()
        self.file.close()

    def append(self, group: Group) -> None:
        """Write a finished group under its name."""
        self._write({"name": group.name, "rollouts": [vars(rollout) for rollout in group]})

    def drop(self, name: str, reason: str) -> None:
        """Write down why a prompt is not asked."""
        self._write({"name": name, "dropped": reason})

    def _write(self, record: Mapping[str, Any]) -> None:
        assert self.file is not None
        with explained(self.path):
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        if time.monotonic() - self.synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        assert self.file is not None
        with explained(self.path):
            os.fsync(self.file.fileno())
        self.synced = time.monotonic()


def read_head(path: Path) -> Any:
    """The key a part was begun with; ``None`` if the run was killed before it was written."""
    lines = _whole_lines(path)
    if not lines:
        return None
    try:
        return json.loads(lines[0])["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"{path}, line 1: this is not the key of a stage ({error!r}). Restore the file from a copy, or remove it "
            f"to sample its groups again."
        ) from error


def read_part(path: Path) -> Iterator[tuple[str, tuple[Rollout, ...]]]:
    """Finished groups of a part; a torn last line is left out."""
    for record in _records(path):
        if "rollouts" in record:
            yield record["name"], tuple(rollout_of(row) for row in record["rollouts"])


def read_drops(path: Path) -> Iterator[tuple[str, str]]:
    """Prompts a part's rank could not ask, each with the reason."""
    return ((record["name"], record["dropped"]) for record in _records(path) if "dropped" in record)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_whole_lines(path)[1:], start=2):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise RuntimeError(
                f"{path}, line {number}: this is no group any more ({error}). Take the line out to sample its group "
                f"again; the other lines stay."
            ) from error


def _whole_lines(path: Path) -> list[bytes]:
    if not path.is_file():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def rollout_of(row: Mapping[str, Any]) -> Rollout:
    """A rollout from a row of JSON or Parquet; columns that are not its fields are left out."""
    known = {name: value for name, value in row.items() if name in FIELDS}
    for name in ("tokens", "logprobs", "step_rewards"):
        known[name] = None if known.get(name) is None else tuple(known[name])
    known["rewards"] = {k: v for k, v in (known.get("rewards") or {}).items() if v is not None}
    return Rollout(**known)


def to_parquet(groups: Iterable[Group]) -> bytes:
    """Rollouts as a Parquet file, one row each, with the prompt's question and kind beside them."""
    rows = [
        {"question": group.prompt.question, "kind": group.prompt.kind, **vars(rollout)}
        for group in groups
        for rollout in group
    ]
    for row in rows:
        row["rewards"] = row["rewards"] or None  # Parquet has no struct without fields
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def from_parquet(path: Path) -> dict[str, tuple[Rollout, ...]]:
    """Rollouts of a Parquet file by prompt id, in the file's order."""
    found: dict[str, list[Rollout]] = {}
    for row in pq.read_table(path).to_pylist():
        rollout = rollout_of(row)
        found.setdefault(rollout.prompt_id, []).append(rollout)
    return {name: tuple(rollouts) for name, rollouts in found.items()}


def join(prompts: Sequence[Prompt], rollouts: Mapping[str, tuple[Rollout, ...]]) -> list[Group]:
    """Groups in the order of the prompts, joined by id; prompts without rollouts are left out."""
    return [Group(prompt, rollouts[prompt.id]) for prompt in prompts if prompt.id in rollouts]


def require_same(found: Key, wanted: Key, folder: Path) -> None:
    """Refuse to go on in a folder that was made from something else.

    Raises:
        RuntimeError: Naming each field of the key that differs, with both values.
    """
    different = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if different:
        details = "; ".join(f"{name} was {found.get(name)!r}, is now {wanted.get(name)!r}" for name in different)
        raise RuntimeError(
            f"{folder} holds rollouts made from something else: {details}. Restore the earlier setting, or start "
            f"afresh with another --trainer.default_root_dir (nothing was overwritten)."
        )
