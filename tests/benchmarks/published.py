"""Tiny files in the formats the benchmarks are published in, and what is right in them.

Each writer gives the flags that point its config at the file. Pictures are 32 × 32, as the tiny policy sees them.
"""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

TEXT, INT, IMAGE = datasets.Value("string"), datasets.Value("int64"), datasets.Image()
TEXTS = datasets.Sequence(TEXT)


def picture(colour: str = "white") -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def png(colour: str = "white") -> bytes:
    buffer = BytesIO()
    picture(colour).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(path: Path, features: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """As `datasets` pushes it to the hub: images are structs of bytes and path, the schema names them as images."""
    columns = {name: [row.get(name) for row in rows] for name in features}
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(str(path))
    return str(path)


def tsv(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    """As pandas writes it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


MATHVISTA = [
    ("1", "Is A taller?", ["yes", "no"], None, None, "yes", "multi_choice", "text", "figure question answering"),
    ("2", "Which angle?", ["60°", "70°"], None, None, "70°", "multi_choice", "text", "geometry problem solving"),
    ("3", "How many?", None, None, None, "4", "free_form", "integer", "math word problem"),
    ("4", "What share?", None, None, 2.0, "0.25", "free_form", "float", "figure question answering"),
    ("5", "How old is he?", None, "years", None, "12", "free_form", "integer", "visual question answering"),
    (
        "6",
        "Which layer?",
        ["mantle", "crust"],
        None,
        None,
        "crust",
        "multi_choice",
        "text",
        "textbook question answering",
    ),
]


def mathvista(folder: Path) -> str:
    names = ("pid", "question", "choices", "unit", "precision", "answer", "question_type", "answer_type")
    struct = dict.fromkeys(("category", "context", "grade", "language", "source", "split", "task"), TEXT)
    features = {
        **dict.fromkeys(("pid", "question", "image"), TEXT),
        "decoded_image": IMAGE,
        "choices": TEXTS,
        "unit": TEXT,
        "precision": datasets.Value("float64"),
        **dict.fromkeys(("answer", "question_type", "answer_type"), TEXT),
        "metadata": {**struct, "img_height": INT, "img_width": INT, "skills": TEXTS},
        "query": TEXT,
    }
    rows = [
        {
            **dict(zip(names, values, strict=False)),
            "image": f"images/{values[0]}.jpg",
            "decoded_image": picture(),
            "metadata": {
                **dict.fromkeys(struct, ""),
                "task": values[-1],
                "img_height": 32,
                "img_width": 32,
                "skills": [],
            },
            "query": f"Hint: … Question: {values[1]}",
        }
        for values in MATHVISTA
    ]
    return parquet(folder / "testmini-00000-of-00001.parquet", features, rows)


def m3cot(folder: Path) -> str:
    names = ("id", "category", "image_id", "question", "context", "answer", "rationale", "split", "domain", "topic")
    features = {**dict.fromkeys(names, TEXT), "choices": TEXTS, "image": IMAGE}
    rows: list[dict[str, Any]] = [
        {"id": "physical-1", "question": "Which is colder?", "choices": ["ice", "steam", "tea"], "answer": "A"},
        {"id": "logic-2", "question": "What follows?", "choices": ["rain", "sun"], "answer": "B"},
        {"id": "algebra-3", "question": "What is x?", "choices": ["1", "2", "3", "4"], "answer": "D"},
    ]
    for row, domain in zip(rows, ("science", "commonsense", "mathematics"), strict=True):
        row |= dict.fromkeys(set(names) - row.keys(), "") | {"split": "test", "domain": domain, "image": picture()}
    rows[1] |= {"context": "Clouds.", "image": None}
    return parquet(folder / "test-00000-of-00001.parquet", features, rows)


MMSTAR = [
    ("instance reasoning", "Where is it?\nOptions: A: On the book., B: Beneath the cat, C: Under, D: Left", "A"),
    ("logical reasoning", "What comes next?\nOptions: A: 3, B: 5, C: 8, D: 13", "C"),
    ("science & technology", "Which gas?\nOptions: A: O2, B: N2, C: He, D: H2", "D"),
    (
        "math",
        "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
        "Question: What is the angle?\nChoices:\n(A) 135°\n(B) 140°\n(C) 145°\n(D) 150°",
        "C",
    ),
    ("coarse perception", "What mood?\nOptions: A: sad, B: glad, C: calm, D: none", "B"),
    ("fine-grained perception", "How many dogs?\nOptions: A: 1, B: 2, C: 3, D: 4", "B"),
]


def mmstar_r(folder: Path) -> str:
    features = {
        "index": INT,
        "question": TEXT,
        "image": IMAGE,
        **dict.fromkeys(("answer", "category", "l2_category"), TEXT),
        "meta_info": dict.fromkeys(("source", "split", "image_path"), TEXT),
    }
    rows = [
        {
            "index": index,
            "question": question,
            "image": picture(),
            "answer": answer,
            "category": category,
            "l2_category": "x",
            "meta_info": {"source": "x", "split": "val", "image_path": f"images/{index}.jpg"},
        }
        for index, (category, question, answer) in enumerate(MMSTAR)
    ]
    return parquet(folder / "mmstar.parquet", features, rows)


MMBENCH = [
    # index, question, hint, A, B, C, D, answer, l2-category, image
    (0, "Which is true?", "A snowboard\nhas wax.", "wet", "dry", "", "", "B", "attribute_reasoning", "own"),
    (1, "What comes first?", "", "one", "None", "two", "three", "B", "logic_reasoning", "own"),
    (2, "Who is left?", "", "Ann", 'Bob "B" Hall', "Cid", "", "C", "relation_reasoning", "1"),
    (3, "What mood?", "", "sad", "glad", "", "", "A", "coarse_perception", "own"),
    (4, "What colour?", "", "red", "blue", "", "", "A", "finegrained_perception (instance-level)", "own"),
    (5, "Which is bigger?", "", "left", "right", "", "", "A", "finegrained_perception (cross-instance)", "own"),
    (1_000_000, "Which is true?", "A snowboard\nhas wax.", "dry", "wet", "", "", "A", "attribute_reasoning", "0"),
]


def mmbench_r(folder: Path) -> str:
    names = ("index", "question", "hint", "A", "B", "C", "D", "answer", "l2-category", "image")
    rows = []
    for values in MMBENCH:
        row = dict(zip(names, values, strict=True)) | {"category": "x", "source": "x", "split": "dev"}
        if row["image"] == "own":
            row["image"] = b64encode(png("red" if row["index"] == 1 else "white")).decode()
        rows.append(row)
    return tsv(folder / "MMBench_DEV_EN_V11.tsv", rows)


def ai2d(folder: Path) -> str:
    features = {"question": TEXT, "options": TEXTS, "answer": TEXT, "image": IMAGE}
    rows = [
        {"question": "What eats grass?", "options": ["fox", "hare", "owl", "snake"], "answer": "1", "image": picture()},
        {"question": "Which label is the leaf?", "options": ["C", "A", "E", "B"], "answer": "2", "image": picture()},
        {
            "question": "What is at the top?",
            "options": ["fox", "hare", "owl", "grass"],
            "answer": "0",
            "image": picture(),
        },
    ]
    return parquet(folder / "test-00000-of-00002.parquet", features, rows)


ANGLE = "As shown, find the angle ( )\nChoices:\nA:16°\nB:32°\nC:64°\nD:74°"
MATHVERSE = [
    ("1", "Text Dominant", ANGLE, ANGLE, "C", "multi-choice"),
    ("2", "Vision Intensive", "Find the length.", "Find the length.", "10", "free-form"),
    ("3", "Vision Only", "", ANGLE, "B", "multi-choice"),
    ("4", "Vision Only", "", "", "D", "multi-choice"),
]


def mathverse(folder: Path) -> str:
    names = ("sample_index", "problem_version", "question", "question_for_eval", "answer", "question_type")
    features = {
        **dict.fromkeys((*names, "problem_index", "query_wo", "query_cot"), TEXT),
        "image": IMAGE,
        "metadata": dict.fromkeys(("split", "source", "subject", "subfield"), TEXT),
    }
    rows = []
    for values in MATHVERSE:
        row = dict(zip(names, values, strict=True)) | {"problem_index": values[0], "query_wo": "…", "image": picture()}
        row["query_cot"] = f"Please first conduct reasoning, and then answer.\nQuestion: {values[2]}"
        rows.append(row | {"metadata": dict.fromkeys(("split", "source", "subject", "subfield"), "x")})
    return parquet(folder / "testmini.parquet", features, rows)


def mathvision(folder: Path) -> str:
    features = {
        **dict.fromkeys(("id", "question", "image", "answer", "solution", "subject"), TEXT),
        "options": TEXTS,
        "decoded_image": IMAGE,
        "level": INT,
    }
    rows = [
        {
            "id": "4",
            "question": "Which shape?",
            "options": ["A", "B", "C", "D", "E"],
            "answer": "C",
            "subject": "logic",
        },
        {"id": "5", "question": "How many?", "options": [], "answer": "17", "subject": "counting"},
        {"id": "6", "question": "How far?", "options": ["1 km", "2 km", "3 km"], "answer": "A", "subject": "counting"},
    ]
    extra = {"image": "images/x.jpg", "decoded_image": picture(), "level": 1, "solution": None}
    return parquet(folder / "test-00000-of-00001.parquet", features, [row | extra for row in rows])


WEMATH = [
    ("2steps_1", "2steps_1", "A. 95°  ;B. 145°  ;C. 120°; D. No correct answer", "C"),
    ("2steps_1", "2steps_2", "A. 30°;    B. 60°;    C. 45°;    D. 90°; E. No correct answer", "B"),
    ("2steps_1", "2steps_multi", "A. 5π;B. 4π;C. 3π;D. 2π; E. No correct answer", "E"),
    ("3steps_9", "3steps_1", "A. Right-angled; B. Acute-angled; C. Obtuse-angled; D. No correct answer", "A"),
    ("3steps_9", "3steps_multi", "A. 200;B. 250;C. 260; D. No correct answer", "C"),
]


def wemath(folder: Path) -> str:
    """As in the repository: JSON with a folder of pictures."""
    (folder / "2steps" / "image").mkdir(parents=True)
    picture().save(folder / "2steps" / "image" / "1.png")
    rows = [
        {
            "ID": name,
            "split": "testmini",
            "knowledge concept": "Angles",
            "question": f"The value of {key} is ( )",
            "option": option,
            "answer": answer,
            "image_path": "2steps/image/1.png",
            "key": key,
            "question number": number,
            "knowledge concept description": "…",
        }
        for number, (name, key, option, answer) in enumerate(WEMATH)
    ]
    (folder / "testmini.json").write_text(json.dumps(rows, indent=4))
    return str(folder / "testmini.json")


def mathv360k(folder: Path) -> str:
    for source in ("TabMWP", "IconQA"):
        (folder / "data_images" / source / "images").mkdir(parents=True)
        picture().save(folder / "data_images" / source / "images" / "1.png")
    hint = "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3"
    rows = [
        {
            "id": f"identity_{i}",
            "image": f"{source}/images/1.png",
            "conversations": [
                {"from": "human", "value": f"<image>\n{question}"},
                {"from": "gpt", "value": f"The answer is {answer}"},
            ],
        }
        for i in range(4)
        for source, question, answer in (
            ("TabMWP", f"{hint}\nQuestion: How many are {i}?", str(i)),
            ("IconQA", f"Question: Is it {i}?\nChoices:\n(A) yes\n(B) no", "B"),
        )
    ]
    (folder / "train_samples_all_tuning.json").write_text(json.dumps(rows))
    return str(folder / "train_samples_all_tuning.json")
