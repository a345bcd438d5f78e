"""The pages of docs/ as data: fenced blocks, code spans, links and headings, each with its line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SETTINGS_OF_OTHERS = ("pyproject.toml", ".taplo.toml")
"""TOML files that are no recipes."""


@attrs.frozen
class Block:
    """A fenced block."""

    page: str
    line: int
    language: str
    text: str

    @property
    def is_plugin(self) -> bool:
        """Whether it is a whole plugin in one file, for `--plugin`."""
        name = self.file_name
        return self.language == "python" and name is not None and "/" not in name and "@ganlab.hookimpl" in self.text

    @property
    def is_test(self) -> bool:
        """Whether it is a file for pytest."""
        return (
            self.language == "python"
            and re.match(r"(test_\w+|conftest)\.py$", (self.file_name or "").split("/")[-1]) is not None
        )

    @property
    def is_recipe(self) -> bool:
        """Whether it is a recipe or an ablation, and not the settings of another program."""
        return self.language == "toml" and self.file_name not in SETTINGS_OF_OTHERS

    @property
    def file_name(self) -> str | None:
        """The name in a first line such as `# ragan.py`."""
        named = re.match(r"# ([\w/.-]+\.\w+)\n", self.text)
        return named.group(1) if named else None


@attrs.frozen
class Command:
    """A line `$ ...` of a console block with what is shown under it."""

    where: str
    words: tuple[str, ...]
    output: tuple[str, ...]

    @property
    def is_ganlab(self) -> bool:
        return self.words[0] == "ganlab"

    def values_of(self, option: str) -> list[str]:
        """What is given to an option, however often."""
        return [value for word, value in zip(self.words, self.words[1:], strict=False) if word == option]


@attrs.frozen(slots=False)
class Page:
    """One page."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        found = re.finditer(r"^```(\w*)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return [Block(self.path.name, self._line(m.start()), m.group(1), m.group(2)) for m in found]

    @cached_property
    def prose(self) -> str:
        """The page with its fenced blocks emptied, lines kept."""
        return re.sub(
            r"^```.*?^```$", lambda m: "\n" * m.group().count("\n"), self.text, flags=re.MULTILINE | re.DOTALL
        )

    @cached_property
    def spans(self) -> list[tuple[str, str]]:
        """(place, code) of every `code` outside blocks."""
        found = re.finditer(r"`([^`\n]+)`", self.prose)
        return [(f"{self.path.name}:{self._line(m.start(), self.prose)}", _plain(m.group(1))) for m in found]

    @cached_property
    def links(self) -> list[tuple[str, str]]:
        """(place, target) of every link."""
        found = re.finditer(r"\]\(([^)\s]+)\)", self.prose)
        return [(f"{self.path.name}:{self._line(m.start(), self.prose)}", m.group(1)) for m in found]

    @cached_property
    def anchors(self) -> set[str]:
        """Headings as the fragments that lead to them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @cached_property
    def rows(self) -> list[list[str]]:
        """The cells of every row of every table, escapes undone."""
        lines = [line for line in self.prose.splitlines() if line.startswith("|") and not set(line) <= set("|-: ")]
        return [[_plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]

    def under(self, heading: str) -> str:
        """The prose below a heading, up to the next one of the same depth or less."""
        start = re.search(rf"^(#+) {re.escape(heading)}$", self.prose, re.MULTILINE)
        assert start is not None, f"{self.path.name} has no heading {heading!r}"
        rest = self.prose[start.end() :]
        end = re.search(rf"^#{{1,{len(start.group(1))}}} ", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest

    def commands(self) -> Iterator[Command]:
        """Every `$ ` line of the console blocks, continuation lines joined."""
        for block in self.blocks:
            if block.language != "console":
                continue
            for part in re.split(r"^\$ ", block.text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                words = shlex.split(line, comments=True)
                while re.match(r"\w+=", words[0]):
                    words.pop(0)
                words = words[: next((at for at, word in enumerate(words) if word in (">", ">>")), len(words))]
                yield Command(f"{block.page}:{block.line}: $ {line}", tuple(words), tuple(output.splitlines()))

    def _line(self, offset: int, text: str | None = None) -> int:
        return (self.text if text is None else text).count("\n", 0, offset) + 1


def _plain(code: str) -> str:
    return code.replace("\\|", "|")


PAGES = {path.name: Page(path) for path in sorted(DOCS.glob("*.md"))}
