"""Names of new plugins: what they make, and which are refused with one line."""

from __future__ import annotations

import pytest

from ganlab.errors import GanlabError
from ganlab.interfaces import KINDS
from ganlab.scaffold import EXAMPLES, Project


@pytest.mark.parametrize(
    ("name", "package", "component", "cls"),
    [
        ("acme-gan", "acme_gan", "acme-margin", "Margin"),
        ("Acme.GAN", "acme_gan", "acme-margin", "Margin"),
        ("my_3d--nets", "my_3d_nets", "my-3d-nets-margin", "Margin"),
        ("gan", "gan", "gan-margin", "Margin"),
    ],
)
def test_package_component_and_class_follow_from_the_name(name: str, package: str, component: str, cls: str) -> None:
    project = Project(name)
    assert project.package == package
    assert [(part.component, part.cls) for part in project.parts] == [(component, cls)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("acme gan", "cannot name a distribution"),
        ("-acme", "cannot name a distribution"),
        ("../acme", "cannot name a distribution"),
        ("", "cannot name a distribution"),
        ("gän", "cannot name a distribution"),
        ("class", "a word of Python's own"),
        ("Json", "a word of Python's own"),
        ("3d-gan", "cannot begin with a digit"),
        ("ganlab", "names that begin with ganlab are its own"),
        ("GanLab-acme", "names that begin with ganlab are its own"),
        ("torch", "which the plugin's own files need"),
        ("tests", "which the plugin's own files need"),
        ("a" * 31, "expected at most 30 characters"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(GanlabError, match=reason) as caught:
        Project(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        ("Margin", "cannot name a component"),
        ("soft_margin", "cannot name a component"),
        ("3-margins", "cannot name a component"),
        ("soft--margin", "cannot name a component"),
        ("loss", "the class Loss, which is taken"),
        ("loss-value", "the class LossValue, which is taken"),
        ("a" * 25, "expected at most 24 characters"),
    ],
)
def test_a_component_that_cannot_be_is_refused_in_one_line(component: str, reason: str) -> None:
    with pytest.raises(GanlabError, match=reason) as caught:
        Project("acme-gan", component=component)
    assert "\n" not in str(caught.value)


def test_every_kind_has_an_example() -> None:
    assert list(EXAMPLES) == list(KINDS)
