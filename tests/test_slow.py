"""What `make test-slow` runs: thirty kills in mid-run, and models from several seeds, each compared with an undisturbed smoke run."""

import json
import random
import shutil
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from conftest import Project, assert_same
from PIL import Image

from brain_mri.classification import CLASSIFIER_NOTEBOOKS
from brain_mri.detector_comparison import DETECTOR_NOTEBOOKS
from brain_mri.reports import load_model
from brain_mri.tables import SCORES

pytestmark = pytest.mark.slow


def kill_all(process: subprocess.Popen) -> None:
    """Kill make, the runner, the kernels and whatever they started, as a power cut would: none of them can tidy up."""
    tree = [psutil.Process(process.pid)]
    tree += tree[0].children(recursive=True)
    for one in tree:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            pass  # it had just ended
    psutil.wait_procs(tree)


def read_all(project: Project) -> int:
    """Read every published file of the smoke run; a half-written one raises. Returns how many there were."""
    readers = {".json": lambda file: json.loads(file.read_text()), ".ipynb": lambda file: json.loads(file.read_text())}
    readers |= {".csv": pd.read_csv, ".png": lambda file: Image.open(file).load()}
    stamps = [*(project.root / "runs" / "smoke" / "stamps").glob("[!.]*.json")]
    reports = [file for file in (project.root / "reports").rglob("[!.]*.*") if file.suffix in readers]
    for file in stamps + reports:
        readers[file.suffix](file)
    return len(stamps + reports)


def what_was_learnt(folder: Path) -> tuple[float, ...]:
    """The mean of every array of a trained model, PyTorch's or Keras'. A smoke run may find no box at all, so predictions will not do."""
    if files := sorted(folder.glob("*.pt")):
        arrays = [value.double().numpy() for value in torch.load(files[0], weights_only=True, map_location="cpu").values()]
    else:
        arrays = load_model(folder, "classifier").model.get_weights()
    return tuple(float(array.mean()) for array in arrays)


def test_thirty_kills_change_no_prediction_and_no_score(smoke, tmp_path_factory):
    project, draw, kills, files = Project(tmp_path_factory.mktemp("killed")), random.Random(0), 0, 0
    reports = project.root / "reports" / "smoke"
    while kills < 30:
        process = subprocess.Popen(**project.command("reproduce", "PROFILE=smoke"))
        time.sleep(draw.uniform(0, smoke.seconds / 10))  # on average a twentieth of the whole; what was under way is lost each time
        if process.poll() is None:
            kill_all(process)
            kills += 1
        else:  # it was faster: once more from nothing
            assert_same(smoke.reports, reports)
            shutil.rmtree(project.root / "runs")
        lines = process.communicate()[0].splitlines()
        assert not [line for line in lines if "Traceback" in line or "FAILED" in line], lines
        files = max(files, read_all(project))
        print(f"kill {kills}: {lines[-1] if lines else 'before the first notebook'}", flush=True)
    done = project.make("reproduce", "PROFILE=smoke")
    assert done.returncode == 0, done.stdout
    assert_same(smoke.reports, reports)
    assert files > 100, "the kills came too early to leave files that could be half-written"


def test_seeds_change_models_but_not_images_and_tables_sum_them_up(smoke):
    before = {name: pd.read_csv(smoke.reports / "tables" / f"{name}.csv") for name in ("table3", "table4")}
    done = smoke.make("reproduce", "PROFILE=smoke", "SEEDS=0 1 2")
    assert done.returncode == 0, done.stdout
    for name, notebooks in {"table3": DETECTOR_NOTEBOOKS, "table4": CLASSIFIER_NOTEBOOKS}.items():
        table = pd.read_csv(smoke.reports / "tables" / f"{name}.csv")
        pd.testing.assert_frame_equal(table[SCORES], before[name][SCORES])  # the run itself is as it was
        assert (table.seeds == 3).all() and set(table.notebook) == set(notebooks)
        for row in table.itertuples():
            folders = [smoke.reports, smoke.reports / "seeds" / "1", smoke.reports / "seeds" / "2"]
            metrics = [json.loads((folder / "metrics" / f"{row.notebook}.json").read_text()) for folder in folders]
            scores = pd.Series([100 * m["metrics"]["f1"] for m in metrics])
            assert [m["seed"] for m in metrics] == [0, 1, 2] and len({m["n_test"] for m in metrics}) == 1
            assert row.f1_mean == pytest.approx(scores.mean(), abs=0.01) and row.f1_sd == pytest.approx(scores.std(), abs=0.01)
            tables = [pd.read_csv(folder / "predictions" / f"{row.notebook}.csv") for folder in folders]
            assert all(tables[0].path.equals(other.path) for other in tables[1:])
            runs = smoke.root / "runs" / "smoke"
            models = [what_was_learnt(folder / row.notebook) for folder in (runs, runs / "seeds" / "1", runs / "seeds" / "2")]
            assert len(set(models)) == 3, f"{row.notebook} became the same from two seeds"
    page = (smoke.reports / "index.md").read_text()
    assert page.count("±") >= len(DETECTOR_NOTEBOOKS | CLASSIFIER_NOTEBOOKS) and "over up to 3 seeds" in page
    again = smoke.make("reproduce", "PROFILE=smoke", "SEEDS=0 1 2")
    assert "Nothing to do" in again.stdout
    assert smoke.make("reproduce", "PROFILE=smoke").returncode == 0  # other tests find it as it was
