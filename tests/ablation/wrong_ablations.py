"""Ablation files with one mistake each, and what must be said about it: the line, the key and the remedy.

`text` follows HEAD. The mistake stands on the line that ends in `# <-`; a mistake in `--set` has none.
"""

from __future__ import annotations

import attrs

MARK = "# <-"
HEAD = """[run]
images = 64
[data]
name = "synthetic"
resolution = 16
[[metrics]]
name = "swd"
"""
FINE = '[ablation]\nseeds = [0, 1]\n[ablation.vary]\nloss = ["wgan-gp", "hinge"]\n'


@attrs.frozen
class Wrong:
    """One mistake."""

    about: str
    text: str
    key: str
    says: str
    sets: tuple[str, ...] = ()

    def line_number(self) -> int | None:
        """Where the mistake stands."""
        marked = [number for number, line in enumerate((HEAD + self.text).splitlines(), 1) if line.endswith(MARK)]
        assert len(marked) <= 1, "one mistake a file"
        return marked[0] if marked else None


def vary(about: str, axis: str, key: str, says: str) -> Wrong:
    """A mistake in an axis."""
    return Wrong(about, f"[ablation.vary]\n{axis}\n", key, says)


def variants(about: str, text: str, key: str, says: str) -> Wrong:
    """A mistake in explicit variants."""
    return Wrong(about, text, key, says)


LISTED = [
    Wrong("a typo in a key", "[ablation]\nseed = [0]  # <-\n", "ablation.seed", "did you mean 'seeds'?"),
    Wrong("seeds as a string", '[ablation]\nseeds = "0"  # <-\n', "ablation.seeds", "expected a list of integers"),
    Wrong("no seeds", "[ablation]\nseeds = []  # <-\n", "ablation.seeds", "expected at least one seed"),
    Wrong("a seed twice", "[ablation]\nseeds = [1, 1]  # <-\n", "ablation.seeds", "seed 1 stands there twice"),
    Wrong("a negative seed", "[ablation]\nseeds = [-1]  # <-\n", "ablation.seeds", "expected seeds of 0 and more"),
    Wrong("nothing varied", '[ablation]  # <-\nquestion = "why"\n', "ablation.vary", "either [ablation.vary] or"),
    Wrong(
        "both ways",
        '[ablation.vary]  # <-\nloss = ["hinge"]\n[[ablation.variant]]\nlabel = "a"\n',
        "ablation.vary",
        "both are there",
    ),
    Wrong(
        "an unknown baseline",
        '[ablation]\nbaseline = "hing"  # <-\n[ablation.vary]\nloss = ["wgan-gp", "hinge"]\n',
        "ablation.baseline",
        "did you mean 'hinge'?",
    ),
    Wrong(
        "an unknown executor",
        '[ablation]\nexecutor = "locl"  # <-\n[ablation.vary]\nloss = ["hinge"]\n',
        "ablation.executor",
        "did you mean 'local'?",
    ),
    Wrong(
        "a wrong key of the executor",
        '[ablation]\nexecutor = { name = "local", at_onse = 2 }  # <-\n[ablation.vary]\nloss = ["hinge"]\n',
        "ablation.executor.at_onse",
        "did you mean 'at_once'?",
    ),
    Wrong("nothing decides", "[ablation]\ndecide = []  # <-\n", "ablation.decide", "expected names of the journal"),
    Wrong("a name for no folder", '[ablation]\nname = "a/b"  # <-\n', "ablation.name", "cannot name a folder"),
    vary("an axis without values", "loss = []  # <-", "ablation.vary.loss", "expected a list of values"),
    vary("an axis with one value", 'loss = "hinge"  # <-', "ablation.vary.loss", "expected a list of values"),
    vary("seeds as an axis", '"run.seed" = [1, 2]  # <-', "ablation.vary.run.seed", "set ablation.seeds"),
    vary("a value twice", 'loss = ["hinge", "hinge"]', "ablation.vary", "two variants are called 'hinge'"),
    vary("an unknown name", 'loss = ["wgan-gp", "hing"]  # <-', "loss", "unknown loss 'hing'; did you mean 'hinge'?"),
    vary(
        "an unknown key",
        '"discriminator.stdev.averaging" = ["all"]  # <-',
        "discriminator.stdev",
        "unknown key; did you mean 'stddev'?",
    ),
    vary(
        "a wrong value among right ones",
        '"discriminator.stddev.averaging" = [\n    "all",\n    "spatiall",  # <-\n]',
        "discriminator.stddev.averaging",
        "'spatiall' is not one of all, spatial",
    ),
    vary("an axis into a list", '"metrics.0.count" = [1, 2]  # <-', "ablation.vary.metrics.0.count", "vary the whole"),
    vary(
        "a labelled table with a wrong key",
        '[ablation.vary.loss]\nmine = { name = "wgan-gp", gp_wait = 3 }  # <-',
        "loss.gp_wait",
        "did you mean 'gp_weight'?",
    ),
    variants("a variant without a label", "[[ablation.variant]]  # <-\n", "ablation.variant.0.label", "missing"),
    variants(
        "a typo in a variant",
        '[[ablation.variant]]\nlabel = "a"\nsets = {}  # <-\n',
        "ablation.variant.0.sets",
        "did you mean 'set'?",
    ),
    variants(
        "after nobody",
        '[[ablation.variant]]\nlabel = "a"\n[[ablation.variant]]\nlabel = "b"\nafter = "A"  # <-\n',
        "ablation.variant.1.after",
        "no variant is called 'A'",
    ),
    variants(
        "after itself",
        '[[ablation.variant]]\nlabel = "a"\nafter = "b"\n[[ablation.variant]]\nlabel = "b"\nafter = "a"  # <-\n',
        "ablation.variant.1.after",
        "take one `after` out",
    ),
    variants(
        "a wrong difference",
        '[[ablation.variant]]\nlabel = "a"\n[[ablation.variant]]\nlabel = "b"\nset = { run = { image = 3 } }  # <-\n',
        "run.image",
        "did you mean 'images'?",
    ),
    variants(
        "adjusting nobody",
        '[[ablation.variant]]\nlabel = "a"\n[ablation.adjust.b]  # <-\nloss = "hinge"\n',
        "ablation.adjust.b",
        "no variant of this label",
    ),
    Wrong("an unknown scale", FINE, "scale", "unknown scale 'big' (known: none", sets=("scale=big",)),
    Wrong("a wrong override of all", FINE, "run.images", "expected an integer", sets=('run.images="3"',)),
    Wrong("a wrong override of the ablation", FINE, "ablation.seeds", "at least one seed", sets=("ablation.seeds=[]",)),
]
WRONG = {wrong.about: wrong for wrong in LISTED}
