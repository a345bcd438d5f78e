"""What is wrong with a text that is not TOML, in a recipe writer's words: tomllib's own say neither key nor remedy."""

from __future__ import annotations

import re

_REMEDIES = (
    (r"Illegal character '\\[rn]'", "the string is not closed; end it with the quote it began with"),
    (r"Expected '\"\"\"'|Expected \"'''\"|[Uu]nterminated string", "the string is not closed; end it with its quotes"),
    (r"Unescaped|Invalid hex value", "a backslash in a string; write / or use single quotes"),
    (r"Cannot declare", "this table is here already; put all its keys into one"),
    (r"Cannot overwrite a value|Duplicate inline table key", "this key is set already; keep one of them"),
    (r"Cannot (mutate|redefine)", "this table is complete already; put all its keys into one place"),
    (r"Unclosed array", "the list is not closed; end it with ]"),
    (r"Unclosed inline table|inline table", "the table is not closed, or a comma is missing; write { key = value }"),
    (r"Expected '\]", "the table's name is not closed; write [table], or [[table]] for one of a list"),
    (r"Expected '=' after a key", "expected key = value"),
    (r"Invalid initial character for a key|Invalid statement", "expected key = value, [table] or # comment"),
    (r"Expected newline or end of document", "expected one key = value on a line; a string needs quotes"),
    (r"Invalid value", "expected a value: a number, true, false, a string in quotes, [list] or { table }"),
    (r"Exceeds the limit", "a number of so many digits is no setting; expected at most 64 bits"),
    (r"[Dd]ate", "this looks like a date and is none; a string needs quotes"),
    (r"recursion", "lists or tables are nested too deeply"),
)
_HEADER = re.compile(r"\s*\[+\s*([^\[\]]*[^\[\]\s])")
_ASSIGNMENT = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def explain_syntax(error: ValueError | RecursionError, text: str) -> tuple[int | None, str]:
    """The line number (None if unknown) of what `tomllib.loads(text)` raised, and `key: what; remedy`."""
    message = " ".join(str(error).split())
    number = _line_number(message, text)
    told = re.sub(r" \(at .*\)$|; use sys\.set_int.*$", "", message)
    remedy = next((words for pattern, words in _REMEDIES if re.search(pattern, message)), "see https://toml.io")
    key = _key_at(text, number) if number is not None else ""
    return number, f"{key + ': ' if key else ''}not valid TOML ({told}): {remedy}"


def _line_number(message: str, text: str) -> int | None:
    lines = text.splitlines()
    found = re.search(r"at line (\d+)", message)
    if found:
        return int(found.group(1))
    if "end of document" not in message:
        found = re.search(r"\d{4300}|[\[{]{50}", text)  # what the two messages that name no place are about
        return text.count("\n", 0, found.start()) + 1 if found else None
    # What is not closed began with the last line that looks like a beginning.
    started = [number for number, line in enumerate(lines, 1) if _HEADER.match(line) or _ASSIGNMENT.match(line)]
    return started[-1] if started else len(lines)


def _key_at(text: str, number: int) -> str:
    """The dotted key that line `number` sets, or the table that it opens, as far as it can be read."""
    lines = text.splitlines()[:number]
    header = next((found for found in map(_HEADER.match, reversed(lines)) if found), None)
    table = header.group(1).strip() if header else ""
    if not lines or _HEADER.match(lines[-1]):
        return table
    assignment = _ASSIGNMENT.match(lines[-1])
    key = re.sub(r"[\s\"']", "", assignment.group(1)) if assignment else ""
    return ".".join(part for part in (table, key) if part)
