"""Input of somebody who means harm: code in checkpoints, archives, YAML and file names is refused or stays text, and JupyterLab lets nobody else in."""

import csv
import hashlib
import io
import json
import os
import pickle
import re
import shlex
import signal
import socket
import subprocess
import time
from argparse import ArgumentTypeError
from pathlib import Path
from unittest.mock import patch
from urllib.error import HTTPError
from urllib.request import urlopen
from zipfile import ZipFile, ZipInfo

import keras
import numpy as np
import psutil
import pytest
import requests
import torch
from brain_mri import coca, keras_training, predict, runner, sam, torch_training, yolov8
from brain_mri.data import FIGSHARE, LABELS, MASKS, DataError, data_report, download_masks, load_boxes, load_labels, tiny_data
from brain_mri.lesions import LesionStore
from brain_mri.pipeline import spots_pipeline
from brain_mri.reports import Run
from PIL import Image

NAMES = (
    "$(touch pwned).png",
    "`touch pwned`.png",
    "; touch pwned.png",
    "|touch pwned.png",
    "-rf.png",
    "<script>alert(1)<script>.png",
    "<img src=x onerror=alert(1)>.png",
    "line\nbreak.png",
    "\"quoted'.png",
    "$x^2$.png",
)


class Harm:
    """Unpickled, it leaves a file `pwned` in the current folder."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def pickled(file):
    torch.save({"state_dict": Harm(), "model": Harm()}, file)


def bare_pickle(file):
    Path(file).write_bytes(pickle.dumps(Harm()))


def read_detector(folder):
    card = dict(module="toy", architecture=dict(in_features=2, out_features=2), image_size=64, median=1, threshold=0.5)
    torch_training.load_torch_detector(card, folder, torch.nn.Linear)


def read_last_checkpoint(folder):
    if torch_training.whole_checkpoint(folder / "last.ckpt") is None:
        raise DataError("it was deleted: training starts again")


def read_segmenter(folder):
    sizes = dict(size=64, patch=8, width=32, depth=1, heads=2)
    (folder / "segmenter.json").write_text(json.dumps(dict(weights="scratch", sizes=sizes, box_as_mask=True)))
    sam.load_segmenter(folder)


def read_coca(folder):
    small = dict(architecture="small", image_size=32, vocabulary=1514, patch=16, width=32, heads=2, text_width=32, layers=1, text_layers=1)
    card = dict(module="coca", f1_validation=1, merges=1000, image_size=32, built=small | {"context_length": 24})
    (folder / "classifier.json").write_text(json.dumps(card))
    coca.load_classifier(folder)


def read_keras(folder):
    (folder / "classifier.json").write_text('{"module": "keras_training", "f1_validation": 1}')
    keras_training.load_classifier(folder).model.predict(np.zeros((1, 32, 32, 1)))


CHECKPOINTS = {  # file -> how the project reads it, and what it must say
    "weights.pt": (read_detector, "expected the weights of toy in .*, got UnpicklingError: run that detector's notebook again"),
    "a.pth": (
        lambda folder: torch_training.start_from(torch.nn.Linear(2, 2), "pretrained", folder / "a.pth", "head", "nowhere"),
        "expected weights of the same architecture in",
    ),
    "last.ckpt": (read_last_checkpoint, "training starts again"),
    "sam.pt": (read_segmenter, "expected the weights of this model in .*, got UnpicklingError"),
    "sam_vit_b_01ec64.pth": (lambda folder: sam.load_pretrained("vit_b", folder / "sam_vit_b_01ec64.pth"), "expected SHA-256 ec2df"),
    "coca/weights.pt": (lambda folder: read_coca(folder / "coca"), "expected the weights of CoCa in .*, got UnpicklingError"),
    "coca.bin": (
        lambda folder: coca.start_from_published(torch.nn.Linear(2, 2), "coca_ViT-B-32", "pretrained", file=str(folder / "coca.bin")),
        "expected weights of coca_ViT-B-32 in .*, got UnpicklingError",
    ),
    "yolov8.pt": (lambda folder: yolov8.load_yolo(folder / "yolov8.pt"), "expected the weights of YOLOv8n in .*, got UnpicklingError"),
    "yolov8n.pt": (lambda folder: yolov8.start_model("pretrained", folder / "yolov8n.pt"), "expected Ultralytics' YOLOv8 in"),
    "classifier.keras": (read_keras, "expected a Keras model in"),
}


@pytest.mark.parametrize("write", [pickled, bare_pickle])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_code_in_a_checkpoint_does_not_run(name, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read, message = CHECKPOINTS[name]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name)
    with pytest.raises((DataError, ValueError), match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "pwned").exists()


def test_the_harm_is_real(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickled("a.pt")
    torch.load("a.pt", weights_only=False)
    assert Path("pwned").exists()


def test_code_in_a_keras_layer_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crop = keras.Input((32, 32, 1))
    keras.Model(crop, keras.layers.Lambda(lambda x: (os.system("touch pwned"), x)[1])(crop)).save("classifier.keras")
    Path("pwned").unlink()  # building the layer ran it
    with pytest.raises(DataError, match="expected a Keras model in .*, got ValueError: run its notebook again"):
        read_keras(tmp_path)
    assert not Path("pwned").exists()


def test_code_in_a_saved_array_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("store.json", "frame.jsonl"):
        Path(name).write_text('{"store_size": 1, "median": 1, "threshold": 1}' if name == "store.json" else "")
    for name in ("masks", "boxes", "scores", "found"):
        np.save(f"{name}.npy", np.zeros(0))
    bare_pickle("images.npy")
    with pytest.raises(DataError, match="expected a whole lesion store in"):
        LesionStore(tmp_path)
    assert not Path("pwned").exists()


def test_an_archive_stays_in_its_folder(tmp_path):
    with ZipFile(content := io.BytesIO(), "w") as archive:
        for name in ("1.mat", "../../outside.mat", str(tmp_path / "absolute.mat"), "..\\..\\back.mat"):
            archive.writestr(name, "x")
        link = ZipInfo("link")
        link.external_attr = 0o120777 << 16  # a symbolic link, as Unix packs it
        archive.writestr(link, str(tmp_path))
    content = content.getvalue()

    def get(url, **_):
        entry = {"name": "../../a.zip", "download_url": "https://files/1", "computed_md5": hashlib.md5(content).hexdigest()}
        reply = requests.Response()
        reply.status_code, reply.raw = 200, io.BytesIO(json.dumps({"files": [entry]}).encode() if url == FIGSHARE else content)
        return reply

    with patch("requests.get", get):
        target = download_masks(tmp_path / "deep" / "cache")
    assert target == tmp_path / "deep/cache" / MASKS
    assert all(target in path.parents and not path.is_symlink() for path in tmp_path.rglob("*") if path.is_file())


def test_code_in_yaml_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    node, harm = runner.toy_project(tmp_path), "!!python/object/apply:os.system ['touch pwned']"
    Path("over.yaml").write_text(f"10_toy: {{epochs: {harm}}}")
    with pytest.raises(ArgumentTypeError, match="expected parameters, notebook by notebook, in .*, got ConstructorError"):
        runner.read_settings("over.yaml")
    with pytest.raises(runner.RunError, match="expected a value in YAML"):
        runner.run_experiment(node, shlex.quote(f"epochs={harm}"))
    node.settings = [f"10_toy.epochs={harm}"]
    with pytest.raises(runner.RunError, match="expected a value in YAML"):
        runner.parameters_of(node)
    Path("nbs/profiles/smoke.yaml").write_text(f"data: phantoms\nparameters: {harm}\n")
    with pytest.raises(runner.RunError, match="expected the keys data and parameters"):
        runner.parameters_of(node)
    assert not Path("pwned").exists()


def test_file_names_stay_text_in_tables_and_reports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tiny_data(tmp_path / "data") / LABELS / "Training/glioma"
    for name in NAMES:
        (folder / name).write_bytes(b"")  # a bad image, so that its name gets into the report
    problems = load_labels("data")[1]
    assert {Path(path).name for path in problems.path} == set(NAMES)
    problems.to_csv("problems.csv", index=False)
    with open("problems.csv", newline="") as file:
        assert {Path(row["path"]).name for row in csv.DictReader(file)} == set(NAMES)
    for place in ("OUT", "WORK", "REPORTS", "RUNS", "CHECKPOINTS"):
        monkeypatch.setenv(f"BRAIN_MRI_{place}", str(tmp_path / place))
    report = data_report(problems, load_boxes("data")[0])
    Run("00_data").save_table(report, "report")
    page = Path("OUT/tables/report.md").read_text()
    assert not re.search(r"<\w", page) and len(page.splitlines()) == 2 + len(report), "an HTML tag, or a row that became two"
    assert not re.search(r"<(script|img)", report._repr_html_())
    assert not Path("pwned").exists()


def test_file_names_stay_text_in_predictions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    for name in NAMES:
        Image.new("L", (40, 40), 200).save(Path("scans") / name)
    (Path("scans") / "<b>bad.png").write_bytes(b"")
    errors = predict.predict_files(spots_pipeline(), sorted(Path("scans").iterdir()), "out")
    lines = [json.loads(line) for line in Path("out/predictions.jsonl").read_text().splitlines()]
    assert {Path(line["scan"]).name for line in lines} == set(NAMES) and len(errors) == 1
    assert {path.name for path in Path("out").iterdir()} == {*NAMES, "predictions.jsonl"} and not Path("pwned").exists()


NASTY = ("two words", "$(touch pwned)", "$$(touch pwned)", "`touch pwned`", '"; touch pwned; "', "it's", "a;touch pwned")
VARIABLES = ("PROFILE", "LIMIT", "OVER", "NB", "PARAMS", "REPORTS", "RUNS", "SEEDS", "SEED")


@pytest.mark.parametrize("name", NASTY)
def test_a_data_folder_of_any_name_is_found_and_runs_nothing(project, name):
    (project.root / name).mkdir(exist_ok=True)
    done = project.make("status", "PROFILE=laptop", f"DATA={name}")
    assert done.returncode == 0 and "never run here" in done.stdout, done.stdout
    done = project.make("status", "PROFILE=laptop", f"DATA={name}/none")
    assert f"{name}/none is not a folder" in done.stdout and not (project.root / "pwned").exists()


@pytest.mark.parametrize("variable", VARIABLES)
def test_no_variable_of_make_becomes_a_command(project, variable):
    target = ["run", "NB=01_phantom"] if variable in ("NB", "PARAMS") else ["status"]
    for value in ("`touch pwned`", "$$(touch pwned)", "a; touch pwned"):
        done = project.make(*target, f"{variable}={value}")
        assert "Traceback" not in done.stdout and not (project.root / "pwned").exists(), done.stdout


def test_jupyterlab_answers_only_here_and_only_with_its_token(project):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (line,) = project.make("-n", "lab").stdout.splitlines()
    command = [*shlex.split(line), "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    server = subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        token = next(found[1] for text in server.stderr if (found := re.search(r"\?token=(\w{32,})", text)))
        address = f"http://127.0.0.1:{port}"
        for attempt in range(100):
            listening = [c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.laddr.port == port and c.status == "LISTEN"]
            if listening:
                break
            time.sleep(0.1)
        assert listening == ["127.0.0.1"]
        assert "/login?" in urlopen(f"{address}/lab", timeout=20).url, "without the token: a login page"
        for part in ("api/contents", "api/kernels", "api/terminals"):
            with pytest.raises(HTTPError, match="403"):
                urlopen(f"{address}/{part}", timeout=20)
        assert urlopen(f"{address}/api/contents?token={token}", timeout=20).status == 200
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
