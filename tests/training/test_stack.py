"""A stack of runs against plain PyTorch, one run at a time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import runspread as rs

torch = pytest.importorskip("torch")

from runspread.training.augment import Augmenter  # noqa: E402
from runspread.training.datasets.base import Dataset, Split, with_fingerprint  # noqa: E402
from runspread.training.engine import StackTraining, Task  # noqa: E402
from runspread.training.feed import DeviceSplit, Feed, to_device  # noqa: E402
from runspread.training.modules import KeyedDropout  # noqa: E402
from runspread.training.plan import deal_runs  # noqa: E402
from runspread.training.programs import set_dropout_keys  # noqa: E402
from runspread.training.search import parse_search  # noqa: E402
from runspread.training.stack import build_seeded  # noqa: E402

RUNS, STEPS = 8, 6


def images(n: int = 40, channels: int = 3, side: int = 16) -> Dataset:
    generator = np.random.default_rng(0)
    pixels = generator.normal(size=(n, channels, side, side)).astype(np.float32)
    labels = generator.integers(0, 10, n)
    return with_fingerprint(Dataset({"train": Split(pixels, labels), "test": Split(pixels[:12], labels[:12])}, 10))


def addition(p: int = 7) -> Dataset:
    pairs = np.stack(np.divmod(np.arange(p * p), p), axis=1)
    labels = pairs.sum(axis=1) % p
    return with_fingerprint(Dataset({"train": Split(pairs, labels), "test": Split(pairs[:9], labels[:9])}, p + 1))


def words(vocabulary: int = 11) -> Dataset:
    tokens = np.random.default_rng(0).integers(0, vocabulary - 1, (40, 6))
    labels = np.where(np.arange(6) % 3 == 0, tokens, -1)
    train = Split(tokens, np.full_like(tokens, -1))
    return with_fingerprint(Dataset({"train": train, "test": Split(tokens[:8], labels[:8])}, vocabulary))


CASES = {
    "mlp": ("digits-mlp", images(side=4), {"hidden": (12, 9), "batch_size": 10}),
    "mlp with dropout": ("digits-mlp", images(side=4), {"hidden": (12, 9), "batch_size": 10, "dropout": 0.3}),
    "mlp, hinge": ("sparse-parity", None, {"hidden": (12,), "batch_size": 10, "train_examples": 40}),
    "lenet with dropout": ("mnist-lenet", images(channels=1), {"batch_size": 10, "dropout": 0.4}),
    "batch norm": ("cifar10-resnet20-small", images(), {"batch_size": 10, "l2_reference": 45_000.0}),
    "no norm, no residual": (
        "cifar10-resnet20-small",
        images(),
        {"batch_size": 10, "batch_norm": False, "residual": False, "optimizer": "adamw", "momentum": 0.0},
    ),
    "resnet-9": ("cifar10-resnet9-small", images(), {"batch_size": 10, "width": 4}),
    "vgg": ("cifar10-vgg-small", images(), {"batch_size": 10, "width": 4, "depth": 2, "dropout": 0.2}),
    "transformer": ("modular-addition-small", addition(), {"width": 12, "heads": 3, "hidden": 8}),
    "transformer, norm": ("modular-addition-stable-small", addition(), {"width": 12, "hidden": 8, "batch_size": 16}),
    "encoder": ("text-mlm-small", words(), {"width": 12, "heads": 3, "depth": 1, "batch_size": 10}),
}
SEARCH = {
    "sgd": ["lr=loguniform(0.001,0.1)", "momentum=uniform(0,0.95)", "l2=loguniform(1,1000)"],
    "adam": ["lr=loguniform(0.0001,0.01)", "weight_decay=uniform(0,0.1)"],
    "adamw": ["lr=loguniform(0.0001,0.01)", "weight_decay=uniform(0,1)", "label_smoothing=uniform(0,0.3)"],
}


class DoubleTask(Task):
    """A task in double precision, in which two ways of computing the same must agree closely."""

    def build(self):
        return super().build().double()


def double(split: DeviceSplit) -> DeviceSplit:
    return split if split.inputs.dtype == torch.int64 else replace(split, inputs=split.inputs.double())


def make(case: str, runs: int = RUNS):
    name, dataset, options = CASES[case]
    recipe = rs.recipe(name, steps=STEPS, **options)
    if dataset is None:
        from runspread.training.datasets import load_dataset

        dataset = load_dataset(recipe)
    device = torch.device("cpu")
    splits = {split: double(to_device(dataset.split(split), dataset, device)) for split in ("train", "test")}
    task = DoubleTask(recipe, splits, device, dataset.n_classes, dataset.fingerprint)
    search = parse_search(SEARCH[recipe.optimizer])
    plans = deal_runs(recipe, runs, vary=("init", "order", "augment"), seed=3, search=search)
    return task, plans


def torch_optimizer(recipe, plan, parameters):
    def value(name):
        return plan.hyperparameter(recipe, name)

    if recipe.optimizer == "sgd":
        options = {"momentum": value("momentum"), "nesterov": recipe.nesterov and value("momentum") > 0}
        return torch.optim.SGD(parameters, value("lr"), weight_decay=value("weight_decay"), **options)
    cls = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    betas = (recipe.beta1, recipe.beta2)
    if recipe.decay == "weights":
        parameters = list(parameters)
        vectors = [p for p in parameters if p.ndim < 2]
        matrices = [p for p in parameters if p.ndim >= 2]
        parameters = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return cls(parameters, value("lr"), betas=betas, eps=recipe.eps, weight_decay=value("weight_decay"))


def loss_of(recipe, outputs, targets, smoothing):
    if recipe.loss == "hinge":
        return torch.clamp(1 - outputs[:, 0] * (2.0 * targets - 1), min=0).mean()
    outputs, targets = outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
    return torch.nn.functional.cross_entropy(outputs, targets, ignore_index=-1, label_smoothing=smoothing)


def plain_training(task, plan):
    """Train one run the ordinary way: module, torch.optim, autograd."""
    recipe = task.recipe
    module = build_seeded(task.build, plan.seeds.init)
    reference = StackTraining(task, [plan], "loop")  # for the schedule and the dropout keys only
    feed = Feed(recipe, [plan], task.splits["train"], task.n_classes)
    optimizer = torch_optimizer(recipe, plan, module.parameters())
    base = optimizer.param_groups[0]["lr"]
    dropouts = {name: m for name, m in module.named_modules() if isinstance(m, KeyedDropout)}
    stub = SimpleNamespace(buffers={})
    losses = []
    for step in range(reference.total):
        inputs, targets = feed(step)
        set_dropout_keys(stub, module, reference.dropout_keys, step)
        for name, layer in dropouts.items():
            layer.key, layer.rate = stub.buffers[f"{name}.key"][0], torch.tensor(plan.hyperparameter(recipe, "dropout"))
        for group in optimizer.param_groups:
            group["lr"] = base * reference.factors[step]
        loss = loss_of(recipe, module(inputs[0]), targets[0], plan.hyperparameter(recipe, "label_smoothing"))
        losses.append(loss.item())
        penalty = plan.hyperparameter(recipe, "l2") / recipe.l2_reference
        (loss + penalty * sum((p**2).sum() for p in module.parameters())).backward()
        optimizer.step()
        optimizer.zero_grad()
    module.eval()
    with torch.no_grad():
        logits = module(task.splits["test"].gather(torch.arange(8)))
    return np.array(losses), {**dict(module.named_parameters()), **dict(module.named_buffers())}, logits


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("program", ["stack", "loop"])
def test_stack_equals_single_runs_in_plain_torch(case, program):
    task, plans = make(case)
    chosen = ("dense" if case.startswith("mlp") else "vmap") if program == "stack" else "loop"
    training = StackTraining(task, plans, chosen)
    losses = np.stack([training.step().loss.numpy() for _ in range(training.total)], axis=1)
    with torch.no_grad():
        logits = training.program.outputs(training.stack, task.splits["test"].gather(torch.arange(8)))
    for run, plan in enumerate(plans):
        expected_losses, expected, expected_logits = plain_training(task, plan)
        np.testing.assert_allclose(losses[run], expected_losses, rtol=1e-6)
        for name, value in {**training.stack.parameters, **training.stack.buffers}.items():
            if name.rpartition(".")[2] not in ("key", "rate"):
                torch.testing.assert_close(value[run], expected[name].detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(logits[run], expected_logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_the_same_in_any_stack(case):
    task, plans = make(case)
    program = "dense" if case.startswith("mlp") else "vmap"
    whole, part = StackTraining(task, plans, program), StackTraining(task, plans[5:7], program)
    for _ in range(whole.total):
        wide, narrow = whole.step(), part.step()
        torch.testing.assert_close(wide.loss[5:7], narrow.loss, rtol=1e-9, atol=1e-12)
    for name, value in part.stack.parameters.items():
        torch.testing.assert_close(whole.stack.parameters[name][5:7], value, rtol=1e-7, atol=1e-10)


def test_a_diverged_run_leaves_its_stack_mates_untouched():
    task, plans = make("batch norm")
    healthy = StackTraining(task, plans, "vmap")
    sick = StackTraining(task, plans, "vmap")
    for value in sick.stack.parameters.values():
        value[2] = float("nan")
    for _ in range(3):
        healthy.step(), sick.step()
    assert sick.diverged_at() == [0 if run == 2 else -1 for run in range(RUNS)]
    others = [run for run in range(RUNS) if run != 2]
    for name, value in healthy.stack.parameters.items():
        torch.testing.assert_close(sick.stack.parameters[name][others], value[others], rtol=0, atol=0)


def test_order_seed_alone_shows_the_same_augmented_images():
    recipe = rs.recipe("cifar10-resnet9-small", batch_size=10)
    dataset = images()
    split = to_device(dataset.split("train"), dataset, torch.device("cpu"))
    plans = deal_runs(recipe, 2, vary=("order",), seed=0, search={})
    feed = Feed(recipe, plans, split, 10)
    seen = [{}, {}]
    for step in range(feed.per_epoch):
        inputs, _ = feed(step)
        order = feed._order[:, step * 10 : (step + 1) * 10]
        for run in range(2):
            seen[run] |= {int(e): x for e, x in zip(order[run], inputs[run], strict=True)}
    assert list(seen[0]) != list(seen[1])
    assert seen[0].keys() == seen[1].keys()
    for example, image in seen[0].items():
        torch.testing.assert_close(seen[1][example], image, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["flip", "shift:2", "cutout:5"])
def test_augmentation_hangs_on_seed_example_and_epoch(name):
    x = torch.randn(2, 64, 1, 9, 9)
    examples = torch.arange(64).expand(2, -1)
    y = torch.zeros(2, 64, dtype=torch.int64)
    augment = Augmenter((name,), [5, 6], torch.device("cpu"))
    first, _ = augment(x[:1].expand(2, -1, -1, -1, -1), y, examples, 0)
    assert not torch.equal(first[0], first[1])  # other seed
    later, _ = augment(x[:1].expand(2, -1, -1, -1, -1), y, examples, 1)
    assert not torch.equal(first[0], later[0])  # other epoch
    again, _ = Augmenter((name,), [5], torch.device("cpu"))(x[:1, 10:20], y[:1, :10], examples[:1, 10:20], 0)
    torch.testing.assert_close(again[0], first[0, 10:20], rtol=0, atol=0)


def test_shift_moves_whole_images_by_every_offset():
    ramp = torch.arange(1.0, 26).view(1, 1, 1, 5, 5).expand(1, 500, 1, 5, 5)
    moved, _ = Augmenter(("shift:1",), [0], torch.device("cpu"))(ramp, torch.zeros(1, 500), torch.arange(500)[None], 0)
    padded = torch.nn.functional.pad(ramp[0, 0, 0], (1, 1, 1, 1))
    windows = {(dy, dx): padded[dy : dy + 5, dx : dx + 5] for dy in range(3) for dx in range(3)}
    found = [next(k for k, w in windows.items() if torch.equal(w, image[0])) for image in moved[0]]
    assert set(found) == set(windows)
    assert min(found.count(offset) for offset in windows) > 25  # 500 / 9 = 56 expected


def test_cutout_blanks_a_whole_square():
    blanked, _ = Augmenter(("cutout:3",), [0], torch.device("cpu"))(
        torch.ones(1, 100, 2, 8, 8), torch.zeros(1, 100), torch.arange(100)[None], 0
    )
    assert torch.equal(blanked.sum(dim=(2, 3, 4)), torch.full((1, 100), 2.0 * (64 - 9)))


def test_flip_is_fair():
    ramp = torch.arange(4.0).view(1, 1, 1, 1, 4).expand(1, 4000, 1, 1, 4)
    flipped, _ = Augmenter(("flip",), [0], torch.device("cpu"))(ramp, torch.zeros(1, 4000), torch.arange(4000)[None], 0)
    share = float((flipped[0, :, 0, 0, 0] == 3).float().mean())
    assert abs(share - 0.5) < 4 * 0.5 / 4000**0.5


def test_masking_hides_the_right_shares():
    tokens = torch.zeros(1, 2000, 32, dtype=torch.int64)
    shown, targets = Augmenter(("mask:15",), [0], torch.device("cpu"), 50)(tokens, tokens, torch.arange(2000)[None], 0)
    chosen = targets >= 0
    assert abs(float(chosen.float().mean()) - 0.15) < 0.005
    assert torch.equal(shown[~chosen], tokens[~chosen])
    assert abs(float((shown[chosen] == 49).float().mean()) - 0.8) < 0.02
    assert abs(float((shown[chosen] == 0).float().mean()) - 0.102) < 0.02


def test_keyed_dropout_drops_at_its_rate():
    layer = KeyedDropout()
    layer.rate = torch.tensor(0.3)
    out = layer(torch.ones(200, 200))
    assert abs(float((out == 0).float().mean()) - 0.3) < 4 * 0.46 / 200
    torch.testing.assert_close(out[out > 0], torch.full_like(out[out > 0], 1 / 0.7))
    assert torch.equal(layer.eval()(torch.ones(3)), torch.ones(3))
