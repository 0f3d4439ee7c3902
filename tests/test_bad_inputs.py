"""bad_inputs.csv is the specification: kinds of input, how each is damaged, and what must be said. Every row is tried, then random damage of every kind."""

import csv
import hashlib
import io
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import zlib
from argparse import ArgumentTypeError
from collections import Counter
from pathlib import Path
from unittest.mock import patch
from zipfile import ZipFile

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import requests
import torch
from brain_mri import coca, efficientdet, keras_training, runner, sam, torch_training, weights, yolov8
from brain_mri.data import (
    BOXES,
    FIGSHARE,
    LABELS,
    MASKS,
    DataError,
    ImageError,
    Scans,
    download,
    load_boxes,
    load_labels,
    load_masks,
    tiny_data,
    write_mat,
    write_scans,
)
from brain_mri.lesions import ARRAYS, LesionStore
from brain_mri.pipeline import spots_pipeline
from brain_mri.reports import Run, read_card
from brain_mri.runner import RunError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TABLE = list(csv.DictReader(Path(__file__).with_name("bad_inputs.csv").open(encoding="utf-8", newline="")))
OURS = (DataError, ImageError, RunError, ArgumentTypeError, ValueError, FileNotFoundError)  # these very classes, and no library's own


@pytest.fixture(scope="module", autouse=True)
def tried(request):
    """How many bad inputs of each kind were tried; printed when the tests of this file are done."""
    counts = Counter()
    yield counts
    kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items()))
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print(f"\nbad inputs tried: {counts.total()} ({kinds})")


# Damage: what becomes of a whole file's bytes. A damage in `...` is the new content itself.

NOISE = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)


def encoded(image, form="PNG", **options):
    """The bytes of a picture."""
    image.save(content := io.BytesIO(), form, **options)
    return content.getvalue()


