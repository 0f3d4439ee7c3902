"""Tests of nbs/41_predict.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from brain_mri.data import DataError
from brain_mri.pipeline import spots_pipeline
from brain_mri.predict import NOTICE, main, predict_files, record, weights_of


def test_boxes_are_those_of_the_file():
    wide_ = np.full((64, 128), 255, np.uint8)
    answer_ = record(spots_pipeline()([wide_])[0], "a.png")
    assert answer_["boxes"][0] == [8.0, 8.0, 24.0, 24.0] and answer_["label"] == "meningioma" and answer_["fallbacks"] == ["several found"]
    assert json.loads(json.dumps(answer_)) == answer_


def test_missing_or_other_weights_name_the_command():
    with tempfile.TemporaryDirectory() as place_:
        reports_, runs_ = Path(place_) / "reports" / "demo", Path(place_) / "runs" / "demo"
        with pytest.raises(
            FileNotFoundError, match="expected trained weights of demo in .*found none: make them with `make reproduce PROFILE=demo`"
        ):
            weights_of(reports_)
        for folder_ in (reports_ / "metrics", runs_ / "21_lesions", runs_ / "10_yolov8", runs_ / "33_vgg16"):
            folder_.mkdir(parents=True)
        (runs_ / "21_lesions" / "store.json").write_text("{}")
        (runs_ / "10_yolov8" / "detector.json").write_text('{"module": "yolov8", "f1_validation": 0.5}')
        (runs_ / "33_vgg16" / "classifier.json").write_text('{"module": "keras_training", "f1_validation": 0.5}')
        for name_ in ("10_yolov8", "33_vgg16"):
            for metrics_ in (None, {"f1_validation": 0.75}, {"f1_validation": 0.5}):
                if metrics_:
                    (reports_ / "metrics" / f"{name_}.json").write_text(json.dumps({"metrics": metrics_}))
                if metrics_ != {"f1_validation": 0.5}:
                    with pytest.raises(DataError, match=f"expected in .*{name_} the weights .* found others: make them with"):
                        weights_of(reports_)
        assert weights_of(reports_) == runs_.resolve()


def test_every_good_file_has_a_picture_and_a_line_and_every_bad_one_an_error():
    with tempfile.TemporaryDirectory() as place_:
        place_ = Path(place_)
        for name_ in ("one", "two"):
            (place_ / name_).mkdir()
            Image.fromarray(np.full((40, 40), 200, np.uint8)).save(place_ / name_ / "a.png")
        (place_ / "bad.png").write_bytes(b"")
        with contextlib.redirect_stderr(io.StringIO()):
            errors_ = predict_files(spots_pipeline(), sorted(place_.rglob("*.png")), place_ / "out", batch=2)
        lines_ = [json.loads(line) for line in (place_ / "out" / "predictions.jsonl").read_text().splitlines()]
        assert [line["picture"] for line in lines_] == ["a.png", "a-2.png"] and len(errors_) == 1 and "bad.png" in str(errors_[0])
        assert sorted(f.name for f in (place_ / "out").glob("*.png")) == ["a-2.png", "a.png"]


def test_exit_status_tells_whether_all_scans_were_done():
    said_, made_ = io.StringIO(), spots_pipeline()
    with tempfile.TemporaryDirectory() as place_, contextlib.redirect_stderr(said_):
        place_ = Path(place_)
        Image.fromarray(np.full((40, 40), 200, np.uint8)).save(place_ / "a.png")
        run_ = lambda *files: main(["predict", *map(str, files), "--out", str(place_ / "out"), "--run", str(place_ / "reports" / "demo")])
        assert run_(place_ / "a.png") == 2 and "make reproduce PROFILE=demo" in said_.getvalue()
        with patch.dict(main.__globals__, weights_of=lambda run: run), patch("brain_mri.pipeline.Pipeline", lambda runs: made_):
            assert run_(place_ / "a.png") == 0 and run_(place_ / "nowhere") == 2
            (place_ / "empty").mkdir()
            assert run_(place_ / "empty") == 2 and "expected PNG or JPEG files in" in said_.getvalue()
            (place_ / "bad.jpg").write_bytes(b"no image")
            over_ = ["predict", str(place_ / "a.png"), "--out"]
            assert main([*over_, str(place_)]) == 2 and "to hold no scan, as pictures would replace it, got" in said_.getvalue()
            assert main([*over_, str(place_ / "bad.jpg")]) == 2 and "expected --out to be a folder, got a file in" in said_.getvalue()
            assert main([*over_, str(place_ / "bad.jpg" / "x")]) == 2
            assert run_(place_ / "a.png", place_ / "bad.jpg") == 1
            assert run_(place_) == 1 and "1 of 2 scans done" in said_.getvalue()  # its own pictures are no scans
    assert said_.getvalue().count(NOTICE) == 9 and "1 of 2 scans done" in said_.getvalue() and "bad.jpg" in said_.getvalue().splitlines()[-1]


def test_help_answers_without_a_framework():
    code_ = "import sys, brain_mri.predict as p; p.build_parser().format_help(); sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'lightning')))"
    assert subprocess.run([sys.executable, "-c", code_]).returncode == 0
