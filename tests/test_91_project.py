"""Tests of nbs/91_project.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import pytest

from brain_mri.project import ProjectError, disagreements, free_names, overwritten, real_results, test_module, unclean
from brain_mri.runner import write_notebook


def test_names_that_a_cell_binds_are_not_free():
    assert free_names("def f(a):\n    return a + b\nx = f(1)\nwith open(p) as h:\n    [y for y in h]") == {"b", "p"}


def test_a_test_cell_becomes_a_function():
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "brain_mri"
        cells = ["import math", "#| hide\n#| test root_of_four\nassert math.sqrt(4) == 2"]
        notebook = write_notebook(Path(folder) / "nbs" / "n.ipynb", *cells)
        assert test_module(notebook, library).endswith("import math\n\n\ndef test_root_of_four():\n    assert math.sqrt(4) == 2\n")
        notebook = write_notebook(notebook, "x = 1", "#| test needs_x\nassert x == 1")
        with pytest.raises(ProjectError, match="uses x, which only the lesson knows"):
            test_module(notebook, library)


def test_real_results_are_taken_from_the_tables():
    with tempfile.TemporaryDirectory() as folder_:
        tables_ = Path(folder_) / "reports" / "laptop" / "tables"
        assert real_results(Path(folder_)) == "No run on real scans is kept here yet."
        tables_.mkdir(parents=True)
        names_ = "model,accuracy,accuracy_low,accuracy_high,f1,f1_low,f1_high,paper_accuracy,paper_f1,n_test,notebook,minutes,hardware"
        (tables_ / "table4.csv").write_text(f'{names_}\nCoCa,90,88,92,80.04,78,82,97.6,98.14,100,35_coca,5.0,"small, slow"\n')
        (tables_ / "table4_twin_free.csv").write_text(f'{names_}\nCoCa,90,88,92,70,68,72,97.6,98.14,40,35_coca,5.0,"small, slow"\n')
        rows_ = 'nearest training image,97,96,98,96,95,97,,,100,60_data_trust,,\n"nearest training image, twin-free",91,90,92,79,70,80,,,40,60_data_trust,,\n'
        (tables_ / "table4_baseline.csv").write_text(f"{names_}\n{rows_}")
        said_ = real_results(Path(folder_)).splitlines()
    assert said_[2] == "| CoCa | 90.0 [88.0, 92.0] | 97.60 | 80.0 [78.0, 82.0] | 98.14 | 70.0 [68.0, 72.0] (40) | `make 35_coca` | 5.0 |"
    assert said_[3].endswith("| 97.0 [96.0, 98.0] | | 96.0 [95.0, 97.0] | | 79.0 [70.0, 80.0] (40) | `make 60_data_trust` | |")
    assert said_[-1].startswith("Percent. Machine: small, slow. Everything measured is in [reports") and {
        line_.count("|") for line_ in said_[:4]
    } == {9}


def test_outputs_and_long_cells_are_reported():
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_notebook(Path(folder) / "n.ipynb", "x = 1", "\n" * 40 + "y = 2")
        assert unclean(notebook) == ["n.ipynb, cell 1: expected at most 40 lines of code: split it"]
        content = json.loads(notebook.read_text())
        content["cells"] = [content["cells"][0] | {"execution_count": 1, "metadata": {"scrolled": True}}]
        notebook.write_text(json.dumps(content))
        assert [p.split(": ")[1] for p in unclean(notebook)] == ["expected no output, got some", "expected no metadata but tags"]


def test_a_test_that_replaces_a_name_of_the_lesson_is_reported():
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_notebook(
            Path(folder) / "n.ipynb", "x = 1\ny = 2", "#| test one\nx, z = 3, 4\nassert x", "z = 5\nprint(z, y)", "print(x)"
        )
        assert overwritten(notebook) == ["n.ipynb: test one replaces x, which the lesson reads afterwards: rename it in the test"]


def test_disagreeing_requirements_are_reported():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "settings.ini").write_text("[DEFAULT]\nrequirements = torch>=2,<3 seaborn>=1\n")
        (root / "requirements.lock").write_text("torch==2.5\nseaborn==0.13\ntriton==3.0\nnumpy>=2\n")
        (root / "environment.yml").write_text("dependencies: [python=3.12]\n")
        found = disagreements(root)
        assert [p.split()[0] + " " + p.split()[-1] for p in found[:1]] == ["settings.ini lock`"] and "seaborn" in found[0]
        assert "triton" in found[1] and "numpy" in found[2] and "environment.yml" in found[3] and len(found) == 4