def png_that_claims(side):
    """A small PNG file that says it has side x side pixels."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)


def changed_mat(name, values):
    """A .mat file with another value of one of its fields; None removes it."""

    def change(whole, file):
        with h5py.File(file, "r+") as content:
            del content[f"cjdata/{name}"]
            if values is not None:
                content[f"cjdata/{name}"] = values
        return file.read_bytes()

    return change


def replaced(make):
    """Whatever `make` leaves at the place of the file, once that is empty."""

    def change(whole, file):
        file.unlink()
        make(file)

    return change


grey = Image.fromarray(NOISE)
DAMAGES = {
    "empty": lambda whole, file: b"",
    "cut in half": lambda whole, file: whole[: len(whole) // 2],
    "first 30 bytes": lambda whole, file: whole[:30],
    "text": lambda whole, file: b"this is no such file",
    "not UTF-8": lambda whole, file: b"\xff\xfe\x00",
    "brackets without end": lambda whole, file: b"[" * 100_000,
    "gone": replaced(lambda file: None),
    "a folder": replaced(Path.mkdir),
    "broken link": replaced(lambda file: file.symlink_to("nowhere")),
    "link to itself": replaced(lambda file: file.symlink_to(file.name)),
    "pipe": replaced(os.mkfifo),
    "two of one name": lambda whole, file: file.with_suffix({".txt": ".xml"}.get(file.suffix, ".png")).write_bytes(whole) and None,
    "array of the same name": lambda whole, file: file.with_suffix(".npy").write_bytes(whole) and None,
    "PNG cut in half": lambda whole, file: encoded(grey)[:900],
    "wrong checksum inside": lambda whole, file: encoded(grey)[:60] + b"XX" + encoded(grey)[62:],
    "PNG called .jpg": lambda whole, file: encoded(grey),
    "GIF called .jpg": lambda whole, file: encoded(grey, "GIF"),
    "1 x 1": lambda whole, file: encoded(grey.resize((1, 1))),
    "16 bit": lambda whole, file: encoded(Image.fromarray(NOISE.astype(np.uint16) * 99)),
    "alpha": lambda whole, file: encoded(grey.convert("RGBA")),
    "palette": lambda whole, file: encoded(grey.convert("P"), transparency=0),
    "CMYK": lambda whole, file: encoded(grey.convert("CMYK"), "JPEG"),
    "animated": lambda whole, file: encoded(grey, save_all=True, append_images=[grey.rotate(90)]),
    "claims 60000 x 60000": lambda whole, file: png_that_claims(60_000),
    "claims 12000 x 12000": lambda whole, file: png_that_claims(12_000),
    "all black": lambda whole, file: encoded(Image.new("L", (32, 32))),
    "other size": lambda whole, file: encoded(Image.new("1", (20, 20), 1)),
    "without image": changed_mat("image", None),
    "image of 3 dimensions": changed_mat("image", np.zeros((2, 32, 32), np.int16)),
    "mask of another size": changed_mat("tumorMask", np.ones((32, 40), np.uint8)),
    "mask of threes": changed_mat("tumorMask", np.full((32, 32), 3, np.uint8)),
    "label 4": changed_mat("label", np.array([[4.0]])),
    "patient id of numbers": changed_mat("PID", np.zeros(2)),
    "patient id beyond letters": changed_mat("PID", np.array([[0x110000]], np.uint32)),
    "another struct": lambda whole, file: whole.replace(b"cjdata", b"cjdota"),
    "MATLAB 5": lambda whole, file: b"MATLAB 5.0 MAT-file".ljust(600),
    "other weights": replaced(lambda file: torch.save({"a": torch.zeros(3)}, file)),
    "a list of numbers": replaced(lambda file: torch.save([1, 2], file)),
    "other network": replaced(lambda file: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(file)),
    "half of the rows": replaced(lambda file: np.save(file.open("wb"), np.zeros((2, 32, 32), np.uint8))),
}


def damage(how, file):
    """Damage a file as a row of the table says."""
    content = how[1:-1].encode() if how[0] == "`" else DAMAGES[how](file.read_bytes(), file)
    if content is not None:
        file.write_bytes(content.replace(rb"\n", b"\n") if how[0] == "`" else content)


# Kinds: each writes whole input into an empty folder and returns the file to damage and a function that reads it and returns what it reports.


def listed(load, folder):
    """What a loader of data sets reports as skipped."""
    return [f"{path}: {reason}" for path, reason in load(folder)[1].values]


def label_line(folder):
    return tiny_data(folder) / BOXES / "Val/Glioma/labels/a.txt", lambda: listed(load_boxes, folder)


def boxed_image(folder):
    return tiny_data(folder) / BOXES / "Val/Glioma/images/a.jpg", lambda: listed(load_boxes, folder)


def image(folder):
    return tiny_data(folder) / LABELS / "Training/glioma/a.jpg", lambda: listed(load_labels, folder)


def scan_to_predict(folder):
    file = tiny_data(folder) / LABELS / "Training/glioma/a.jpg"
    return file, lambda: [str(answer) for _, answer in spots_pipeline().stream([file]) if isinstance(answer, ImageError)]


def mask(folder):
    return tiny_data(folder) / MASKS / "masks/1.png", lambda: listed(load_masks, folder)


def mat(folder):
    (folder / MASKS).mkdir()
    for i in range(1, 11):
        write_mat(folder / MASKS / f"{i}.mat", NOISE[:32, :32], np.eye(32, dtype=bool), "glioma", f"p{i}")
    return folder / MASKS / "1.mat", lambda: listed(load_masks, folder)


def archive(folder, md5=""):
    file = folder / "a.zip"
    with ZipFile(file, "w") as content:
        content.writestr("1.mat", "one" * 100)
    md5 = md5 or hashlib.md5(file.read_bytes()).hexdigest()

    def get(url, **_):
        sent = file.read_bytes()
        entry = {
            "name": "a.zip",
            "download_url": "https://files/1",
            "computed_md5": hashlib.md5(sent).hexdigest() if md5 == "its own" else md5,
        }
        reply = requests.Response()
        reply.status_code, reply.raw = 200, io.BytesIO(json.dumps({"files": [entry]}).encode() if url == FIGSHARE else sent)
        return reply

    def read():
        cache = patch.dict(os.environ, KAGGLEHUB_CACHE=str(folder / "cache"))
        with patch("requests.get", get), patch("kagglehub.dataset_download", return_value=str(folder)), cache:
            download(folder / "data")

    return file, read


def lesions(name, folder):
    shapes = {"images": (4, 32, 32), "masks": (4, 32, 32), "boxes": (4, 4), "scores": (4,), "found": (4,)}
    for key, kind in ARRAYS.items():
        np.save(folder / f"{key}.npy", np.zeros(shapes[key], kind))
    row = dict(path="a", label="glioma", split="train", group=0, mask=None, passing=0, outlined=False)
    (folder / "frame.jsonl").write_text(4 * (json.dumps(row) + "\n"))
    (folder / "store.json").write_text('{"store_size": 32, "median": 3, "threshold": 0.5}')
    return folder / name, lambda: LesionStore(folder) and None


def scans(name, folder):
    data = tiny_data(folder / "data")
    write_scans(folder, data, "f", {"boxes": load_boxes(data)[0]})
    return folder / name, lambda: Scans(folder).frame("boxes") is None


def embedding(folder):
    cache, calls = sam.EmbeddingCache(folder), []
    cache.embed([NOISE], "f" * 64, lambda images: torch.zeros(len(images), 4, 2, 2))
    encode = lambda images: calls.append("made again") or torch.zeros(len(images), 4, 2, 2)
    return next(folder.glob("*.npy")), lambda: cache.embed([NOISE], "f" * 64, encode) is None or calls


TINY = dict(image_size=128, variant="efficientdet_d0", backbone="tinynet_e", channels=16, fpn_cells=1, head_layers=1)
SMALL = dict(
    architecture="small", image_size=32, vocabulary=1514, patch=16, width=32, heads=2, text_width=32, layers=1, text_layers=1, queries=4
)


def detector_weights(folder):
    torch_training.save_weights(efficientdet.build_efficientdet(**TINY), folder)
    card = dict(module="efficientdet", f1_validation=1, architecture=TINY, image_size=128, median=1, threshold=0.5)
    (folder / "detector.json").write_text(json.dumps(card))
    return folder / "weights.pt", lambda: efficientdet.load_detector(folder) and None


def detector_sizes(folder):
    read = detector_weights(folder)[1]
    return folder / "detector.json", read


def published_pth(folder):
    model = torch.nn.Linear(2, 2)
    torch.save(model.state_dict(), folder / "a.pth")
    return folder / "a.pth", lambda: torch_training.start_from(model, "pretrained", folder / "a.pth", "head", "nowhere") and None


def checkpoint(folder):
    torch.save({"state_dict": {}}, folder / "last.ckpt")
    return folder / "last.ckpt", lambda: torch_training.whole_checkpoint(folder / "last.ckpt") is None and ["starts again"]


def yolo_weights(folder):
    (folder / "detector.json").write_text('{"module": "yolov8", "f1_validation": 1, "image_size": 64, "median": 1, "threshold": 0.5}')
    torch.save(yolov8.DetectionModel("yolov8n.yaml", nc=1, verbose=False).state_dict(), folder / "yolov8.pt")
    return folder / "yolov8.pt", lambda: yolov8.load_detector(folder) and None


def yolo_published(folder):
    yolov8.YOLO("yolov8n.yaml").save(folder / "yolov8n.pt")
    return folder / "yolov8n.pt", lambda: yolov8.start_model("pretrained", folder / "yolov8n.pt") and None


def segmenter(name, folder):
    sizes = dict(size=64, patch=8, width=32, depth=1, heads=2)
    sam.save_segmenter(folder, sam.Segmenter(sam.build_small_sam(**sizes), device="cpu"), dict(weights="scratch", sizes=sizes))
    return folder / name, lambda: sam.load_segmenter(folder) and None


def coca_weights(folder):
    torch.save(coca.build_coca(**SMALL).state_dict(), folder / "weights.pt")
    card = dict(module="coca", f1_validation=1, merges=1000, image_size=32, built=SMALL | {"context_length": 24})
    (folder / "classifier.json").write_text(json.dumps(card))
    return folder / "weights.pt", lambda: coca.load_classifier(folder) and None


def keras_parts(folder):
    base = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)], name="base")
    base.save_weights(folder / "base.weights.h5")
    crops = keras_training.CropBatches(np.zeros((8, 32, 32), np.uint8), np.arange(8) % 4, 4)
    return keras_training.build_classifier(base, "tf"), lambda **_: base, crops


def keras_model(folder):
    keras_training.save_model(keras_parts(folder)[0], folder)
    (folder / "classifier.json").write_text('{"module": "keras_training", "f1_validation": 1}')
    return folder / "classifier.keras", lambda: keras_training.load_classifier(folder).model and None


def published_h5(folder):
    application, file = keras_parts(folder)[1], folder / "base.weights.h5"
    return file, lambda: keras_training.build_base(application, 32, "pretrained", str(file)) and None


def keras_state(name, folder):
    model, _, crops = keras_parts(folder)
    read = lambda: keras_training.fit(model, crops, crops, folder / "state", 1, run_eagerly=True).empty
    read()
    return folder / "state" / name, read


def card(folder):
    (folder / "detector.json").write_text('{"module": "yolov8", "f1_validation": 0.5}')
    return folder / "detector.json", lambda: read_card(folder, "detector") and None


def results(name, folder):
    with patch.dict(os.environ, {f"BRAIN_MRI_{place}": str(folder) for place in ("OUT", "WORK", "REPORTS", "RUNS", "CHECKPOINTS")}):
        run = Run("10_toy")
    run.save_metrics("detector", "toy", "none", "none", 0, 1, 1, {"f1": 1.0}, {})
    run.save_predictions(pd.DataFrame({"path": ["a"], "label": ["glioma"]}))
    read = {
        "metrics": lambda: run.metrics("10_toy") and run.all_metrics("detector") and None,
        "predictions": lambda: run.predictions("10_toy") is None,
    }
    return next((folder / name).glob("*")), read[name]


def project_part(name, folder):
    """A file of a toy project whose notebook has run; what is reported is why it would run again."""
    node = runner.toy_project(folder)
    runner.finish_toy(node, "1")
    if name != "runs/smoke/.ready/10_toy/stamp.json":
        runner.publish(node)
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_text("{}")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/a").write_text("a")

    def read():
        runner.module_source.cache_clear()
        runner.publish(node)
        runner.parameters_of(node)
        runner.folder_digest(folder / "data", node.runs / "data_hashes.json")
        return [f"{name}: {reason}" for name, reasons in runner.stale_nodes(node).items() for reason in reasons]

    return file, read


def value(way, folder):
    """A value for a parameter of a toy project, kept in a file and given in one of three ways."""
    node, file = runner.toy_project(folder), folder / "value"
    file.write_text("10_toy:\n  epochs: 1\n" if way == "over" else "epochs=1" if way == "params" else "1")

    def read():
        text = file.read_bytes().decode(errors="replace") if way != "over" else ""
        if way == "params":
            with patch.object(runner, "execute"):
                return runner.run_experiment(node, text)
        node.settings = runner.read_settings(file) if way == "over" else [f"10_toy.epochs={text}"]
        runner.parameters_of(node)

    return file, read


def cached_weights(folder):
    parameters = {"weights": "pretrained"}
    file = folder / next(iter(weights.NEEDS["12_retinanet"]))
    with file.open("wb") as content:
        content.truncate(weights.FILES[file.name].size)
    return file, lambda: weights.with_published("12_retinanet", parameters, folder) and None


def command(folder):
    """A command line; its last line of standard error counts, and a traceback is no answer."""
    file = folder / "arguments"
    file.write_text("brain_mri.runner check --profile smoke")

    def read():
        done = subprocess.run([sys.executable, "-m", *shlex.split(file.read_text())], cwd=ROOT, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        if done.returncode and done.stderr:
            raise RunError(done.stderr.strip().splitlines()[-1])

    return file, read


def named(function, name):
    return lambda folder: function(name, folder)


KINDS = {
    "label file": label_line,
    "image beside a label file": boxed_image,
    "image": image,
    "scan to predict": scan_to_predict,
    "mask": mask,
    ".mat file": mat,
    "archive": archive,
    "archive, damaged at its source": lambda folder: archive(folder, "its own"),
    "lesion images (.npy)": named(lesions, "images.npy"),
    "lesion table": named(lesions, "frame.jsonl"),
    "lesion card": named(lesions, "store.json"),
    "scan table": named(scans, "boxes.jsonl"),
    "scan card": named(scans, "data.json"),
    "embedding (.npy)": embedding,
    "weights of a detector": detector_weights,
    "card of a detector": detector_sizes,
    "published weights (.pth)": published_pth,
    "checkpoint (.ckpt)": checkpoint,
    "weights of YOLOv8": yolo_weights,
    "published YOLOv8": yolo_published,
    "weights of SAM": named(segmenter, "sam.pt"),
    "card of SAM": named(segmenter, "segmenter.json"),
    "weights of CoCa": coca_weights,
    "model (.keras)": keras_model,
    "published weights (.h5)": published_h5,
    "best epoch (.weights.h5)": named(keras_state, "best.weights.h5"),
    "log of a training": named(keras_state, "history.csv"),
    "card": card,
    "metrics": named(results, "metrics"),
    "predictions": named(results, "predictions"),
    "stamp": named(project_part, "runs/smoke/stamps/10_toy.json"),
    "stamp that is not published yet": named(project_part, "runs/smoke/.ready/10_toy/stamp.json"),
    "hashes of DATA": named(project_part, "runs/smoke/data_hashes.json"),
    "profile": named(project_part, "nbs/profiles/smoke.yaml"),
    "graph.mk": named(project_part, "nbs/graph.mk"),
    "notebook": named(project_part, "nbs/10_toy.ipynb"),
    "file in DATA": named(project_part, "data/b"),
    "value of --set": named(value, "set"),
    "file of --over": named(value, "over"),
    "PARAMS": named(value, "params"),
    "cached weights": cached_weights,
    "command": command,
}


# The tests


def answer(read):
    """What reading gives: ("error", text of one of our errors), ("skipped", reports) or ("read", "")."""
    try:
        reports = read()
    except OURS as error:
        assert type(error) in OURS and (type(error) not in (ValueError, FileNotFoundError) or "expected" in str(error)), repr(error)
        assert "\n" not in str(error)
        return "error", str(error)
    return ("skipped", "\n".join(reports)) if reports else ("read", "")


@pytest.mark.parametrize("kind", KINDS)
def test_whole_input_is_read(kind, tmp_path):
    assert answer(KINDS[kind](tmp_path)[1]) == ("read", "")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['kind']}: {row['damage']}")
def test_damaged_input_gets_its_message(row, tmp_path, tried):
    file, read = KINDS[row["kind"]](tmp_path)
    damage(row["damage"], file)
    outcome, text = answer(read)
    tried[row["kind"]] += 1
    assert outcome == row["outcome"] and re.search(row["message"], text), f"{outcome}: {text}"


def test_every_kind_has_a_row():
    assert {row["kind"] for row in TABLE} == set(KINDS)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
NUMBERS = st.floats().map(repr) | st.integers(-9, 9).map(str) | st.text(max_size=5)
LINES = st.lists(NUMBERS, max_size=7).map(" ".join) | st.text()
VALUES = PLAIN.map(json.dumps) | st.text()
PAIRS = st.tuples(st.sampled_from(["epochs", "rate", ""]) | st.text(max_size=3), VALUES).map("=".join)
JSON = ("lesion card", "scan card", "card", "card of SAM", "card of a detector", "metrics", "stamp", "hashes of DATA", "notebook")
TEXTS = dict.fromkeys(JSON, PLAIN.map(json.dumps)) | {  # random texts that get further into a reader than random bytes do
    "label file": st.lists(LINES, max_size=3).map("\n".join),
    "value of --set": VALUES,
    "PARAMS": st.lists(PAIRS, max_size=2).map(" ".join),
    "file of --over": PLAIN.map(lambda value: json.dumps({"10_toy": {"epochs": value}})) | VALUES,
    "profile": PLAIN.map(lambda value: json.dumps({"data": "phantoms", "parameters": {"10_toy": value}})) | VALUES,
    "graph.mk": st.lists(st.text("01_toy: #", max_size=9), max_size=4).map("\n".join),
}
EXAMPLES = {"weights of a detector": 10, "weights of CoCa": 10}  # slow ones; next those that are only tried row by row
ROWS_ONLY = {"command", "file in DATA", "cached weights", "weights of YOLOv8", "published YOLOv8", "published weights (.h5)"}
ROWS_ONLY |= {"model (.keras)", "best epoch (.weights.h5)", "log of a training"}


@st.composite
def altered(draw, whole):
    """Random bytes, or whole content that is cut, or that has some bytes changed."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=100))
    content = bytearray(whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole)
    for place in draw(st.lists(st.integers(0, max(0, min(len(content), 4000) - 1)), max_size=8)):
        content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(content)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ROWS_ONLY])
def test_random_input_never_ends_in_an_error_of_a_library(kind, tmp_path, tried):
    file, read = KINDS[kind](tmp_path)
    content = altered(file.read_bytes())
    if kind in TEXTS:
        content |= TEXTS[kind].map(lambda text: text.encode(errors="surrogatepass"))
    examples = EXAMPLES.get(kind, 100 if kind in TEXTS else 25)

    @settings(derandomize=True, deadline=None, database=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(content)
    def attempt(data):
        tried[f"{kind}, random"] += 1
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        answer(read)

    attempt()
