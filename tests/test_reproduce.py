"""End to end: `make reproduce PROFILE=smoke` in a fresh copy, every file it promises, and what reruns when something changes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.utils import resample

from brain_mri.classification import CLASSIFIER_NOTEBOOKS
from brain_mri.data import CLASSES, Scans
from brain_mri.metrics import detection_scores, detections_from_frame
from brain_mri.reports import best_model
from brain_mri.runner import read_graph
from brain_mri.tables import PAPER

KEYS = {"notebook", "kind", "model", "dataset", "weights", "seed", "n_train", "n_test", "metrics", "ci95", "params", "provenance"}
NAMES = {
    "detector": {"accuracy", "precision", "recall", "f1", "map50", "map50_95", "threshold"},
    "segmenter": {"dice", "iou", "hd95", "dice_filled_box", "dice_ellipse"},
    "classifier": {n + b for n in ("accuracy", "precision", "recall", "f1") for b in ("", "_binary")} | {"ece"},
}
DETECTORS = ("10_yolov8", "11_efficientdet", "12_retinanet", "13_faster_rcnn")
PROVENANCE = {"commit", "python", "packages", "data_fingerprint", "hardware", "wall_seconds", "peak_memory_gb"}


def stale(project):
    """Notebooks that `make status` does not call fresh."""
    lines = project.make("status", "PROFILE=smoke").stdout.splitlines()
    return {line.split()[0] for line in lines if re.match(r"\d\d_", line) and line.split()[1] != "fresh"}


def change(project, notebook, kind, text):
    """Append `text` to the last cell of a kind, and return how to undo it."""
    file = project.root / "nbs" / f"{notebook}.ipynb"
    before = file.read_text()
    content = json.loads(before)
    cell = [c for c in content["cells"] if c["cell_type"] == kind][-1]
    cell["source"] = "".join(cell["source"]) + text
    file.write_text(json.dumps(content))
    return lambda: file.write_text(before)


def test_metrics_files_keep_the_contract(smoke):
    files = sorted((smoke.reports / "metrics").glob("*.json"))
    assert {*DETECTORS, "20_sam", *CLASSIFIER_NOTEBOOKS, "40_pipeline"} <= {f.stem for f in files}
    for file in files:
        content = json.loads(file.read_text())
        assert set(content) == KEYS and content["notebook"] == file.stem
        assert NAMES.get(content["kind"], set()) <= set(content["metrics"])
        assert PROVENANCE <= set(content["provenance"]) and content["provenance"]["wall_seconds"] > 0
        for low, high in content["ci95"].values():
            assert low is None or low <= high
        if content["kind"] in ("detector", "classifier"):
            scores = [content["metrics"][name] for name in NAMES[content["kind"]]]
            assert all(0 <= score <= 1 for score in scores), "scores are fractions"


@pytest.mark.parametrize("profile", ["smoke", "demo"])
def test_table4_follows_from_the_predictions_with_scikit_learn_alone(profile, request):
    root = Path(__file__).parent.parent if profile == "demo" else request.getfixturevalue("smoke").root
    reports = root / "reports" / profile
    table = pd.read_csv(reports / "tables" / "table4.csv")
    assert table.model.tolist() == list(PAPER["table4"])
    options = dict(average="macro", zero_division=0)
    for row in table.itertuples():
        found = pd.read_csv(reports / "predictions" / f"{row.notebook}.csv")
        probabilities = found[[f"p_{name}" for name in CLASSES]].to_numpy()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
        assert (np.array(CLASSES)[probabilities.argmax(1)] == found.predicted).all() and len(found) == row.n_test
        true, said = found.label, found.predicted
        scores = [accuracy_score(true, said), *precision_recall_fscore_support(true, said, **options)[:3]]
        np.testing.assert_allclose([row.accuracy, row.precision, row.recall, row.f1], 100 * np.array(scores), atol=0.006)
        tumour, found_one = true != "no_tumor", said != "no_tumor"
        binary = precision_recall_fscore_support(tumour, found_one, average="binary", zero_division=0)[:3]
        binary = [accuracy_score(tumour, found_one), *binary]
        ours = [getattr(row, f"{name}_binary") for name in ("accuracy", "precision", "recall", "f1")]
        np.testing.assert_allclose(ours, 100 * np.array(binary), atol=0.006)
        draws = [f1_score(*resample(true, said, random_state=seed), **options) for seed in range(400)]
        low, high = 100 * np.percentile(draws, [2.5, 97.5])
        assert abs(row.f1_low - low) < 0.3 * (high - low) and abs(row.f1_high - high) < 0.3 * (high - low)


def test_all_six_named_the_same_lesions(smoke):
    tables = [pd.read_csv(smoke.reports / "predictions" / f"{name}.csv")[["path", "label"]] for name in CLASSIFIER_NOTEBOOKS]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])
    cards = {name: json.loads((smoke.root / "runs" / "smoke" / name / "classifier.json").read_text()) for name in CLASSIFIER_NOTEBOOKS}
    best = max(CLASSIFIER_NOTEBOOKS, key=lambda name: cards[name]["f1_validation"])
    assert json.loads((smoke.reports / "metrics" / "40_pipeline.json").read_text())["metrics"]["agreement"] == 1, best


@pytest.mark.parametrize("notebook", DETECTORS)
def test_detector_scores_follow_from_its_predictions(smoke, notebook):
    content = json.loads((smoke.reports / "metrics" / f"{notebook}.json").read_text())
    detections = detections_from_frame(pd.read_csv(smoke.reports / "predictions" / f"{notebook}.csv"))
    again, _ = detection_scores(detections, content["metrics"]["threshold"])
    assert len(detections) == content["n_test"]
    for name in ("accuracy", "precision", "recall", "f1", "map50", "map50_95"):
        assert again[name] == pytest.approx(content["metrics"][name])


def test_lesions_are_found_by_the_detector_that_was_best_on_validation(smoke):
    runs = smoke.root / "runs" / "smoke"
    cards = {name: json.loads((runs / name / "detector.json").read_text()) for name in DETECTORS}
    best = max(DETECTORS, key=lambda name: cards[name]["f1_validation"])
    model = json.loads((smoke.reports / "metrics" / f"{best}.json").read_text())["model"]
    assert json.loads((smoke.reports / "metrics" / "21_lesions.json").read_text())["model"].startswith(model)


def test_all_four_saw_the_same_scans(smoke):
    tables = [pd.read_csv(smoke.reports / "predictions" / f"{name}.csv")[["path", "width", "height", "true_boxes"]] for name in DETECTORS]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_predict_answers_for_good_files_and_names_bad_ones(smoke, tmp_path):
    scans = Scans(smoke.root / "runs" / "smoke" / "00_data")
    paths = scans.frame("labels", "test").groupby("label").head(1).path.tolist()
    for path in paths:
        shutil.copy(scans.root / path, tmp_path)
    (tmp_path / "bad.png").write_bytes(b"no image")
    code = "import sys; from brain_mri.predict import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(tmp_path), "--run", str(smoke.reports), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=smoke.root, text=True, capture_output=True)
    assert done.returncode == 1 and done.stderr.count("no medical device") == 1, done.stderr
    assert "4 of 5 scans done" in done.stderr and "bad.png" in done.stderr.splitlines()[-1]
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert all((tmp_path / "out" / line["picture"]).stat().st_size > 1000 for line in lines)
    best = best_model(smoke.root / "runs" / "smoke", "classifier").name
    stored = pd.read_csv(smoke.reports / "predictions" / f"{best}.csv").set_index("path")
    for path, line in zip(sorted(paths, key=lambda path: Path(path).name), lines):
        assert Path(line["scan"]).name == Path(path).name and line["label"] == stored.predicted[path]
        np.testing.assert_allclose(
            list(line["probabilities"].values()), stored.loc[path, [f"p_{name}" for name in CLASSES]].tolist(), atol=1e-3
        )


def test_tables_figures_and_index_are_there(smoke):
    for name in ("table1", "table2", "table3", "table4"):
        assert {f.suffix for f in (smoke.reports / "tables").glob(f"{name}.*")} == {".csv", ".md"}
    for name in (
        "figure1",
        "figure1b",
        "figure2",
        "figure3",
        "precision_recall",
        "f1_by_threshold",
        "recall_by_class_and_size",
        "hits_misses_false_alarms",
        "dice_by_prompt_quality",
        "sam_by_detector",
        "confusion_matrices",
        "reliability",
        "mcnemar",
        "heat_inside",
    ):
        assert {f.suffix for f in (smoke.reports / "figures").glob(f"{name}.*")} == {".png", ".svg"}
    table3, table4 = (pd.read_csv(smoke.reports / "tables" / f"{n}.csv").set_index("model") for n in ("table3", "table4"))
    assert table3.index.tolist() == list(PAPER["table3"])
    assert table3.paper_f1.to_dict() == {model: values[3] for model, values in PAPER["table3"].items()}
    assert {"f1_low", "f1_high", "map50", "map50_95", "notebook", "minutes", "hardware"} <= set(table3.columns)
    assert table4.index.tolist() == list(PAPER["table4"])
    assert {"accuracy_binary", "precision_binary", "recall_binary", "f1_binary"} <= set(table4.columns)
    page = (smoke.reports / "index.md").read_text()
    assert "not evidence about patients" in page and "EfficientNetV2 B3" in page
    whole = page.split("## From scan to name")[1].split("## ")[0]
    assert "are named wrongly" in whole and "points of accuracy" in whole and "times: scans a second of the pipeline" in whole
    for link in re.findall(r"\]\(([\w/.]+)\)", page):
        if link != "notebooks/50_tables.ipynb":
            assert (smoke.reports / link).is_file(), link


def test_every_notebook_was_executed_and_names_no_machine(smoke):
    graph = read_graph(smoke.root)
    assert {f.stem for f in (smoke.reports / "notebooks").glob("*.ipynb")} == set(graph)
    for file in (smoke.reports / "notebooks").glob("*.ipynb"):
        text = file.read_text()
        assert str(smoke.root) not in text, f"{file.name} holds a path of this machine"
        assert not [o for c in json.loads(text)["cells"] for o in c.get("outputs", []) if o["output_type"] == "error"]


def test_a_second_run_does_nothing(smoke):
    again = smoke.make("reproduce", "PROFILE=smoke")
    assert again.returncode == 0 and again.stdout.strip() == "Nothing to do: every notebook of profile smoke is fresh."


def test_prose_reruns_nothing_and_code_reruns_what_depends_on_it(smoke):
    undo = change(smoke, "34_efficientnetv2_b3", "markdown", "\n\nAnother sentence.")
    assert stale(smoke) == set()
    undo()
    undo = change(smoke, "34_efficientnetv2_b3", "code", "\n1 + 1")
    assert stale(smoke) == {
        "34_efficientnetv2_b3",
        "36_classifiers",
        "40_pipeline",
        "41_predict",
        "50_tables",
        "60_data_trust",
        "61_paper_audit",
        "62_ablation",
        "63_benchmarks",
    }
    undo()
    assert stale(smoke) == set()


def test_a_failing_notebook_is_listed_with_the_line_that_reruns_it_and_its_old_result_stays(smoke):
    result = smoke.reports / "metrics" / "34_efficientnetv2_b3.json"
    before = result.read_bytes()
    undo = change(smoke, "34_efficientnetv2_b3", "markdown", "")
    cells = json.loads((smoke.root / "nbs" / "34_efficientnetv2_b3.ipynb").read_text())["cells"]
    first = next(i for i, c in enumerate(cells) if c["cell_type"] == "code")
    cells[first]["source"] = "raise ValueError('on purpose')"
    file = smoke.root / "nbs" / "34_efficientnetv2_b3.ipynb"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cells": cells}))
    done = smoke.make("reproduce", "PROFILE=smoke")
    undo()
    assert done.returncode != 0
    assert "FAILED 34_efficientnetv2_b3: ValueError: on purpose" in done.stdout
    assert "run it again: make 34_efficientnetv2_b3 PROFILE=smoke" in done.stdout
    assert "STALE  50_tables: input 34_efficientnetv2_b3 changed" in done.stdout
    assert result.read_bytes() == before


def test_an_experiment_goes_to_scratch_and_is_compared(smoke):
    done = smoke.make("run", "PROFILE=smoke", "NB=01_phantom", "PARAMS=n_calibration=40 seed=1")
    assert done.returncode == 0, done.stdout
    assert re.search(r"dice_ellipse +0\.\d+ +0\.\d+", done.stdout)
    content = json.loads((smoke.root / "reports" / "scratch" / "metrics" / "01_phantom.json").read_text())
    assert content["params"]["n_calibration"] == 40 and content["seed"] == 1
    assert stale(smoke) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PROFILE=huge"], "expected a profile out of demo, laptop, paper, smoke, got 'huge'"),
        (["PROFILE=smoke", "DATA=."], "profile smoke always uses the embedded phantoms, but DATA="),
        (["PROFILE=laptop", "DATA=nowhere"], "nowhere is not a folder"),
        (["PROFILE=smoke", "LIMIT=many"], "expected limit of 00_data to be of type int"),
    ],
)
def test_a_wrong_call_ends_in_one_clear_line(project, arguments, message):
    done = project.make("reproduce", *arguments)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert done.stdout.count(message) == 1 and "running" not in done.stdout


def test_the_seed_reaches_the_runner(project):
    done = project.make("01_phantom", "PROFILE=smoke", "SEED=one")
    assert done.returncode != 0 and done.stdout.count("argument --seed: expected whole numbers from 0") == 1, done.stdout


def test_reports_that_cannot_be_written_are_named(project):
    done = project.make("01_phantom", "PROFILE=smoke", "REPORTS=Makefile/x")
    assert done.returncode != 0 and "expected to be able to write into" in done.stdout and "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("size=20k", "No space left on device"),  # enough for the lock and the log, not for the notebook
        ("size=300k", "No space left on device"),  # not for its figures either
        ("ro", "Read-only file system"),
    ],
)
def test_a_full_or_read_only_disk_ends_in_one_clear_line(project, options, message):
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs Linux and the right to mount a disk of its own")
    command = project.command("01_phantom", "PROFILE=smoke", "RUNS=disk/runs", "REPORTS=disk/reports")
    (project.root / "disk").mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o {options} none disk && exec "$@"'
    done = subprocess.run(**command | {"args": [*alone, "sh", "-c", mount, "sh", *command["args"]]})
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert re.search(rf"^01_phantom: (expected to be able to write into .*, got: |OSError: .*){message}", done.stdout, re.M), done.stdout


def test_a_wrong_python_is_named(project, tmp_path):
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1\nexit 1\n')
    fake.chmod(0o755)
    done = project.make("env", f"PYTHON={fake}", f"READY={tmp_path}/ready")
    assert done.returncode != 0 and "needs Python 3.11, but" in done.stdout and "Python 3.9.1" in done.stdout
