"""A report page as a program reads it: every element with its attributes and text, and the figures among them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import attrs

VOID = {"meta", "link", "img", "input", "br", "hr"}


@attrs.define
class Element:
    """An element of the page."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    """All text inside."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data


def elements(file: Path) -> list[Element]:
    """All elements of a page, which must be well nested."""
    reader = _Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    reader.close()
    assert not reader._open
    return reader.elements


def with_class(page: list[Element], name: str) -> list[Element]:
    """The elements of a class."""
    return [element for element in page if name in element.attributes.get("class", "").split()]
