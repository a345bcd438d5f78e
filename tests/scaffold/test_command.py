"""`ganlab new-plugin` as people call it: what it writes and says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganlab.interfaces import KINDS

from ..cli.test_start_up import HEAVY, spy
from ..commands import ganlab


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLAB_PLUGINS", "")
    return tmp_path


def test_a_loss_is_the_default_and_the_next_steps_are_told(elsewhere: Path) -> None:
    done = ganlab("new-plugin", "nova-gan")
    assert (done.code, done.err) == (0, "")
    assert "loss 'nova-margin'" in done.out
    assert "  cd nova-gan\n  pip install -e '.[dev]'\n  pytest\n  ganlab run recipes/loss.toml\n" in done.out
    assert (elsewhere / "nova-gan/src/nova_gan/losses.py").exists()


def test_kinds_component_and_folder_can_be_chosen(elsewhere: Path) -> None:
    words = [
        "--kind",
        "layer",
        "--kind",
        "executor",
        "--component",
        "spread",
        "--dir",
        "here/deep",
        "--license",
        "none",
    ]
    done = ganlab("new-plugin", "nova-gan", *words)
    assert (done.code, done.err) == (0, "")
    assert "  cd here/deep\n" in done.out
    assert "  ganlab run recipes/layer.toml\n  ganlab ablate recipes/executor.toml\n" in done.out
    project = elsewhere / "here/deep"
    assert "class Spread:" in (project / "src/nova_gan/layers.py").read_text()
    assert not (project / "LICENSE").exists()
    assert not (project / "src/nova_gan/losses.py").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ganlab-acme"], "'ganlab-acme': names that begin with ganlab are its own; choose another, such as acme-gan"),
        (["acme-gan", "--kind", "los"], "unknown kind 'los'; did you mean 'loss'? (known: " + ", ".join(KINDS) + ")"),
        (
            ["acme-gan", "--component", "wgan-gp"],
            "loss 'wgan-gp' is offered by ganlab already; choose another name with --component",
        ),
        (["acme-gan", "--license", "GPL"], "'GPL' is not one of Apache-2.0, none"),
        (["acme-gan", "--dir", "full"], "full is there already; choose another folder with --dir, or another name"),
        (["acme-gan", "--dir", "full/file/x"], "cannot write full/file/x: Not a directory"),
    ],
)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(words: list[str], said: str, elsewhere: Path) -> None:
    (elsewhere / "full").mkdir()
    (elsewhere / "full/file").write_text("mine")
    done = ganlab("new-plugin", *words)
    assert (done.code, done.err) == (2, said + "\n")
    assert sorted(path.name for path in elsewhere.rglob("*")) == ["file", "full"]


def test_a_name_that_is_installed_already_is_warned_of(elsewhere: Path) -> None:
    done = ganlab("new-plugin", "scipy")
    assert done.code == 0
    assert done.err.startswith("ganlab: warning: a distribution called scipy is installed already (")
    assert (elsewhere / "scipy/pyproject.toml").exists()


def test_nothing_heavy_is_imported(elsewhere: Path) -> None:
    found = spy(["new-plugin", "acme-gan", "--dir", str(elsewhere / "acme-gan")])
    assert found["code"] == 0
    assert HEAVY.isdisjoint(found["modules"])  # type: ignore[arg-type]  # a list of names
