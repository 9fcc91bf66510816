"""Hugging Face's Trainer: the folder above ``checkpoint-N`` is one run, however many checkpoints show it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .event_files import read_event_file
from .formats import Claim, Format, Taken, list_files
from .limits import Clock, SourceProblem, is_pointer, read_text
from .opcodes import literals_of_pickle
from .options import Options
from .records import NO_STEP, RawRun
from .statuses import FINISHED, running_or_killed
from .tensorboard import event_files
from .values import number_of, parsed_json, read_json
from .walking import Folder, Tree

_STATE, _ARGS = "trainer_state.json", "training_args.bin"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)\Z")
_RESULTS = ("all_results.json", "train_results.json", "eval_results.json", "test_results.json")
# Of all arguments those that say what was trained; the others say where, when and how it was logged.
TOLD = (
    "learning_rate", "per_device_train_batch_size", "num_train_epochs", "max_steps", "weight_decay", "warmup_steps",
    "warmup_ratio", "lr_scheduler_type", "optim", "gradient_accumulation_steps", "adam_beta1", "adam_beta2",
    "adam_epsilon", "max_grad_norm", "label_smoothing_factor", "fp16", "bf16", "gradient_checkpointing",
    "group_by_length", "neftune_noise_alpha", "full_determinism", "dataloader_drop_last",
)  # fmt: skip


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each output folder."""
    del options
    owners: dict[Path, tuple[Folder, list[Folder]]] = {}
    for folder in taken.free(tree.top):
        if _STATE not in folder.files:
            continue
        owner = folder.parent if _CHECKPOINT.match(folder.name) and folder.parent is not None else folder
        owners.setdefault(owner.path, (owner, []))[1].append(folder)
    return [Claim(owner, facts=folders) for owner, folders in owners.values()]


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the one run that all states of a folder show."""
    owner, holders = claim.folder, claim.facts
    run = RawRun(owner.relative, "huggingface", owner.relative, seeds_in_name=True)
    states = _states(run, holders, options)
    if not states:
        raise SourceProblem(run.notes[-1] if run.notes else f"no {_STATE} can be read")
    states.sort(key=lambda item: (item[0], item[2].path == owner.path))
    last = states[-1][1]
    _check_prefixes(run, states)
    _add_history(run, last)
    _say_status(run, owner, last, states[-1][2], options.stale)
    for name in _RESULTS:
        if name in owner.files:
            _add_results(run, owner.path / name, options)
    _find_arguments(run, owner, [folder for _, _, folder in states], options, clock)
    list_files(run, owner)
    return [run]


def _states(run: RawRun, holders: list[Folder], options: Options) -> list[tuple[int, dict[str, Any], Folder]]:
    found: list[tuple[int, dict[str, Any], Folder]] = []
    for folder in holders:
        path = folder.path / _STATE
        try:
            state = read_json(path, options.limits)
        except SourceProblem as problem:
            run.notes.append(f"{folder.name}/{problem}")
            continue
        if isinstance(state, dict) and isinstance(state.get("log_history"), list):
            run.files.append(path)
            found.append((int(number_of(state.get("global_step")) or 0), state, folder))
    return found


def _check_prefixes(run: RawRun, states: list[tuple[int, dict[str, Any], Folder]]) -> None:
    """Say which checkpoint shows another history: the run was forked there."""
    last = states[-1][1]["log_history"]
    for _, state, folder in states[:-1]:
        history = state["log_history"]
        if history != last[: len(history)]:
            run.notes.append(
                f"the history in {folder.name} is no beginning of the last one: the run was resumed from an earlier "
                "checkpoint, or two runs wrote here"
            )


def _add_history(run: RawRun, state: dict[str, Any]) -> None:
    for row in state["log_history"]:
        if not isinstance(row, dict):
            run.left_out["rows of log_history that are no mappings"] += 1
            continue
        step = number_of(row.get("step"))
        at = int(step) if step is not None and step == int(step) and abs(step) < 2**62 else NO_STEP
        for name, value in row.items():
            if name in ("step", "epoch"):
                continue
            number = number_of(value)
            if number is None:
                run.left_out[f"values of {name} that are no numbers"] += 1
            else:
                run.log.add(str(name), at, number)


def _say_status(run: RawRun, owner: Folder, state: dict[str, Any], holder: Folder, stale: float) -> None:
    """Say finished of a state at the root, of results or all steps; of checkpoints alone, killed or running."""
    step, most = number_of(state.get("global_step")) or 0, number_of(state.get("max_steps")) or 0
    reached = f"global_step {step:.0f} of max_steps {most:.0f}"
    root = holder.path == owner.path and not _CHECKPOINT.match(owner.name)
    if root or _RESULTS[0] in owner.files or (most and step >= most):
        run.status = FINISHED
        how = "a state at the root" if root else _RESULTS[0] if _RESULTS[0] in owner.files else "all steps"
        run.evidence = f"{how}, {reached}"
        return
    files = [path for path in owner.all_files() if path.suffix in (".json", ".bin", ".safetensors")]
    run.status, why = running_or_killed(files, stale, f"only checkpoints, {reached}")
    run.evidence = why


def _add_results(run: RawRun, path: Path, options: Options) -> None:
    try:
        content = read_json(path, options.limits)
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    run.files.append(path)
    for name, value in content.items() if isinstance(content, dict) else ():
        number = number_of(value)
        if number is not None and name not in ("epoch", "step"):
            run.summary.setdefault(str(name), number)


def _find_arguments(run: RawRun, owner: Folder, holders: list[Folder], options: Options, clock: Clock) -> None:
    """Find the arguments of the training: in an event file, the model card, or the literals of a pickle."""
    arguments = _of_events(owner, options, clock)
    where = "the training arguments"
    if not arguments:
        arguments, card = _of_pickle(run, [owner, *reversed(holders)], options), _of_card(owner, options)
        if "seed" in card:
            if arguments.get("seed", card["seed"]) != card["seed"]:
                run.notes.append(
                    f"{_ARGS} has seed {arguments['seed']}, the model card {card['seed']:g}: the card's counts"
                )
            where = "the model card"
        arguments |= card
    for key in TOLD:
        if key in arguments:
            run.config[key] = arguments[key]
    run.has_config = bool(run.config)
    if "seed" not in arguments:
        return
    seed, order = arguments["seed"], arguments.get("data_seed")
    run.config["seed"] = seed
    run.seeds = dict.fromkeys(("init", "augment"), ("seed", seed))
    run.seeds["order"] = ("seed", seed) if order is None else ("data_seed", order)
    if order is not None:
        run.config["data_seed"] = order
    run.notes.append(
        f"the seed is that of {where}; that it made the initial weights is assumed: it did if the model was made after "
        "it was set"
    )


def _of_events(owner: Folder, options: Options, clock: Clock) -> dict[str, Any]:
    for folder in owner.walk():
        for path in event_files(folder):
            try:
                text = read_event_file(path, clock).texts.get("args/text_summary")
                found = parsed_json(text, path.name) if text else None
            except SourceProblem:
                continue
            if isinstance(found, dict):
                return found
    return {}


def _of_pickle(run: RawRun, folders: list[Folder], options: Options) -> dict[str, Any]:
    """Return the literals of ``training_args.bin``: its opcodes are read, never executed."""
    for folder in folders:
        if _ARGS in folder.files:
            path = folder.path / _ARGS
            if is_pointer(path):
                run.notes.append(f"{_ARGS} is a Git LFS pointer: run `git lfs pull` for its seed")
                continue
            found = literals_of_pickle(path, options.limits)
            if found:
                run.files.append(path)
                return found
    return {}


_CARD = re.compile(r"^[-*] (seed|learning_rate|train_batch_size|num_epochs|optimizer): *(\S+)", re.MULTILINE)


def _of_card(owner: Folder, options: Options) -> dict[str, Any]:
    if "README.md" not in owner.files:
        return {}
    try:
        text = read_text(owner.path / "README.md", options.limits, most=2**20)
    except SourceProblem:
        return {}
    found: dict[str, Any] = {key: number_of(value) for key, value in _CARD.findall(text)}
    return {key: value for key, value in found.items() if value is not None}


FORMAT = Format("huggingface", "Hugging Face Trainer", "trainer_state.json with log_history", find, read)
