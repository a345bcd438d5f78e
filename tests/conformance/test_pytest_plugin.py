"""The pytest plugin in a project of somebody else: cases by its settings or markers, and a training in three lines."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .faults import good_text

METADATA = "Metadata-Version: 2.1\nName: acme-gan\nVersion: 1.0\n"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of two plugins with a loss and a schedule, as good as installed."""
    pytester.makepyfile(acme_losses=good_text("loss"), acme_schedules=good_text("schedule"))
    folder = pytester.mkdir("acme_gan-1.0.dist-info")
    (folder / "METADATA").write_text(METADATA)
    (folder / "entry_points.txt").write_text("[ganlab]\nlosses = acme_losses\nschedules = acme_schedules\n")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    for variable in ("GANLAB_PLUGINS", "GANLAB_BLOCK_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        monkeypatch.delenv(variable, raising=False)
    return pytester


def test_settings_name_the_distributions_whose_components_are_gone_through(project: pytest.Pytester) -> None:
    project.makepyprojecttoml('[tool.pytest.ini_options]\nganlab_plugins = ["acme-gan"]\n')
    project.makepyfile("def test_conformance(conformance_case):\n    conformance_case.check()\n")
    listed = project.runpytest_subprocess("--collect-only", "-q").stdout.str()
    assert "::test_conformance[loss-margin-second-order-gradients]" in listed
    assert "::test_conformance[schedule-steps-pure]" in listed
    assert "hinge" not in listed
    ran = project.runpytest_subprocess("-rs", "-k", "schedule-steps or light-import")
    outcomes = ran.parseoutcomes()
    assert outcomes["failed"] == 1, "the loss's module imports torch"
    assert outcomes["passed"] == 11
    ran.stdout.fnmatch_lines(
        [
            "*loss acme-gan:margin: light import: importing acme_losses imports torch*",
            "*fix: import torch inside build()*",
        ]
    )
    ran.stdout.no_fnmatch_line("*direct cause*")
    ran.stdout.no_fnmatch_line("*testing/*.py:*")


def test_markers_choose_a_kind_and_a_name(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.ganlab_plugin("acme-gan", kind="schedule")
        @pytest.mark.ganlab_plugin("acme-gan:losses", name="margin")
        def test_conformance(conformance_case):
            assert conformance_case.contract.title
        """
    )
    listed = project.runpytest_subprocess("--collect-only", "-q", "--strict-markers").stdout.str()
    assert "[schedule-steps-stages]" in listed
    assert "[loss-margin-summary]" in listed


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("", "*conformance_case: of which plugin? Write ganlab_plugins = *"),
        ('@pytest.mark.ganlab_plugin("acme-gna")', "*no plugin 'acme-gna' is installed; did you mean 'acme-gan'?*"),
        ('@pytest.mark.ganlab_plugin("acme-gan", kind="los")', "*unknown kind 'los'; did you mean 'loss'?*"),
    ],
)
def test_what_cannot_be_gone_through_is_said_in_a_line(project: pytest.Pytester, marker: str, said: str) -> None:
    project.makepyfile(f"import pytest\n\n{marker}\ndef test_conformance(conformance_case):\n    pass\n")
    ran = project.runpytest_subprocess("-q")
    assert ran.ret != 0
    ran.stdout.fnmatch_lines([said])
    assert "Traceback" not in ran.stdout.str()


def test_what_does_not_apply_is_skipped_with_its_reason(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.ganlab_plugin("ganlab", kind="normalization", name="none")
        def test_conformance(conformance_case):
            conformance_case.check()
        """
    )
    ran = project.runpytest_subprocess("-rs", "-k", "shapes or summary")
    ran.assert_outcomes(passed=1, skipped=1)
    ran.stdout.fnmatch_lines(["*normalization ganlab:none: shapes:*it builds nothing*"])


def test_a_recipe_with_the_component_is_trained_in_three_lines(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        import ganlab

        def test_table(train_recipe):
            folder, values = train_recipe({"loss": {"name": "acme-gan:margin", "margin": 2.0}})
            assert values["scores/real"]
            assert (folder / "generator.safetensors").exists()

        def test_text(train_recipe, ganlab_catalog):
            trained = train_recipe('schedule = "steps"', "schedule.images_per_level=24", "run.images=48")
            assert trained.values["growth/resolution"][-1] == 8
            assert ganlab_catalog.create("schedule", "steps").images_per_level == 1000

        def test_mistake(train_recipe):
            with pytest.raises(ganlab.GanlabError, match="loss.margn: unknown key"):
                train_recipe({"loss": {"name": "acme-gan:margin", "margn": 2.0}})
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=3)
    assert not (project.path / "mlflow.db").exists()


def test_the_plugin_imports_neither_torch_nor_mlflow_by_itself() -> None:
    program = (
        "import sys, ganlab.testing.fixtures, ganlab.testing; print(sorted({'torch', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
