"""What the pages mention exists, and what exists is on its page: commands, options, keys, hooks, components, links."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import tomllib
import typing
from functools import cache

import attrs
import pytest
import tomli_w

import ganlab
from ganlab import hookspecs, interfaces
from ganlab.ablation.schema import AblationTable, VariantTable
from ganlab.cli import cli
from ganlab.interfaces import KINDS

from . import names
from .pages import DOCS, PAGES, ROOT, Page

WORDS_OF_OTHERS = {
    "FILE.npz": "a placeholder",
    "KEY=VALUE": "a placeholder",
    "attrs": "a library",
    "wrong.toml": "a recipe that is shown failing",
    "mine.toml": "the reader's recipe",
    "localhost": "a host",
    "cuda:1": "a device",
    '"cuda:1"': "a device",
    "0.0.0.0": "an address",
    "http://localhost:5000": "an address",
    "nn.Module": "torch",
    "torch.autograd.grad(create_graph=True)": "torch",
    "torch.func.grad": "torch",
    ".item()": "torch",
    "print": "Python",
    "lr": "torch",
    "x": "an array or tensor",
    "x -> x": "a function",
    "acme-gan:hinge": "an example",
    "y": "an array",
    "w": "a weight",
    "pip install lmdb": "a command",
    "ps": "a command",
    "kill -9": "a command",
    "ssh -L 5000:localhost:5000 gpu1": "a command",
    "mlflow server": "a command",
    "mlflow server --allowed-hosts": "a command",
    "mlflow migrate-filestore": "a command",
    "pytest tests/golden": "a command",
    "mlflow.pytorch.load_model(...)(latents)": "MLflow",
    "mlruns": "MLflow's folder",
    "mlruns/": "MLflow's folder",
    "OMP_NUM_THREADS": "OpenMP",
    "--max-restarts": "torchrun",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "torch",
    "RAY_ADDRESS": "Ray",
    "ray start": "a command",
    "train-images-idx3-ubyte": "MNIST's file",
    "unix_s": "the journal",
    "swd.count=64": "an option of ganlab evaluate",
    '{"sub/a.png": "cat"}': "an example",
    '"3"': "an example",
    "3.7": "an example",
    "batch.critic": "an example",
    '@pytest.mark.ganlab_plugin("acme-gan", kind="loss", name="margin")': "an example",
    "pytest -rs": "a command",
    "pytest -k second-order-gradients": "a command",
    "ganlab>=0.1,<0.3": "an example",
}
"""Code spans that are nobody's names in ganlab, with whose they are."""

SHAPE = re.compile(r"\[(?=[^\]]*\b[NCHW]\b)[\w, -]+\]")
KIND_LINK = re.compile(r"\[`([a-z-]+)`\]\(kind-\1\.md\)")
HOOKS = {name: function for name, function in vars(hookspecs).items() if hasattr(function, "ganlab_spec")}


def test_all_pages_are_in_the_index() -> None:
    linked = {target for _, target in PAGES["index.md"].links}
    assert set(PAGES) - {"index.md"} <= linked


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_links_lead_somewhere(page: Page) -> None:
    for where, target in page.links:
        if target.startswith("http"):
            continue
        file, _, fragment = target.partition("#")
        path = (DOCS / file).resolve() if file else page.path
        assert path.exists(), f"{where}: {target}: no such file"
        if fragment:
            assert fragment in PAGES[path.name].anchors, f"{where}: {target}: no such heading in {path.name}"


def problem_with(code: str, page: Page) -> str | None:
    """What is wrong with a code span, or None."""
    if code.startswith("ganlab "):
        return problem_with_command(code.split()[1:])
    return None if is_known(code, page) else "nothing in ganlab has this name"


def is_known(code: str, page: Page) -> bool:
    """Whether a code span names something; strictly by what it looks like, else any word of the program."""
    examples = "\n".join(block.text for block in page.blocks)
    if code in WORDS_OF_OTHERS or SHAPE.fullmatch(code):
        return True
    if code.startswith("--"):
        return code.split(maxsplit=1)[0] in {o for c in names.command_names().values() for o in names.options(c)}
    if hook := re.match(r"register_\w+", code):
        return hook.group() in HOOKS
    if re.fullmatch(r"\[\[?[a-z.]+(NAME)?[a-z.]*\]\]?", code):
        return names.is_key(code.strip("[]"))
    if assignment := re.fullmatch(r'"?([\w.]+)"? ?= ?(.+)', code):
        return is_assignable(assignment.group(1), assignment.group(2), examples)
    if re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", code) and is_in_a_recipe(code):
        return names.is_key(code)
    if re.fullmatch(r"(docs|tests|recipes|ganlab|plugins)/[\w./-]+", code):
        return (ROOT / code).exists()
    if call := re.fullmatch(r"([\w.]+)\(.*\)", code):
        return any(names.in_text(call.group(1).split(".")[-1], text) for text in (names.source(), examples))
    bare = re.sub(r"^runs/(<name>/<time>|\w+)/?", "", code).strip("./ ").strip('"')
    words = words_of_the_code()
    return all(
        not word or word in words or any(names.in_text(word, text) for text in (names.source(), examples))
        for word in ([bare] if names.in_text(bare, names.source()) else bare.split("/"))
    )


