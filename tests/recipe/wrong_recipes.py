"""Recipes with one mistake each, and what must be said about it: the line, the key and the remedy.

`text` follows HEAD, which is a whole recipe of its own; with `alone` it is all there is. The mistake stands on the line
that ends in `# <-`, or on line `line`; a mistake in `--set` has none.
"""

from __future__ import annotations

import attrs

MARK = "# <-"
DATA = '[data]\nname = "synthetic"\nresolution = 8\n'
HEAD = "[run]\nimages = 64\n" + DATA


@attrs.frozen
class Wrong:
    """One mistake."""

    about: str
    text: str
    key: str
    """Key path that must be named, or nothing where the mistake has none."""
    says: str
    """What must stand in the message: what was expected, or what to do."""
    sets: tuple[str, ...] = ()
    alone: bool = False
    line: int | None = None

    def recipe(self) -> str:
        """The text of the recipe file."""
        return self.text.lstrip("\n") if self.alone else HEAD + self.text.lstrip("\n")

    def line_number(self) -> int | None:
        """Where the mistake stands."""
        marked = [number for number, line in enumerate(self.recipe().splitlines(), 1) if line.endswith(MARK)]
        assert len(marked) <= 1, "one mistake a recipe"
        return marked[0] if marked else self.line


def alone(about: str, text: str, key: str, says: str, *, line: int | None = None) -> Wrong:
    """A recipe that does not begin with HEAD."""
    return Wrong(about, text, key, says, alone=True, line=line)


def set_to(about: str, assignment: str, key: str, says: str) -> Wrong:
    """A mistake in `--set`."""
    return Wrong(about, "", key, says, sets=(assignment,))


TYPOS = [
    Wrong(
        "a table", '[lose]  # <-\nname = "wgan-gp"', "lose", "unknown key; did you mean 'loss'? (allowed: run, data,"
    ),
    Wrong("a key", "[loss]\ngp_wieght = 5.0  # <-", "loss.gp_wieght", "did you mean 'gp_weight'? (allowed: name, gp_w"),
    Wrong("a key of [ema]", "[ema]\nbetta = 0.9  # <-", "ema.betta", "unknown key; did you mean 'beta'?"),
    Wrong("a dotted key", "[track]\n\n[loss]\n\ntagret = 1.0  # <-", "loss.tagret", "did you mean 'target'?"),
    alone("a key of [run]", "[run]\nimages = 3\nsede = 1  # <-\n" + DATA, "run.sede", "did you mean 'seed'?"),
    alone(
        "a key of [data]",
        '[run]\nimages = 3\n[data]\nname = "synthetic"\nresolution = 8\nmiror = true  # <-',
        "data.miror",
        "unknown key; did you mean 'mirror'? (allowed: name, ",
    ),
    Wrong(
        "a component's name", '[loss]\nname = "wgan-pg"  # <-', "loss.name", "unknown loss 'wgan-pg'; did you mean 'wg"
    ),
    alone(
        "a bare component's name",
        f'loss = "hinje"  # <-\n{HEAD}',
        "loss",
        "did you mean 'hinge'? (known: began, hinge, lsg",
    ),
    Wrong("a qualified name", '[loss]\nname = "gan:hinge"  # <-', "loss.name", "did you mean 'ganlab:hinge'?"),
    Wrong("another kind's name", '[loss]\nname = "adam"  # <-', "loss.name", "unknown loss 'adam'"),
    Wrong(
        "in a slot", '[discriminator]\nnoise = "nome"  # <-', "discriminator.noise", "unknown layer 'nome'; did you m"
    ),
    Wrong(
        "in `name`", "[generator]\nnormalization = { nmae = 1 }  # <-", "generator.normalization.nmae", "mean 'name'"
    ),
    alone(
        "the data set",
        '[run]\nimages = 3\n[data]\nname = "sinthetic"  # <-\nresolution = 8',
        "data.name",
        "unknown dataset 'sinthetic'; did you mean 'synthetic'?",
    ),
    Wrong("a metric", '[[metrics]]\nname = "sdw"  # <-', "metrics.0.name", "unknown metric 'sdw'; did you mean 'swd'?"),
    Wrong(
        "a choice", '[discriminator]\nstddev_of = "image"  # <-', "discriminator.stddev_of", "did you mean 'images'?"
    ),
    Wrong(
        "an averaging",
        '[discriminator.stddev]\naveraging = "spatail"  # <-',
        "discriminator.stddev.averaging",
        "is not one of all, spatial, gpool,",
    ),
]

