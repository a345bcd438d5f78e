"""Writes the pages on kinds, `docs/kind-*.md`, from the code: `python docs/generate.py`.

What a component must do is read from the Protocols of `ganlab/interfaces/`, and what is on offer from ganlab's own
plugins, so that neither can be said wrongly here. tests/docs compares the files with what this would write.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ganlab
from ganlab import interfaces
from ganlab.cli import describe
from ganlab.interfaces import KINDS
from ganlab.registry import Registry

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTE = "<!-- Written by `python docs/generate.py` from ganlab/interfaces/ and plugins/; changes here are lost. -->"
Described = Mapping[str, Any]


def pages() -> dict[str, str]:
    """File name to text, for every kind."""
    catalog = ganlab.load_plugins((), {"GANLAB_PLUGINS": ""})
    contract = _contract()
    return {f"kind-{kind}.md": _page(kind, catalog, contract) for kind in KINDS}


def _page(kind: str, catalog: ganlab.Catalog, contract: Mapping[str, ast.ClassDef]) -> str:
    registry = catalog.registry(kind)
    found = [describe.component(entry, catalog) for entry in registry.entries()]
    places = ", ".join(f"`{place}`" for place in describe.places(kind, catalog))
    hook = f"register_{KINDS[kind]}"
    first = "".join(word.capitalize() for word in kind.split("-"))
    lines = [
        f"# Kind `{kind}`",
        "",
        NOTE,
        "",
        f"A plugin offers components of this kind in the hook [`{hook}`](hooks.md#{hook}).",
        f"Recipes name them at {places}." if places else "No recipe names them.",
        "",
        "* [What it must do](#what-it-must-do)",
        "* [Those that come with ganlab](#those-that-come-with-ganlab)",
        "",
        "## What it must do",
        "",
        "From `ganlab.interfaces`; `ganlab.testing` checks it of any component ([testing.md](testing.md)).",
        "",
    ]
    for name in _reached(first, contract):
        lines += _class(contract[name])
    lines += ["## Those that come with ganlab", ""]
    lines += _overview(found, registry)
    for each in found:
        lines += _component(each)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


# -- the contract ------------------------------------------------------------------------------------------------------


def _contract() -> dict[str, ast.ClassDef]:
    """The classes of ganlab/interfaces/ by name, in their order."""
    files = sorted(Path(inspect.getfile(interfaces)).parent.glob("*.py"))
    nodes = [node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def _reached(first: str, contract: Mapping[str, ast.ClassDef]) -> list[str]:
    """`first` and the classes that its signatures and docstrings name, and theirs, in the order of the file."""
    found, waiting = {first}, [first]
    while waiting:
        words = set(re.findall(r"\w+", ast.unparse(contract[waiting.pop()])))
        new = sorted((words & set(contract)) - found)
        found.update(new)
        waiting += [name for name in new if name not in KINDS_OF_CLASSES]
    return [first, *(name for name in contract if name in found and name not in KINDS_OF_CLASSES)]


KINDS_OF_CLASSES = {"".join(word.capitalize() for word in kind.split("-")) for kind in KINDS}
"""The Protocols of other kinds have pages of their own."""


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield from (f"### {node.name}", "", _prose(ast.get_docstring(node) or ""), "")
    for member, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign):
            default = f" = {ast.unparse(member.value)}" if member.value is not None else ""
            text = _string(following)
            yield f"* `{ast.unparse(member.target)}: {ast.unparse(member.annotation)}{default}`{_indented(text)}"
        elif isinstance(member, ast.FunctionDef):
            yield f"* {_signature(member)}{_indented(ast.get_docstring(member) or '')}"
    yield ""


def _signature(function: ast.FunctionDef) -> str:
    returns = ast.unparse(function.returns) if function.returns else "None"
    if any(ast.unparse(decorator) == "property" for decorator in function.decorator_list):
        return f"`{function.name}: {returns}` (a property)"
    return f"`{function.name}({ast.unparse(function.args)}) -> {returns}`"


def _string(node: ast.stmt | None) -> str:
    constant = node.value if isinstance(node, ast.Expr) else None
    text = constant.value if isinstance(constant, ast.Constant) else ""
    return inspect.cleandoc(text) if isinstance(text, str) else ""


def _indented(text: str) -> str:
    """The text as paragraphs of the list item that it follows."""
    return "\n\n" + "\n".join(f"  {line}".rstrip() for line in _prose(text).splitlines()) + "\n" if text else ""


def _prose(text: str) -> str:
    """A docstring as Markdown: its sections' indented lines are paragraphs, not code."""
    lines = []
    for line in text.splitlines():
        section = re.fullmatch(r"(Args|Raises|Returns|Source|Sources):", line)
        lines.append(f"**{section.group(1)}:**" if section else line.lstrip() if line.startswith("    ") else line)
    return "\n".join(lines)


# -- what is on offer --------------------------------------------------------------------------------------------------


def _overview(found: Sequence[Described], registry: Registry) -> Iterator[str]:
    if not found:
        yield "None."
        return
    yield from ("| name | what |", "|---|---|")
    for each in found:
        yield f"| [`{each['name']}`](#{each['name']}) | {_cell(each['summary'])} |"
    yield ""


def _component(each: Described) -> Iterator[str]:
    file = Path(each["file"]).relative_to(ROOT).as_posix()
    yield from (f"### {each['name']}", "")
    if each["deprecated"]:
        yield from (f"**Deprecated:** {each['deprecated']}", "")
    yield from (_prose(each["description"]), "")
    others = f"; other names: {', '.join(each['aliases'])}" if each["aliases"] else ""
    yield from (f"In `{file}`, offered by `{each['plugin']}`{others}.", "")
    if not each["parameters"]:
        yield from ("It has no parameters.", "")
        return
    yield from ("| parameter | type | default | range | meaning |", "|---|---|---|---|---|")
    for parameter in each["parameters"]:
        default = "required" if parameter["required"] else f"`{describe.toml(parameter['default'])}`"
        default = "none" if default == "`none`" else default
        kind = parameter["component"]
        limits = f"any [{kind}](kind-{kind}.md)" if kind else _limits(parameter)
        unit = f" [{parameter['unit']}]" if parameter["unit"] else ""
        cells = [f"`{parameter['name']}`", f"`{parameter['type']}`", default, limits, parameter["help"] + unit]
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _limits(parameter: Described) -> str:
    text = describe.range_text(parameter)
    return f"`{text}`" if text and not parameter["choices"] else text.replace('"', "`") if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<n>", "&lt;n&gt;")


def main() -> None:
    """Write every page that has changed, and take away those of kinds that are gone."""
    wanted = pages()
    for path in DOCS.glob("kind-*.md"):
        if path.name not in wanted:
            path.unlink()
            print(f"{path.name} is gone")
    for name, text in wanted.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{name} is written")


if __name__ == "__main__":
    main()
