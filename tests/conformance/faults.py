"""Planted faults: a good plugin of `good/` with one piece of text changed, and the contract that this breaks."""

from __future__ import annotations

from pathlib import Path

import attrs

GOOD = Path(__file__).parent / "good"


@attrs.frozen
class Fault:
    """In the file of a kind, `old` has become `new`; the report of `contract` must say `found`."""

    kind: str
    contract: str
    old: str
    new: str
    found: str

    @property
    def text(self) -> str:
        """The plugin with the fault in it."""
        good = good_text(self.kind)
        assert good.count(self.old) == 1, f"{self.kind}: {self.old!r} is there {good.count(self.old)} times"
        return good.replace(self.old, self.new)

    def __str__(self) -> str:
        return f"{self.kind}-{self.contract}-{self.found}".replace(" ", "-")


def good_text(kind: str) -> str:
    """The plugin of a kind, without faults."""
    return (GOOD / f"{kind.replace('-', '_')}.py").read_text()


NAMES = {
    "layer": "gate",
    "normalization": "scaled",
    "weight-scaling": "followed",
    "loss": "margin",
    "regularizer": "drift",
    "schedule": "steps",
    "network": "small",
    "system": "remembering",
    "augmentation": "brighter",
    "dataset": "shades",
    "metric": "colour",
    "feature-network": "means",
    "optimizer": "heavy",
    "executor": "one-by-one",
}
"""What each good plugin registers."""