TYPES = [
    Wrong(
        "string for integer",
        '[schedule]\nminibatch = "16"  # <-',
        "schedule.minibatch",
        "expected an integer, got '16'",
    ),
    Wrong(
        "float for integer", "[schedule]\nminibatch = 16.0  # <-", "schedule.minibatch", "integer, got 16.0 (a number)"
    ),
    Wrong(
        "exponent for integer",
        "[schedule]\ntick_images = 1e6  # <-",
        "schedule.tick_images",
        "expected an integer, got",
    ),
    Wrong(
        "boolean for integer", "[track]\nsamples = true  # <-", "track.samples", "expected an integer, got true (a boo"
    ),
    Wrong("string for number", '[ema]\nbeta = "0.9"  # <-', "ema.beta", "expected a number, got '0.9' (a string)"),
    Wrong(
        "boolean for number", "[loss]\ndrift = false  # <-", "loss.drift", "expected a number, got false (a boolean)"
    ),
    Wrong(
        "date for number",
        "[loss]\ndrift = 2026-11-22  # <-",
        "loss.drift",
        "expected a number, got 2026-11-22 (a date)",
    ),
    Wrong(
        "string for boolean",
        '[updates]\ntogether = "false"  # <-',
        "updates.together",
        "expected true or false, got 'f",
    ),
    Wrong(
        "integer for boolean", "[track]\nmlflow = 0  # <-", "track.mlflow", "expected true or false, got 0 (an integer)"
    ),
    Wrong(
        "integer for string", "[track]\nexperiment = 7  # <-", "track.experiment", "expected a string, got 7 (an int"
    ),
    Wrong(
        "table for scalar",
        "[loss.drift]  # <-\nvalue = 0.1",
        "loss.drift",
        "expected a number, got {'value': 0.1} (a t",
    ),
    alone("scalar for table", f"ema = 0.9  # <-\n{HEAD}", "ema", "expected a table, got 0.9 (a number)"),
    alone("list for table", f"track = []  # <-\n{HEAD}", "track", "expected a table, got [] (a list)"),
    Wrong(
        "list for component",
        '[[loss]]  # <-\nname = "hinge"',
        "loss",
        "expected the name of a loss or a table, got [{'na",
    ),
    alone(
        "integer for component", f"generator = 3  # <-\n{HEAD}", "generator", "expected the name of a network or a tab"
    ),
    Wrong("integer for name", "[optimizer]\nname = 3  # <-", "optimizer.name", "expected a string, got 3 (an integer)"),
    Wrong(
        "scalar for list", "[generator]\nwidths = 16  # <-", "generator.widths", "expected a list of integers, got 16"
    ),
    Wrong(
        "number in a list",
        "[generator]\nwidths = [\n  16,\n  8.5,  # <-\n]",
        "generator.widths.1",
        "expected an integer, got 8.5",
    ),
    Wrong(
        "list for a table of numbers", "[schedule]\nticks = [4]  # <-", "schedule.ticks", "expected a table, got [4]"
    ),
    Wrong(
        "word for a resolution",
        "[schedule]\nminibatches = { four = 32 }  # <-",
        "schedule.minibatches.four",
        "the key must be an integer such as 16, got 'four'",
    ),
    alone(
        "string for list",
        f'metrics = "swd"  # <-\n{HEAD}',
        "metrics",
        "expected a list of metric components, got 'swd'",
    ),
    alone(
        "number in metrics",
        f"metrics = [3]  # <-\n{HEAD}",
        "metrics.0",
        "expected the name of a metric or a table, got 3",
    ),
]

