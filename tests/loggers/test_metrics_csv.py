"""metrics.csv: no row twice, none lost, however a run ends."""

from __future__ import annotations

from csv import DictReader
from pathlib import Path

from mstar.loggers import MetricsCsv


def rows(folder: Path) -> list[dict[str, str]]:
    return list(DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_rows_are_on_disk_as_they_are_logged_and_columns_grow(tmp_path: Path) -> None:
    logger = MetricsCsv(str(tmp_path / "logs"))
    logger.log_metrics({"train/loss": 0.5, "epoch": 0}, 0)
    logger.log_metrics({"train/loss": 0.25, "epoch": 0}, 1)
    assert rows(tmp_path / "logs") == [
        {"step": "0", "epoch": "0", "train/loss": "0.5"},
        {"step": "1", "epoch": "0", "train/loss": "0.25"},
    ]
    logger.log_metrics({"val/accuracy": 1.0, "epoch": 0}, 1)
    assert rows(tmp_path / "logs")[0]["val/accuracy"] == ""
    assert rows(tmp_path / "logs")[2] == {"step": "1", "epoch": "0", "train/loss": "", "val/accuracy": "1.0"}


def test_a_resumed_run_goes_on_and_what_it_repeats_takes_its_rows_place(tmp_path: Path) -> None:
    first = MetricsCsv(str(tmp_path))
    for step in range(3):
        first.log_metrics({"train/loss": float(step)}, step)
    first.log_metrics({"val/accuracy": 0.5}, 2)
    second = MetricsCsv(str(tmp_path))  # from the checkpoint of step 1 on
    for step in (2, 3):
        second.log_metrics({"train/loss": 10.0 + step}, step)
    second.log_metrics({"val/accuracy": 0.75}, 2)
    assert [(row["step"], row["train/loss"], row["val/accuracy"]) for row in rows(tmp_path)] == [
        ("0", "0.0", ""),
        ("1", "1.0", ""),
        ("2", "12.0", ""),
        ("2", "", "0.75"),
        ("3", "13.0", ""),
    ]


def test_a_row_that_a_kill_tore_apart_is_left_out(tmp_path: Path) -> None:
    MetricsCsv(str(tmp_path)).log_metrics({"train/loss": 0.5}, 0)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1,0.2")  # 0.25 was to come
    MetricsCsv(str(tmp_path)).log_metrics({"train/loss": 0.25}, 1)
    assert [row["train/loss"] for row in rows(tmp_path)] == ["0.5", "0.25"]


def test_a_file_that_a_kill_left_empty_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("")
    MetricsCsv(str(tmp_path)).log_metrics({"train/loss": 0.25}, 1)
    assert len(rows(tmp_path)) == 1
