"""Tests of nbs/07_reports.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from brain_mri.reports import Run


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