def is_assignable(key: str, value: str, examples: str) -> bool:
    """Whether `key = value` sets a parameter, in full or from some component on; or is Python."""
    if value in ("True", "False"):
        return names.in_text(key, names.source())
    if "." in key:
        return any(names.is_key(path) for path in (key, *(f"{slot}.{key}" for slot in names.recipe_slots())))
    return key in names.parameter_names() or names.in_text(key, examples)


def is_in_a_recipe(code: str) -> bool:
    """Whether a dotted name begins with a table or component of recipes, and is no file."""
    head, _, last = code.partition(".")
    return head in {*names.tables(), *names.recipe_slots(), "ablation"} and last not in ("safetensors", "json", "jsonl")


def problem_with_command(words: list[str]) -> str | None:
    if words[0] in ("COMMAND", "--debug", "--help", "--version"):
        return None
    try:
        command, rest = names.find_command(words)
    except LookupError as error:
        return str(error)
    allowed = names.options(command) | {"--help", "-h"}
    wrong = [word for word in rest if word.startswith("--") and word not in allowed]
    return f"no option {wrong[0]}" if wrong else None


@cache
def words_of_the_code() -> set[str]:
    """Commands, options' choices and dotted names that stand nowhere in one piece."""
    words = set(names.command_names()) | set(KINDS)
    for kind in KINDS:
        words |= set(names.components(kind))
    for name, value in vars(interfaces).items():
        if isinstance(value, type):
            words |= {name, *(f"{name}.{member}" for member in dir(value))}
    words |= {f"ganlab.{name}" for name in ganlab.__all__}
    return words


WRITTEN = {name: page for name, page in PAGES.items() if not name.startswith("kind-")}
"""Pages that people write; what the others name comes from the code."""


@pytest.mark.parametrize("page", WRITTEN.values(), ids=WRITTEN)
def test_everything_in_code_formatting_exists(page: Page) -> None:
    wrong = [f"{where}: `{code}`: {problem}" for where, code in page.spans if (problem := problem_with(code, page))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    ["register_losess", "loss.gp_wieght", "gp_wieght = 1", "--resum", "ganlab trian", "minibatch-stdev", "[shedule]"],
)
def test_a_misspelt_name_is_noticed(code: str) -> None:
    assert problem_with(code, PAGES["index.md"]) is not None


# -- what exists is on its page ----------------------------------------------------------------------------------------


def test_every_hook_has_a_section_with_its_exact_signature() -> None:
    page = PAGES["hooks.md"]
    headings = re.findall(r"^### (\w+)$", page.prose, re.MULTILINE)
    assert sorted(headings) == sorted(HOOKS), "one section for each hook, and no other"
    for name, function in HOOKS.items():
        signature = f"{name}{inspect.signature(function)}".replace("'", "")
        section = page.under(name).strip().splitlines()
        assert section[0] == f"`{signature}`"
        assert len("".join(section[1:])) > 40, f"hooks.md says nothing of {name}"


def test_register_is_shown_with_its_exact_signature() -> None:
    parameters = str(inspect.signature(interfaces.Register.__call__))
    shown = re.search(r"^register\((.*)\)$", PAGES["hooks.md"].text, re.MULTILINE)
    assert shown is not None
    given = inspect.signature(eval(f"lambda self, {shown.group(1)}: None")).parameters.values()
    wanted = inspect.signature(interfaces.Register.__call__).parameters.values()
    assert [(p.name, p.kind, p.default) for p in given] == [(p.name, p.kind, p.default) for p in wanted], parameters


def protocol(kind: str) -> typing.Any:
    return getattr(interfaces, "".join(word.capitalize() for word in kind.split("-")))


def test_every_kind_has_a_row_with_its_build() -> None:
    rows = {match.group(1): row[1].strip("`") for row in PAGES["plugins.md"].rows if (match := KIND_LINK.match(row[0]))}
    assert set(rows) == set(KINDS)
    for kind in KINDS:
        signature = str(inspect.signature(protocol(kind).build)).replace("'", "")
        assert rows[kind] == f"build{signature}"


# -- the pages that are written from the code --------------------------------------------------------------------------


def generator() -> typing.Any:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_on_kinds_are_up_to_date() -> None:
    wanted = generator().pages()
    assert set(wanted) == {path.name for path in DOCS.glob("kind-*.md")}
    stale = [name for name, text in wanted.items() if (DOCS / name).read_text(encoding="utf-8") != text]
    assert not stale, f"run `python docs/generate.py`: {', '.join(stale)}"


