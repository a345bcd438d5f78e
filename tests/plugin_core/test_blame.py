"""What nobody expected is told as whose it is: the plugin, the line and the function, or ganlab."""

from __future__ import annotations

import pytest

from ..commands import ganlab as command
from .conftest import Site, WriteFile
from .test_observers import TINY

PLUGIN = """
import attrs, ganlab
from ganlab.interfaces import LossValue
from torch.nn.functional import softplus

@attrs.frozen
class Bent:
    "A loss with a fault."
    where: str = ganlab.parameter("", help="of the fault")

    def build(self):
        if self.where == "build":
            {}["widths"]
        return Module(self.where)

class Module(ganlab.AdversarialLossBase):
    def __init__(self, where):
        super().__init__()
        self.where = where
    def discriminator(self, batch):
        if self.where == "torch":
            batch.real.scores.view(-1, 17)
        if self.where == "critic":
            batch.critic(batch.reals[:, :1], "reals")
        rows = softplus(-batch.real.scores) + softplus(batch.fake.scores)
        if self.where == "result":
            return rows
        return LossValue("rows" if self.where == "value" else rows)
    def generator(self, batch):
        return LossValue(softplus(-batch.fake.scores))

@ganlab.hookimpl
def register_losses(register):
    register("bent", Bent)
"""


def line_of(text: str) -> int:
    return 1 + next(number for number, line in enumerate(PLUGIN.splitlines()) if text in line)


FAULTS = {
    "build": ("raised KeyError: 'widths'", '{}["widths"]', "Bent.build"),
    "torch": ("raised RuntimeError: shape", "view(-1, 17)", "Module.discriminator"),
    "critic": ("called ganlab, which raised RuntimeError: ", 'batch.reals[:, :1], "reals"', "Module.discriminator"),
}


@pytest.mark.parametrize(("where", "how", "line", "function"), [(k, *v) for k, v in FAULTS.items()], ids=FAULTS.keys())
@pytest.mark.parametrize("installed", [True, False], ids=["installed", "file"])
def test_a_component_s_fault_is_told_at_the_plugin_s_line(
    site: Site, in_folder: WriteFile, where: str, how: str, line: str, function: str, installed: bool
) -> None:
    file = site.path / "acme.py" if installed else in_folder("bent_file.py", PLUGIN)
    plugin, options = ("acme-gan 0.3", []) if installed else (str(file), ["--plugin", file])
    if installed:
        site.install("acme-gan", {"acme": PLUGIN})
    recipe = in_folder("tiny.toml", f'{TINY}[loss]\nname = "bent"\nwhere = "{where}"\n')
    done = command("run", recipe, "--run-dir", "run", "--quiet", *options)
    assert done.code == 1
    told = [text for text in done.err.splitlines() if text.startswith("ganlab: ")]
    assert told[-2].startswith(f"ganlab: plugin {plugin} {how}")
    assert told[-1].startswith(f"ganlab: at {file}:{line_of(line)} (in {function}); `ganlab.testing` checks ")
    assert "Traceback" not in done.err


def test_what_no_plugin_is_in_is_told_as_before(in_folder: WriteFile) -> None:
    file = in_folder("bent_file.py", PLUGIN)
    recipe = in_folder("tiny.toml", f'{TINY}[loss]\nname = "bent"\nwhere = "value"\n')
    done = command("run", recipe, "--run-dir", "run", "--plugin", file, "--set", "run.check_memory=true")
    assert done.code == 1
    assert (
        "peak memory cannot be worked out beforehand: a step tried on tensors without content raised "
        "AttributeError: 'str' object has no attribute 'mean'\n"
    ) in done.err
    assert "ganlab: unexpected AttributeError: 'str' object has no attribute 'mean'\n" in done.err
    assert done.err.endswith("ganlab: this is a fault in ganlab or in a plugin; run again with --debug to see where\n")


def test_a_loss_that_returns_no_loss_value_is_named(in_folder: WriteFile) -> None:
    file = in_folder("bent_file.py", PLUGIN)
    recipe = in_folder("tiny.toml", f'{TINY}[loss]\nname = "bent"\nwhere = "result"\n')
    done = command("run", recipe, "--run-dir", "run", "--quiet", "--plugin", file)
    assert done.code == 2
    wanted = "expected ganlab.interfaces.LossValue(per_sample, report)"
    assert done.err.splitlines()[-1] == f"Module in {file} returned Tensor; {wanted}"


def test_a_step_that_cannot_be_rehearsed_is_told_at_the_plugin_s_line(in_folder: WriteFile) -> None:
    file = in_folder("bent_file.py", PLUGIN)
    recipe = in_folder("tiny.toml", f'{TINY}[loss]\nname = "bent"\nwhere = "torch"\n')
    done = command("plan", recipe, "--plugin", file, "--seconds", 0)
    assert done.code == 2
    assert "cannot be looked at without doing them: a step tried on tensors without content raised " in done.err
    assert done.err.endswith(f" at {file}:{line_of('view(-1, 17)')} (in Module.discriminator)\n")