RANGES = [
    alone("a negative seed", "[run]\nseed = -1  # <-\nimages = 3\n" + DATA, "run.seed", "expected at least 0, got -1"),
    alone("no images", "[run]\nimages = 0  # <-\n" + DATA, "run.images", "expected at least 1, got 0"),
    alone(
        "a device", '[run]\ndevice = "gpu"  # <-\nimages = 3\n' + DATA, "run.device", "expected auto, cpu, cuda, cud"
    ),
    alone(
        "a precision",
        '[run]\nprecision = "fp16"  # <-\nimages = 3\n' + DATA,
        "run.precision",
        "not one of 'auto', 'flo",
    ),
    alone("a name", '[run]\nname = "a/b"  # <-\nimages = 3\n' + DATA, "run.name", "use letters, digits, '-', '_' and"),
    alone(
        "a resolution",
        '[run]\nimages = 3\n[data]\nname = "synthetic"\nresolution = 12  # <-',
        "data.resolution",
        "expected a power of two from 4 to 1024, got 12",
    ),
    Wrong("a slope", "[generator]\nleaky_slope = 1.5  # <-", "generator.leaky_slope", "expected less than 1, got 1.5"),
    Wrong(
        "a rate",
        "[optimizer]\nlearning_rate = -0.001  # <-",
        "optimizer.learning_rate",
        "expected at least 0, got -0.0",
    ),
    Wrong("not a number", "[optimizer]\nbeta1 = nan  # <-", "optimizer.beta1", "expected a finite number, got nan"),
    Wrong("infinity", "[loss]\ngp_weight = inf  # <-", "loss.gp_weight", "expected a finite number, got inf"),
    Wrong(
        "a huge integer",
        f"[schedule]\nminibatch = {'9' * 30}  # <-",
        "schedule.minibatch",
        "integer of at most 64 bits",
    ),
    Wrong("no samples", "[track]\nsamples = 0  # <-", "track.samples", "expected at least 1, got 0"),
    Wrong("a store", '[track]\nuri = "mlruns"  # <-', "track.uri", "expected an address such as sqlite:///mlflow.db"),
    Wrong(
        "a width", "[generator]\nwidths = [16, 0]  # <-", "generator.widths", "expected one or more numbers from 1 to"
    ),
    Wrong(
        "a first level",
        "[schedule]\ninitial_resolution = 6  # <-",
        "schedule.initial_resolution",
        "a power of two, 4 or",
    ),
    Wrong(
        "a level",
        "[schedule]\nminibatches = { 5 = 32 }  # <-",
        "schedule.minibatches",
        "powers of two, 4 or more, got 5",
    ),
    Wrong("a group", '[discriminator.stddev]\naveraging = "group0"  # <-', "discriminator.stddev.averaging", "group4"),
]

MISSING = [
    alone("everything", "", "run", "missing; it is required (how long, from which seed and on what)"),
    alone("[data]", "[run]\nimages = 3", "data", "missing; it is required (the real images)"),
    alone(
        "run.images", "[run]  # <-\nseed = 3\n" + DATA, "run.images", "missing; it is required (real images to show in"
    ),
    alone(
        "data.name",
        "[run]\nimages = 3\n[data]  # <-\nresolution = 8",
        "data.name",
        "missing; it names the dataset (known",
    ),
    alone(
        "data.path",
        '[run]\nimages = 3\n[data]  # <-\nname = "shards"\nresolution = 8',
        "data.path",
        "missing; it is required (Folder of the set",
    ),
    Wrong(
        "a metric's name",
        "[[metrics]]  # <-\ncount = 64",
        "metrics.0.name",
        "missing; it names the metric (known: frechet-distance, inception-score",
    ),
    alone(
        "the base",
        f'base = "nowhere.toml"  # <-\n{HEAD}',
        "base",
        "no such file; paths are relative to the recipe, so this",
    ),
    alone(
        "a base that is a folder", f'base = "."  # <-\n{HEAD}', "base", "is a folder; paths are relative to the recipe"
    ),
    alone(
        "a base that is no path", f"base = 3  # <-\n{HEAD}", "base", "expected the path of a recipe (a string), got 3"
    ),
]

