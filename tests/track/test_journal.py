from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.errors import RunError
from ganlab.track.journal import Entry, Follower, Journal, encode, read

names = st.text(min_size=1, max_size=20)
measured = st.dictionaries(names, st.floats(), max_size=4)
journals = st.lists(st.tuples(st.integers(0, 10**12), measured, measured), max_size=8).map(
    lambda lines: sorted(lines, key=lambda line: line[0])
)


def same(found: Entry, line: tuple[int, dict[str, float], dict[str, float]]) -> bool:
    images_shown, values, time = line
    times = {name: found.time[name] for name in time}
    pairs = [(found.values, values), (times, time)]
    return (
        found.images_shown == images_shown
        and found.values.keys() == values.keys()
        and all(
            (math.isnan(wanted[key]) and math.isnan(got[key])) or got[key] == wanted[key]
            for got, wanted in pairs
            for key in wanted
        )
    )


def written(folder: Path, lines: list[tuple[int, dict[str, float], dict[str, float]]]) -> Journal:
    journal = Journal(folder)
    for line in lines:
        journal.write(*line)
    return journal


@given(journals)
def test_what_is_written_is_read_back(lines):
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), lines)
        found = read(Path(folder))
    assert len(found) == len(lines)
    assert all(map(same, found, lines))
    assert all(entry.time["unix_s"] > 1e9 or "unix_s" in line[2] for entry, line in zip(found, lines, strict=True))


def test_equal_values_give_equal_bytes_in_any_order():
    one = Entry(5, {"b": 1, "a": 0.1 + 0.2}, {})
    other = Entry(5, {"a": 0.30000000000000004, "b": 1.0}, {})
    assert encode(one) == encode(other)
    assert encode(one) == b'{"images_shown": 5, "values": {"a": 0.30000000000000004, "b": 1.0}, "time": {}}\n'


@given(journals, st.integers(-1, 10**12))
def test_truncation_keeps_exactly_the_lines_up_to_the_checkpoint(lines, images_shown):
    with tempfile.TemporaryDirectory() as folder:
        journal = written(Path(folder), lines)
        before = journal.path.read_bytes().splitlines(keepends=True) if lines else []
        kept = sum(line[0] <= images_shown for line in lines)
        journal.truncate_after(images_shown)
        assert (journal.path.read_bytes() if lines else b"") == b"".join(before[:kept])
        assert {path.name for path in Path(folder).iterdir()} <= {"metrics.jsonl"}


@given(journals.filter(bool), st.floats(0, 1))
def test_a_line_torn_anywhere_is_dropped_and_can_be_written_again(lines, where):
    with tempfile.TemporaryDirectory() as folder:
        journal = written(Path(folder), lines)
        content = journal.path.read_bytes()
        cut = int(where * len(content))
        journal.path.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n")
        assert len(read(Path(folder))) == whole
        written(Path(folder), lines[whole:])
        assert all(map(same, read(Path(folder)), lines))


def test_truncation_drops_a_torn_line_too(tmp_path):
    journal = written(tmp_path, [(1, {"a": 1.0}, {}), (2, {"a": 2.0}, {})])
    with open(journal.path, "ab") as file:
        file.write(b'{"images_shown": 3, "val')
    journal.truncate_after(10)
    assert [entry.images_shown for entry in read(tmp_path)] == [1, 2]
    assert journal.path.read_bytes().endswith(b"}\n")


def test_a_broken_line_in_the_middle_is_an_error_that_names_the_file(tmp_path):
    journal = written(tmp_path, [(1, {}, {})])
    with open(journal.path, "ab") as file:
        file.write(b"[]\n")
    journal.write(2, {}, {})
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        read(tmp_path)


def test_a_follower_gets_each_line_once_and_all_again_after_a_truncation(tmp_path):
    follower = Follower(tmp_path)
    assert follower.new() == []
    journal = written(tmp_path, [(1, {"a": 1.0}, {}), (2, {"a": 2.0}, {})])
    assert [entry.images_shown for entry in follower.new()] == [1, 2]
    with open(journal.path, "ab") as file:
        file.write(b'{"images_shown": 3, ')
    assert follower.new() == []
    with open(journal.path, "ab") as file:
        file.write(b'"values": {}, "time": {}}\n')
    assert [entry.images_shown for entry in follower.new()] == [3]
    journal.truncate_after(1)
    journal.write(2, {"a": 2.0}, {})
    assert [entry.images_shown for entry in follower.new()] == [1, 2]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"metrics\.jsonl: no space left on device"):
        Journal(tmp_path).write(1, {"a": 1.0}, {})