FAULTS = [
    # -- the class
    Fault(
        "loss", "loads", 'register("margin", Margin,', 'register("margin", "no_such_module:Margin",', "no_such_module"
    ),
    Fault(
        "loss", "loads", "    def build(self):\n        return MarginLoss(self.margin)\n", "", "has no method build()"
    ),
    Fault(
        "loss",
        "name",
        'that follows")',
        'that follows", aliases=("wgan-gp",))',
        "ganlab has a loss 'wgan-gp' already; recipes that name it would have to choose",
    ),
    Fault("loss", "summary", ', summary="hinge with a margin that follows"', "", "without a summary"),
    Fault(
        "loss",
        "docstring",
        '    """Hinge with a gradient penalty; its margin follows the loss."""\n',
        "",
        "Margin has no docstring",
    ),
    Fault(
        "loss",
        "parameters explained",
        'ganlab.parameter(1.0, gt=0, help="scores beyond it count no more")',
        "1.0",
        "'margin' has no help",
    ),
    Fault("loss", "frozen", "@attrs.frozen", "@attrs.define", "'margin' of Margin can be changed"),
    Fault("loss", "defaults", "parameter(1.0, gt=0", "parameter(-1.0, gt=0", "expected more than 0, got -1.0"),
    Fault("loss", "defaults", "parameter(1.0, gt=0", "parameter(gt=0", "no default for margin"),
    Fault(
        "loss",
        "defaults",
        "margin: float = ganlab.parameter(1.0, gt=0,",
        "margin: int = ganlab.parameter(1e-8, gt=0,",
        "the parameter 'margin' is annotated as int, its default is 1e-08: expected an integer",
    ),
    Fault(
        "loss",
        "defaults",
        "margin: float = ganlab.parameter(1.0, gt=0,",
        "margins: list[float] = [1.0]\n    margin: float = ganlab.parameter(1.0, gt=0,",
        "all instances share the default of 'margins'",
    ),
    Fault(
        "loss",
        "toml",
        "margin: float = ganlab.parameter(1.0, gt=0,",
        "margin: tuple[int, ...] = ganlab.parameter([1],",
        "margin is (1,) after it was [1]",
    ),
    Fault(
        "loss",
        "toml",
        "margin: float = ganlab.parameter(1.0, gt=0,",
        "margin: object = ganlab.parameter(1j,",
        "cannot be written as TOML",
    ),
    # -- layers
    Fault(
        "layer",
        "shapes",
        "self.out_channels = channels + 3",
        "self.out_channels = channels + 2",
        "the shape [8, 11, 4, 4], expected [8, 10, 4, 4]",
    ),
    Fault("layer", "shapes", "self.out_channels = channels + 3", "pass", "`out_channels` is None"),
    Fault(
        "layer",
        "inputs unchanged",
        "        wide = x if",
        "        x.mul_(2) if not x.requires_grad else x\n        wide = x if",
        "changes its input in place: x",
    ),
    Fault(
        "layer",
        "inputs unchanged",
        "        wide = x if",
        "        self.shift.data += 1\n        wide = x if",
        "changes its own state: shift",
    ),
    Fault(
        "layer",
        "repeatable",
        "        wide = x if",
        "        x = x + torch.randn_like(x)\n        wide = x if",
        "torch's global generator",
    ),
    Fault(
        "layer",
        "repeatable",
        "        wide = x if",
        "        x = x + np.random.rand()\n        wide = x if",
        "`numpy.random`",
    ),
    Fault(
        "layer",
        "repeatable",
        "        wide = x if",
        "        x = x + np.random.default_rng().random()\n        wide = x if",
        "gives other outputs",
    ),
    Fault("layer", "finite gradients", "+ 1e-8).sqrt()", ").sqrt()", "for inputs that are 0: gradient of 'x'"),
    Fault(
        "layer",
        "finite gradients",
        "return torch.cat([x, maps",
        "return torch.cat([x.detach(), maps.detach()",
        "no gradient",
    ),
    Fault(
        "layer",
        "second-order gradients",
        "+ 1e-8).sqrt() + self.shift",
        "+ 1e-8).sqrt().detach() ** 0 * Once.apply(flat)",
        "the derivative of a gradient penalty by inputs",
    ),
    Fault(
        "layer",
        "second-order gradients",
        "+ 1e-8).sqrt() + self.shift",
        "+ 1e-8).sqrt().detach() ** 0 * Flat.apply(flat)",
        "wrong or missing: autograd says",
    ),
    Fault(
        "layer",
        "state",
        '        self.register_buffer("shift", torch.full((1,), 0.5))',
        "        self.shift = torch.rand(1)",
        "saved and restored, it gives other outputs",
    ),
    Fault(
        "layer",
        "bfloat16",
        "torch.cat([x, maps.to(x.dtype)], dim=1)",
        "torch.cat([x.float(), maps], dim=1)",
        "returns 'x' in float32, given bfloat16",
    ),
    Fault(
        "layer",
        "channels last",
        "flat = wide.flatten(2)",
        "flat = wide.view(len(x), -1).reshape(len(x), wide.shape[1], -1)",
        "view size is not compatible",
    ),
    Fault(
        "layer",
        "compiles",
        "        wide = x if",
        "        x = x + 1 if x.sum() > 1e9 else x\n        wide = x if",
        "torch.compile gives up",
    ),
    Fault(
        "layer",
        "devices",
        "self.scale * torch.cat",
        "torch.tensor([[1.0, 1.0, 1.0]]) * torch.cat",
        "moved to another device, it fails",
    ),
    Fault(
        "layer",
        "samples",
        "    def sample_groups(self, count):\n        return np.zeros(count, np.int64)\n",
        "",
        "depends on sample 0",
    ),
    Fault("layer", "samples", "    exchange = None\n", "", "no attribute `exchange`"),
    Fault(
        "layer",
        "shapes",
        "self.weight = nn.Parameter(torch.ones(channels))",
        "self.weight = nn.Parameter(torch.ones({}['channels']))",
        "Gate.build(channels=8) raised KeyError: 'channels' (",
    ),
    # -- normalizations and weight scalings
    Fault("normalization", "shapes", "return x * (mean", "return torch.cat([x, x]) * (mean", "the shape [16, 8, 4, 4]"),
    Fault(
        "normalization",
        "evaluation",
        "        elif self.changes_in_forward:\n            mean = self.running\n",
        "",
        "a sample alone differs",
    ),
    Fault(
        "normalization",
        "evaluation",
        "if self.changes_in_forward and self.training",
        "if self.training",
        "changes running",
    ),
    Fault(
        "normalization",
        "state",
        'self.register_buffer("running", torch.ones(()))',
        "self.running = torch.ones(())",
        "saved and restored, it gives other outputs in evaluation mode: x",
    ),
    Fault(
        "normalization",
        "state",
        "self.running.lerp_(mean, 0.1)",
        "self.running = self.running.lerp(mean, 0.1)",
        "an update replaces running by another tensor",
    ),
    Fault(
        "normalization",
        "bfloat16",
        ".rsqrt().to(x.dtype)",
        ".rsqrt().float() * x.float() ** 0",
        "in float32, given bfloat16",
    ),
    Fault(
        "weight-scaling",
        "shapes",
        "return normal * self.deviation",
        "return normal.mul_(self.deviation)",
        "changes the draws in place",
    ),
    Fault(
        "weight-scaling",
        "state",
        'self.register_buffer("size", torch.ones(()))',
        "self.size = torch.ones(())",
        "gives other outputs",
    ),
    Fault(
        "weight-scaling",
        "second-order gradients",
        "return weight / self.size",
        "return weight**2 / weight.detach() / self.size",
        "autograd says",
    ),
    # -- losses and regularizers
    Fault(
        "loss",
        "shapes",
        "return LossValue(-batch.fake.scores)",
        "return -batch.fake.scores",
        "generator() returns Tensor and no LossValue",
    ),
    Fault("loss", "shapes", "scores + penalty, {", "(scores + penalty)[:2], {", "per_sample [2]"),
    Fault(
        "loss",
        "finite gradients",
        "-batch.fake.scores)",
        "-batch.fake.scores.detach())",
        "generator()'s loss has no gradient",
    ),
    Fault(
        "loss",
        "finite gradients",
        "-batch.fake.scores)",
        "-torch.log(torch.sigmoid(batch.fake.scores)))",
        "for scores of 100 and -100: gradient of 'generator's loss': 1 of 1 values are NaN or infinite",
    ),
    Fault(
        "loss",
        "finite gradients",
        "-batch.fake.scores)",
        "-torch.log(1 - torch.sigmoid(batch.fake.scores)))",
        "for scores of 20 and -20: gradient of 'generator's loss'",
    ),
    Fault(
        "loss",
        "state",
        "self.margin.lerp_(loss, 0.1)",
        "self.margin = self.margin.lerp(loss, 0.1)",
        "an update replaces term.margin by another tensor",
    ),
    Fault(
        "loss",
        "second-order gradients",
        "penalty = gradient.square()",
        "penalty = gradient.detach().square()",
        "the gradient of discriminator()'s loss is wrong",
    ),
    Fault(
        "loss",
        "state",
        'self.register_buffer("margin", torch.tensor(margin))',
        "self.margin = torch.tensor(margin)",
        "saved and restored, it gives other outputs",
    ),
    Fault(
        "loss",
        "bfloat16",
        "LossValue(scores + penalty",
        "LossValue((scores + penalty).bfloat16()",
        "loss is in bfloat16",
    ),
    Fault(
        "loss",
        "samples",
        "return LossValue(-batch.fake.scores)",
        "return LossValue((batch.fake.scores - batch.fake.scores.mean()) ** 2)",
        "differs from that of its halves",
    ),
    Fault(
        "loss",
        "constraint",
        "parameter.clamp_(-5, 5)",
        "parameter.data = parameter.data.clamp(-5, 5)",
        "constrain() replaces features, head by another tensor",
    ),
    Fault(
        "loss", "constraint", "parameter.clamp_(-5, 5)", "parameter.mul_(float('nan'))", "after constrain(), the weight"
    ),
    Fault(
        "loss",
        "constraint",
        "parameter.clamp_(-5, 5)",
        "parameter.clamp_(-0.1, 0.1).requires_grad_(False)",
        "no longer learns",
    ),
    Fault(
        "regularizer",
        "patches",
        "batch.real.scores.square())",
        "batch.real.scores.square().flatten(1).sum(1) if batch.real.scores.ndim > 1 else batch.real.scores.square())",
        "for scores of three equal patches",
    ),
    Fault(
        "regularizer",
        "state",
        "return LossValue(self.weight * batch",
        "self.weight *= 1.1\n        return LossValue(self.weight * batch",
        "saved and restored, it gives other outputs",
    ),
    Fault(
        "regularizer",
        "state",
        "    def generator(",
        "    def observe(self, loss, report):\n        self.weight = self.weight + loss\n\n    def generator(",
        "saved and restored, it gives other outputs",
    ),
    Fault(
        "regularizer",
        "shapes",
        "return LossValue(self.weight * batch.real.scores.square())",
        "return None",
        "returns None for discriminator and generator",
    ),
    # -- schedules
    Fault(
        "schedule", "stages", "min(4 << min(level, 20), self.resolution)", "4 << min(level, 20)", "above the run's 64"
    ),
    Fault("schedule", "stages", "(1 + images)", "images", "the fade is 0.0"),
    Fault("schedule", "pure", "minibatch=8,", "minibatch=8 + self.asked // 100,", "asked in another order"),
    # -- networks
    Fault(
        "network",
        "shapes",
        "return Critique(out[:, 0],",
        "return Critique(out[:, :1],",
        "'scores' has the shape [4, 1]",
    ),
    Fault("network", "shapes", "out[:, 1:] if self.label_size else None", "None", "no `label_logits`"),
    Fault(
        "network",
        "inputs unchanged",
        "        level = images",
        "        self.updates.add_(1)\n        level = images",
        "changes its own state: updates",
    ),
    Fault(
        "network",
        "repeatable",
        "self.weight.copy_(draw(",
        "self.weight.copy_(draw(*[0]) if 0 else torch.randn(self.weight.shape)) if 1 else (draw(",
        "initialize(draw) draws from",
    ),
    Fault(
        "network",
        "state",
        'self.register_buffer("updates", torch.zeros(()))',
        "self.updates = torch.zeros(())",
        "gives other outputs",
    ),
    Fault("network", "fade", "below + fade * (x - below)", "x + fade * below", "a fade of 1 and none differ"),
    Fault(
        "network",
        "joined passes",
        "        out = self.linear(x)",
        "        x = x + (passes - 1)\n        out = self.linear(x)",
        "two passes in one call",
    ),
    Fault(
        "network",
        "held weights",
        "self.held = self.weight * 0.5",
        "self.held = self.weight * 0.6",
        "between hold() and release()",
    ),
    Fault(
        "network",
        "held weights",
        "    def release(self):\n        self.held = None\n",
        "    def release(self):\n        pass\n",
        "does not follow the weights",
    ),
    Fault(
        "network",
        "first minibatch",
        "self.mean.copy_(images.mean())",
        "self.mean.copy_(images.mean() + torch.rand(()))",
        "started twice",
    ),
    # -- systems and augmentations
    Fault(
        "system", "shapes", '    pairs = ("only",)', '    pairs = ("only", "other")', "its pairs are ['only', 'other']"
    ),
    Fault(
        "system",
        "generators learn",
        "Match(reals, fakes)})\n\n    def remember",
        "Match(reals, fakes.detach())})\n\n    def remember",
        "no gradient of the fakes",
    ),
    Fault(
        "system",
        "memory",
        "uniform[:, :, None, None] < 0.5",
        "torch.rand_like(uniform)[:, :, None, None] < 0.5",
        "torch's global generator",
    ),
    Fault(
        "system",
        "memory",
        'self.register_buffer("fakes", torch.zeros(1',
        'self.fakes = (lambda _, kept: kept)("fakes", torch.zeros(1',
        "saved and restored, it remembers other fakes",
    ),
    Fault("augmentation", "shapes", "return images + self", "return images[:, :, 1:] + self", "becomes [8, 3, 3, 4]"),
    Fault(
        "augmentation", "samples", "return images + self", "return images - images.mean() + self", "depends on sample 0"
    ),
    Fault(
        "augmentation",
        "samples",
        "(uniform[:, :, None, None] - 0.5)",
        "(uniform.mean() - 0.5)",
        "the output 'images' of sample 1 depends on sample 0",
    ),
    Fault(
        "augmentation",
        "state",
        'self.strength.lerp_(report["signs/real"], 0.1)',
        'self.strength = self.strength.lerp(report["signs/real"], 0.1)',
        "an update replaces strength by another tensor",
    ),
    Fault(
        "augmentation",
        "repeatable",
        "uniform[:, :, None, None]",
        "torch.rand_like(uniform)[:, :, None, None]",
        "torch's global generator",
    ),
    Fault(
        "augmentation",
        "state",
        'self.register_buffer("strength", torch.zeros(()))',
        "self.strength = torch.zeros(())",
        "gives other outputs",
    ),
    Fault(
        "augmentation",
        "report",
        'self.strength.lerp_(report["signs/real"], 0.1)',
        'self.strength.fill_(report["signs/real"].item())',
        ".item()",
    ),
    # -- data sets
    Fault(
        "dataset",
        "shapes",
        "resolution, resolution)).copy()",
        "resolution, resolution)).astype(np.float32)",
        "returns float32",
    ),
    Fault("dataset", "shapes", "np.eye(2, dtype=np.float32)", "np.ones((2, 2), np.float32)", "not one-hot"),
    Fault(
        "dataset",
        "repeatable",
        "self.numbers(indices) * 37",
        "(self.numbers(indices) + np.random.default_rng().integers(1, 256)) * 37",
        "images of 4x4 differ",
    ),
    Fault("dataset", "repeatable", 'f"shades 1: {count}"', 'f"shades 1: {id(self)}"', "another digest"),
    Fault(
        "dataset",
        "threads",
        "        shades = (self.numbers(indices) *",
        "        self.place = self.numbers(indices)\n        __import__('time').sleep(0.002)\n"
        "        shades = (self.place *",
        "read by 4 threads at once",
    ),
    Fault(
        "dataset",
        "range",
        "        if ((found < 0) | (found >= self.count)).any():",
        "        if (found >= self.count).any():",
        "images(4, [-1]) returns some",
    ),
    Fault(
        "dataset",
        "description",
        '"count": self.count, "digest"',
        '"count": np.int64(self.count), "digest"',
        "describe() is no plain data",
    ),
    # -- metrics and feature networks
    Fault("metric", "values", "float(abs(difference))", "np.float32(abs(difference))", "np.float32("),
    Fault("metric", "values", '{"colour/mean":', '{f"colour/{seed}":', "with another seed"),
    Fault("metric", "values", '{"colour": "lower"}', '{"color": "lower"}', "`better` names 'color'"),
    Fault(
        "metric",
        "repeatable",
        "np.random.default_rng(seed)",
        "np.random.default_rng()",
        "measured twice with the same seed",
    ),
    Fault("metric", "repeatable", "np.random.default_rng(seed).integers", "np.random.randint", "`numpy.random`"),
    Fault(
        "metric",
        "facts",
        '{"count": self.count}\n\n    def __call__',
        '{"count": {self.count}}\n\n    def __call__',
        "facts() is no plain data",
    ),
    Fault("feature-network", "shapes", "means.astype(np.float32)", "means", "features are float64"),
    Fault(
        "feature-network",
        "samples",
        "(len(images), 3))",
        "(len(images), 3)) - images.mean()",
        "the features of an image differ",
    ),
    # -- optimizers and executors
    Fault("optimizer", "descends", '* group["lr"]', "* 0.01", "with lr = 0 in its groups it still moves"),
    Fault("optimizer", "descends", "parameter.sub_(", "parameter.add_(", "the loss is"),
    Fault(
        "optimizer",
        "repeatable",
        "parameter.sub_(momentum",
        "parameter.sub_(torch.rand(()) * momentum",
        "torch's global generator",
    ),
    Fault(
        "optimizer",
        "state",
        "state = self.state[parameter]",
        'state = self.__dict__.setdefault("kept", {}).setdefault(parameter, {})',
        "it goes on differently",
    ),
    Fault(
        "optimizer",
        "cleared",
        "state = self.state[parameter]",
        'state = self.__dict__.setdefault("kept", {}).setdefault(parameter, {})',
        "after state.clear()",
    ),
    Fault(
        "optimizer",
        "missing gradients",
        "                if parameter.grad is None:\n                    continue\n",
        "",
        "TypeError",
    ),
    Fault(
        "optimizer",
        "recorded steps",
        "    def prepare(self):\n        pass\n",
        "    def prepare(self):\n        self.param_groups[0]['lr'] *= 2\n",
        "recorded steps have other values",
    ),
    Fault("executor", "runs", "ended(job, code)", "ended(job, 0)", "it told {'first': 0, 'second': 0, 'third': 0}"),
    Fault(
        "executor",
        "stops",
        "                    if number := stop():\n                        process.stop(number)\n",
        "                    if stop():\n                        return\n",
        "started and [] ended",
    ),
]

CUSTOM_GRADIENTS = '''

class Flat(torch.autograd.Function):
    """The size of each sample, whose gradient cannot be differentiated: it is a constant to autograd."""

    generate_vmap_rule = True

    @staticmethod
    def forward(flat):
        return (flat.square().mean(1, keepdim=True) + 1e-8).sqrt()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(context, gradient):
        flat, size = context.saved_tensors
        return (gradient * flat / (size * flat.shape[1])).detach()


class Once(Flat):
    """The same, and it says so."""

    backward = torch.autograd.function.once_differentiable(Flat.backward)
'''
"""What the layer's faults of the second order use."""