DISAGREEMENTS = [
    Wrong(
        "two discriminators",
        '[generator]\nname = "pggan-discriminator"  # <-',
        "generator.name",
        "expected a generator",
    ),
    Wrong(
        "two generators",
        '[discriminator]\nname = "mnist-generator"  # <-',
        "discriminator.name",
        "expected a discriminat",
    ),
    Wrong("labels for nobody", "", "data.labels", 'add regularizers = ["ac-gan"]', sets=("data.labels=true",)),
    Wrong(
        "a term without labels",
        '[[regularizers]]  # <-\nname = "ac-gan"',
        "regularizers.0",
        "set labels = true in [data]",
    ),
    Wrong(
        "half of a decay",
        '[[regularizers]]  # <-\nname = "r1"\ngamma_end = 0.2',
        "regularizers.0.gamma_images",
        "expected a value, as gamma_end has one",
    ),
    Wrong(
        "a rise to nothing",
        "[ema]\nrampup_images = 100  # <-",
        "ema.rampup_images",
        "expected half_life_images too",
    ),
    Wrong(
        "a start above the end",
        "[schedule]\ninitial_resolution = 16  # <-",
        "schedule.initial_resolution",
        "expected at most the run's resolution 8, got 16",
    ),
    Wrong(
        "levels without images",
        '[schedule]\nname = "fade-first"\nfade_images = 0  # <-\nstabilize_images = 0',
        "schedule.fade_images",
        "expected more than 0, here or in stabilize_images",
    ),
    Wrong(
        "noise where none is handed in",
        '[discriminator]\ndiscrimination = "multiplicative-noise"  # <-',
        "discriminator.discrimination",
        "give it to noise instead",
    ),
    Wrong(
        "noise for statistics",
        '[discriminator.stddev]  # <-\nname = "multiplicative-noise"',
        "discriminator.stddev",
        "give it to noise instead",
    ),
    Wrong(
        "statistics for noise",
        '[discriminator]\nnoise = "minibatch-stddev"  # <-',
        "discriminator.noise",
        "such as multiplicative-noise, or none",
    ),
    Wrong(
        "no statistics of the images",
        '[discriminator]\nstddev_of = "images"  # <-\nstddev = "minibatch-discrimination"',
        "discriminator.stddev_of",
        "set stddev to minibatch-stddev",
    ),
    Wrong(
        "channels that cannot be grouped",
        '[discriminator.stddev]\naveraging = "group7"  # <-',
        "discriminator.stddev.averaging",
        "needs a multiple of 7 channels; there are 512",
    ),
    Wrong("an unknown key called source", "", "data.source", "unknown key (allowed: name,", sets=("data.source='x'",)),
    Wrong("a quoted key", "", "run.imgaes", "did you mean 'images'?", sets=("'run'.imgaes=5",)),
    Wrong("threads without end", "", "run.threads", "at most 4096, got", sets=(f"run.threads={2**63 - 1}",)),
    Wrong("a cache without end", "", "data.cache_gigabytes", "at most 1000000", sets=("data.cache_gigabytes=1e300",)),
    Wrong("a device in other digits", "", "run.device", "expected auto, cpu", sets=('run.device="cuda:٣"',)),
    Wrong("a device too far", "", "run.device", "expected auto, cpu", sets=("run.device=cuda:9999",)),
    Wrong("a steep decay", "", "generator.fmap_decay", "at most 10", sets=("generator.fmap_decay=2000",)),
    Wrong("vast widths", "", "generator.widths", "from 1 to 65536", sets=("generator.widths=[9, 99999]",)),
    Wrong("vast latents", "", "generator.latent_size", "most 65536", sets=("generator.latent_size=999999",)),
    Wrong("a vast minibatch", "", "schedule.minibatch", "most 1000000", sets=("schedule.minibatch=9999999",)),
    Wrong(
        "vast minibatches", "", "schedule.minibatches", "at most 1000000 at", sets=("schedule.minibatches.4=9999999",)
    ),
    Wrong("too few widths", "[generator]\nwidths = [16]  # <-", "generator.widths", "ends at 4x4; add one for 8x8"),
    Wrong("no features left", "[discriminator]\nfmap_base = 1  # <-", "discriminator.fmap_base", "leaves no features"),
    Wrong(
        "a minibatch that cannot be grouped",
        "[discriminator.stddev]\ngroup_size = 3  # <-",
        "discriminator.stddev.group_size",
        "cannot be divided into groups of 3",
    ),
    Wrong("too many devices", "[schedule]\ndevices = 64  # <-", "schedule.devices", "cannot be shared by 64 devices"),
    Wrong(
        "a key of another schedule",
        '[schedule]\nname = "fixed"\nfade_images = 9  # <-',
        "schedule.fade_images",
        "unknown k",
    ),
    Wrong(
        "together, but not in step",
        "[updates]\ntogether = true  # <-\ndiscriminator_steps = 2",
        "updates.together",
        "true needs discriminator_steps = 1, got 2",
    ),
    Wrong(
        "an augmentation that follows scores, with a loss whose scores it cannot read",
        '[augmentation]  # <-\nname = "ada"',
        "augmentation",
        "set its probability, or use loss = 'non-saturating' or 'hinge'",
    ),
    Wrong(
        "a missing plugin",
        '[plugins]\nrequire = ["acme-gan>=0.2"]  # <-',
        "plugins.require.0",
        "pip install 'acme-gan>=0.2'",
    ),
    Wrong(
        "an old plugin",
        '[plugins]\nrequire = ["ganlab>=99"]  # <-',
        "plugins.require.0",
        "the recipe needs ganlab>=99; run",
    ),
    Wrong(
        "a garbled plugin", '[plugins]\nrequire = ["acme gan!"]  # <-', "plugins.require.0", "such as 'acme-gan>=0.2'"
    ),
    Wrong(
        "a plugin that is no text", "[plugins]\nrequire = [3]  # <-", "plugins.require.0", "expected a string, got 3"
    ),
    Wrong(
        "plugins that are no list", '[plugins]\nrequire = "acme"  # <-', "plugins.require", "expected a list of strings"
    ),
    Wrong(
        "a term's key",
        '[[regularizers]]\nname = "r1"\nweight = 3  # <-',
        "regularizers.0.weight",
        "(allowed: name, gamma, gamma_end, gamma_images)",
    ),
]

