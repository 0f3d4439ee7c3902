"""Tests of nbs/07_reports.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from brain_mri.data import DataError
from brain_mri.reports import LOADERS, Run, best_model, load_model, read_card


def test_missing_input_names_the_command():
    with pytest.raises(FileNotFoundError, match="make 99_nothing PROFILE="):
        Run("07_reports").input("99_nothing")


def test_metrics_file_keeps_numbers_and_refuses_nonsense():
    with tempfile.TemporaryDirectory() as folder:
        run = Run("07_reports")
        run.out = Path(folder)
        common = dict(model="m", dataset="d", weights="none", seed=0, n_train=1, n_test=1)
        run.save_metrics("trust", metrics={"a": np.float32(0.5), "b": float("nan")}, ci95={"a": (0.25, 0.75)}, **common)
        content = json.loads((Path(folder) / "metrics" / "07_reports.json").read_text())
        assert content["metrics"] == {"a": 0.5, "b": None} and content["ci95"] == {"a": [0.25, 0.75]}
        with pytest.raises(ValueError, match="expected a kind out of"):
            run.save_metrics("guess", metrics={}, ci95={}, **common)
        with pytest.raises(ValueError, match="expected weights out of"):
            run.save_metrics("trust", metrics={}, ci95={}, **common | {"weights": "found"})
        with pytest.raises(ValueError, match="interval only for a metric"):
            run.save_metrics("trust", metrics={}, ci95={"a": (0, 1)}, **common)


def test_tables_and_figures_come_in_two_forms():
    with tempfile.TemporaryDirectory() as folder:
        run = Run("07_reports")
        run.out = Path(folder)
        run.save_table(pd.DataFrame({"model": ["a|b"], "f1": [90.5]}), "table9")
        figure, _ = plt.subplots()
        run.save_figure(figure, "figure9")
        plt.close(figure)
        assert sorted(f.name for f in Path(folder).rglob("*.*")) == ["figure9.png", "figure9.svg", "table9.csv", "table9.md"]
        assert "a\\|b" in (Path(folder) / "tables" / "table9.md").read_text()


def test_best_on_validation_is_chosen():
    with tempfile.TemporaryDirectory() as runs:
        for name, f1 in (("10_yolov8", 0.7), ("11_efficientdet", 0.8), ("12_retinanet", 0.8)):
            (Path(runs) / name).mkdir()
            (Path(runs) / name / "detector.json").write_text(json.dumps({"module": name[3:], "f1_validation": f1}))
        assert best_model(runs, "detector").name == "11_efficientdet"
        with pytest.raises(FileNotFoundError, match=r"expected a classifier .* found none: make all with `make reproduce PROFILE="):
            best_model(runs, "classifier")


def test_missing_card_names_the_command():
    with (
        tempfile.TemporaryDirectory() as runs,
        pytest.raises(FileNotFoundError, match=r"expected a detector .* in .*, found none: make it with `make 12_retinanet PROFILE="),
    ):
        load_model(Path(runs) / "12_retinanet", "detector")


def test_unknown_module_is_not_imported():
    for kind in ("detector", "classifier"):
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / f"{kind}.json").write_text('{"module": "os", "f1_validation": 1}')
            with pytest.raises(DataError, match=rf"expected a module out of {LOADERS[kind][0]}, .* got 'os' in .*{kind}.json"):
                load_model(place, kind)


def test_damaged_card_is_named():
    for text in ("", "{}", "[]", '{"module": "yolov8", "f1_validation": null}'):
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "detector.json").write_text(text)
            with pytest.raises(DataError, match="expected a detector's card .*detector.json: run that"):
                read_card(place, "detector")