def test_the_pages_on_kinds_have_every_component_parameter_and_method() -> None:
    """What the generator leaves out would be missing in both, so this asks the code itself."""
    for kind in KINDS:
        page = PAGES[f"kind-{kind}.md"]
        members = [name for name in vars(protocol(kind)) if not name.startswith("_")]
        assert "build" in members
        for member in members:
            assert re.search(rf"^\* `{member}[(:]", page.prose, re.MULTILINE), f"{page.path.name}: {member}"
        for name, cls in names.components(kind).items():
            section = page.under(name)
            rows = [line for line in section.splitlines() if line.startswith("| `")]
            assert [re.split(r"`", row)[1] for row in rows] == [attribute.name for attribute in attrs.fields(cls)]
            for attribute in attrs.fields(cls):
                assert attribute.metadata["help"].replace("<n>", "&lt;n&gt;").replace("|", "\\|") in section


def test_the_page_on_recipes_leads_to_every_kind() -> None:
    linked = {target for _, target in PAGES["recipes.md"].links}
    assert {f"kind-{kind}.md" for kind in KINDS} <= linked


# -- the promise -------------------------------------------------------------------------------------------------------


def test_the_public_names_are_those_that_are_promised() -> None:
    rows = [row[0] for row in PAGES["stability.md"].rows if re.fullmatch(r"`ganlab\.\w+`", row[0])]
    assert sorted(rows) == sorted(f"`ganlab.{name}`" for name in ganlab.__all__)
    for name in ganlab.__all__:
        assert hasattr(ganlab, name)


def test_the_public_modules_exist_and_the_private_ones_are_named() -> None:
    page = PAGES["stability.md"]
    public = set(re.findall(r"`(ganlab\.\w+)`", page.under("What is public"))) - {f"ganlab.{n}" for n in ganlab.__all__}
    private = set(re.findall(r"`(ganlab\.\w+)`", page.under("What is not covered")))
    assert not public & private
    for name in public | private:
        assert importlib.util.find_spec(name) is not None, name
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    ours = next(each for each in contracts if each["name"].startswith("Plugins use the public parts"))
    assert set(ours["forbidden_modules"]) <= private, "our own plugins are held to the same"


def test_every_key_of_a_recipe_is_in_its_table_with_its_default() -> None:
    rows = {row[0].strip("`"): row[1] for row in PAGES["recipes.md"].rows if row[0].startswith("`")}
    in_words = {"run.name", "track.experiment", "track.uri"}
    for key, attribute in names.schema_keys().items():
        assert key in rows, f"recipes.md does not have {key}"
        if key not in in_words:
            assert rows[key] == shown_default(attribute), key
    for slot, attribute in names.recipe_slots().items():
        assert rows[slot] == shown_default(attribute), slot


def shown_default(attribute: attrs.Attribute[typing.Any]) -> str:
    default: typing.Any = attribute.default
    if default is attrs.NOTHING:
        return "required"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, which attrs' stubs call a function
        default = default.factory()
    if default is None:
        return "none"
    if default == {} or isinstance(default, tuple):
        return f"`{json.dumps(default)}`"
    return f"`{tomli_w.dumps({'value': default}).removeprefix('value = ').strip()}`"


def test_every_command_and_option_is_explained() -> None:
    page = PAGES["commands.md"]
    headings = re.findall(r"^## (.+)$", page.prose, re.MULTILINE)
    for name, command in names.command_names().items():
        heading = next((h for h in headings if f"ganlab {name}" in h.split(", ")), None)
        assert heading is not None, f"commands.md has no section for ganlab {name}"
        section = page.under(heading)
        for option in names.options(command):
            assert f"`{option}`" in section, f"commands.md: ganlab {name} {option}"
    for option in names.options(cli):
        assert option in page.prose


def test_every_environment_variable_is_explained() -> None:
    read = set(re.findall(r"GANLAB_[A-Z_]+", names.source())) - {"GANLAB_COMPLETE"}
    rows = {row[0] for row in PAGES["troubleshooting.md"].rows}
    for variable in read:
        assert any(f"`{variable}`" in cell for cell in rows), variable


def test_every_key_of_an_ablation_is_in_its_table() -> None:
    rows = {row[0].strip("`"): row[1] for row in PAGES["ablations.md"].rows if row[0].startswith("`")}
    in_words = {"name", "baseline", "vary", "variant", "adjust", "after"}
    for prefix, cls in (("ablation.", AblationTable), ("", VariantTable)):
        for attribute in attrs.fields(cls):
            key = f"{prefix}{attribute.name}"
            assert key in rows, f"ablations.md does not have {key}"
            if attribute.name not in in_words:
                assert rows[key] == shown_default(attribute), key