SYNTAX = [
    Wrong("an open string", '[loss]\nname = "hinge\n', "loss.name", "end it with the quote it began with", line=7),
    Wrong("an open string of lines", '[loss]\nname = """hinge\n', "loss.name", "the string is not closed", line=7),
    Wrong(
        "an open list",
        "[generator]\nwidths = [16, 8\n",
        "generator.widths",
        "the list is not closed; end it with ]",
        line=7,
    ),
    Wrong("an open table", "[schedule]\nticks = { 4 = 3\n", "schedule.ticks", "write { key = value }", line=7),
    Wrong("an open header", "[loss\ndrift = 1\n", "loss", "write [table], or [[table]]", line=6),
    Wrong(
        "no value", "[loss]\ndrift =  # <-\n", "loss.drift", "expected a value: a number, true, false, a string in quo"
    ),
    Wrong("no quotes", "[loss]\nname = hinge  # <-\n", "loss.name", "a string in quotes"),
    Wrong("no equals sign", "[loss]\ndrift 3  # <-\n", "loss", "expected key = value"),
    Wrong(
        "capitals", "[updates]\ntogether = True  # <-\n", "updates.together", "expected a value: a number, true, false"
    ),
    Wrong("two on a line", "[loss]\ndrift = 1 target = 1  # <-\n", "loss.drift", "expected one key = value on a line"),
    Wrong(
        "a key twice", "[loss]\ndrift = 1\ndrift = 2  # <-\n", "loss.drift", "this key is set already; keep one of them"
    ),
    Wrong("a table twice", "[run]  # <-\nseed = 1\n", "run", "this table is here already; put all its keys into one"),
    Wrong("a table after its key", '[data.name]  # <-\na = "shards"\n', "data.name", "keep one of them"),
    Wrong("a backslash", '[track]\nuri = "C:\\mlflow"  # <-\n', "track.uri", "write / or use single quotes"),
    Wrong("too many digits", f"[schedule]\nminibatch = {'9' * 5000}  # <-\n", "schedule.minibatch", "at most 64 bits"),
    Wrong("too deep", f"[schedule]\nminibatch = {'[' * 5000}  # <-\n", "schedule.minibatch", "nested too deeply"),
    Wrong("no date", "[loss]\ndrift = 2026-13-45  # <-\n", "loss.drift", "a string needs quotes"),
]

OVERRIDES = [
    set_to("no value", "loss", "", "expected KEY=VALUE such as loss=lsgan or run.images=1000"),
    set_to("no key", "=3", "", "expected KEY=VALUE such as loss=lsgan"),
    set_to("an empty key", "run..seed=3", "", "expected KEY=VALUE such as loss=lsgan"),
    set_to("an unknown table", "lss=lsgan", "lss", "unknown key; did you mean 'loss'?"),
    set_to("an unknown key", "run.sed=3", "run.sed", "unknown key; did you mean 'seed'?"),
    set_to("an unknown component", "loss=lsgn", "loss", "unknown loss 'lsgn'; did you mean 'lsgan'?"),
    set_to("a word for a number", "run.images=many", "run.images", "expected an integer, got 'many' (a string)"),
    set_to("half a value", "generator.widths=[1,", "generator.widths", "is not a TOML value; quote a string"),
    set_to("two values", "run.seed=3\nimages = 4", "run.seed", "is not a TOML value"),
    set_to("a table's place", "run=3", "run", "expected a table, got 3 (an integer)"),
    set_to("a key below a value", "run.images.x=3", "run.images", "expected an integer, got {'x': 3} (a table)"),
    set_to("a base", "base=pggan.toml", "base", "only a recipe file can have a base"),
    set_to("an item of no list", "metrics.0=swd", "metrics", "expected a list of metric components, got {'0': 'swd'}"),
    Wrong(
        "an item that is not there",
        '[[metrics]]\nname = "swd"',
        "metrics",
        "there is no item 1 (items: 0)",
        sets=("metrics.1.count=64",),
    ),
    Wrong(
        "a key of an item",
        '[[metrics]]\nname = "swd"',
        "metrics.0.cuont",
        "did you mean 'count'?",
        sets=("metrics.0.cuont=64",),
    ),
]

WRONG = {
    f"{group} - {wrong.about}": wrong
    for group, wrongs in {
        "typo": TYPOS,
        "type": TYPES,
        "range": RANGES,
        "missing": MISSING,
        "disagreement": DISAGREEMENTS,
        "syntax": SYNTAX,
        "set": OVERRIDES,
    }.items()
    for wrong in wrongs
}
