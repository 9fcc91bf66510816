"""An ensemble as a thing to ship: predict, save, load, export, and what it costs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ..._checks import check_integers, to_numpy
from ..._optional import require
from ..._reading.study_folders import target_path
from ...errors import InputError
from ...nn import BatchEnsemble, EnsembleTraining
from ...nn._dropout import dropout_active
from ...studies.files import refuse_existing, sha256, storage_errors, write_json, write_tensors
from ...studies.publishing import FolderExistsError, clear_leftovers, published_folder
from ...studies.records import Seeds
from ..build import materialised
from .conversion import conversion_of, rebuild
from .cost import EnsembleCost, count_parameters, measure_cost
from .members import EnsembleModule, MemberStack
from .saved import (
    FACTS,
    LOG,
    TENSORS,
    VERSION,
    EnsembleMetadata,
    as_saved,
    check_weights,
    checked_tensors,
    read_facts,
    saved_weights,
)
from .training_log import log_arrays, log_facts, read_log

_ASK = "Pass network=, a module of the same architecture: code that a file names is never run."


class Ensemble:
    """Trained members with their weights: predicts, saves itself, becomes a module or an ONNX file.

    Made by `make_ensemble` from a study, by `Ensemble.of` from networks, or by `load_ensemble`.

    Attributes
    ----------
    metadata : EnsembleMetadata
        Members, weights, origin.
    log : EnsembleTraining or None
        Losses and bounds of the training, of a batch or hyper-batch ensemble of a recipe.
    """

    def __init__(self, module: EnsembleModule, metadata: EnsembleMetadata, log: EnsembleTraining | None = None) -> None:
        self._module, self.metadata, self.log = module, metadata, log

    @classmethod
    def of(
        cls,
        members: Sequence[nn.Module] | BatchEnsemble,
        *,
        weights: ArrayLike | None = None,
        ids: Sequence[str] | None = None,
        mean: ArrayLike = 0.0,
        std: ArrayLike = 1.0,
    ) -> Ensemble:
        """Make an ensemble of networks in memory.

        Parameters
        ----------
        members : sequence of nn.Module, or BatchEnsemble
            Networks that return logits [examples, classes]; or a batch or hyper-batch ensemble.
        weights : array_like [members], optional
            Non-negative, sum 1; equal by default.
        ids : sequence of str, optional
            Names of the members.
        mean, std : array_like
            Inputs are scaled as ``(x - mean) / std`` first.
        """
        batch = isinstance(members, BatchEnsemble)
        core = members.eval() if batch else MemberStack(members)
        count = members.members if batch else len(members)
        checked = check_weights(weights, count)
        scaling = (torch.as_tensor(mean, dtype=torch.float32), torch.as_tensor(std, dtype=torch.float32))
        names = [f"member {k}" for k in range(count)] if ids is None else list(ids)
        facts = EnsembleMetadata(
            members=tuple({"id": name, "weight": float(w)} for name, w in zip(names, checked, strict=True)),
            conversion=conversion_of(core),
        )
        return cls(EnsembleModule(core, checked.tolist(), scaling), facts)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the members; they sum to 1."""
        return np.array([member["weight"] for member in self.metadata.members])

    @property
    def member_ids(self) -> tuple[str, ...]:
        """Ids of the members."""
        return tuple(str(member["id"]) for member in self.metadata.members)

    def __len__(self) -> int:
        return len(self.metadata.members)

    def __repr__(self) -> str:
        return f"<ensemble of {len(self)}: {', '.join(self.member_ids)}>"

    def module(self) -> nn.Module:
        """Return the ensemble as an ``nn.Module``: inputs as in the data set to averaged class probabilities."""
        return self._module

    def predict(self, inputs: ArrayLike | Tensor, *, batch_size: int = 1024) -> NDArray[np.float64]:
        """Return the averaged class probabilities [examples, classes].

        Parameters
        ----------
        inputs : array_like or Tensor [examples, ...]
            As in the data set that the members were trained on: they are scaled here.
        batch_size : int
            Examples in one pass, all members at once.

        Raises
        ------
        InputError
            Not numbers, NaN, no examples, or not of the shape that the members were trained on.
        """
        members = self.member_probabilities(inputs, batch_size=batch_size)
        total = np.zeros(members.shape[1:])
        for weight, own in zip(self.weights, members, strict=True):  # a product of matrices depends on the processor
            total += weight * own
        return total

    @torch.no_grad()
    def member_probabilities(self, inputs: ArrayLike | Tensor, *, batch_size: int = 1024) -> NDArray[np.float64]:
        """Return the class probabilities of every member [members, examples, classes], for `scores` and `diversity`."""
        outputs_of = self._module.one_pass()
        parts = [self._module.member_probabilities(x, outputs_of) for x in self._batches(inputs, batch_size)]
        return torch.cat(parts, dim=1).double().cpu().numpy()

    @torch.no_grad()
    def mc_dropout(
        self, inputs: ArrayLike | Tensor, *, passes: int = 30, seed: int = 0, batch_size: int = 1024
    ) -> NDArray[np.float64]:
        """Return the averaged class probabilities of passes with dropout active [passes, examples, classes].

        Parameters
        ----------
        inputs : array_like or Tensor [examples, ...]
            As for `predict`.
        passes : int
            Stochastic passes; average over them for the prediction.
        seed : int
            Seed of the masks.
        batch_size : int
            Examples in one pass.

        Raises
        ------
        InputError
            The members have no dropout layer.

        References
        ----------
        Gal and Ghahramani (2016), arXiv 1506.02142.
        """
        batches = self._batches(inputs, batch_size)
        passes = int(check_integers(passes, "passes", 1, None))
        with dropout_active(self._module, seed):
            found = [torch.cat([self._module(x) for x in batches]) for _ in range(passes)]
        return torch.stack(found).double().cpu().numpy()

    def _checked_inputs(self, inputs: ArrayLike | Tensor) -> Tensor:
        """Return inputs as a tensor [examples, ...] of numbers, of the members' shape where that is known."""
        rows = inputs if isinstance(inputs, Tensor) else torch.as_tensor(_numbers(inputs))
        found, known = tuple(rows.shape), self.metadata.shape
        if not found or (known is not None and found[1:] != tuple(known)):
            expected = "..." if known is None else ", ".join(map(str, known))
            hint = "Give one example as inputs[None]." if found and found == known else ""
            raise InputError(f"got inputs of shape {found}", f"(examples, {expected})", hint)
        if not len(rows):
            raise InputError("there are no inputs", "at least one example")
        bad = int(torch.isnan(rows).sum())
        if bad:
            raise InputError(f"inputs hold {bad} NaN", "numbers", "A prediction from them would be NaN too.")
        return rows

    def _batches(self, inputs: ArrayLike | Tensor, batch_size: int) -> list[Tensor]:
        rows = self._checked_inputs(inputs)
        size = int(check_integers(batch_size, "batch_size", 1, None))
        device = self._module.weights.device
        return [part.to(device) for part in rows.split(size)]

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the ensemble as a new folder: ``ensemble.json``, ``weights.safetensors``, a log where there is one.

        Parameters
        ----------
        folder : path
            Must not exist; appears whole or not at all.

        Raises
        ------
        StorageError
            The folder exists, or the file system refused.
        InputError
            It is a URL.
        """
        target = target_path(folder, "a folder")
        refuse_existing(target)
        with storage_errors(f"saving the ensemble to {target}"):
            clear_leftovers(target.parent)
            try:
                with published_folder(target) as draft:
                    write_tensors(draft / TENSORS, _tensors(self._module))
                    write_json(draft / FACTS, self._facts_to_write(draft))
            except FolderExistsError:
                refuse_existing(target)
                raise
        return target

    def _facts_to_write(self, draft: Path) -> EnsembleMetadata:
        """Return the facts with the checksums of the files in `draft`, where the log is written too."""
        facts = self.metadata
        if self.log is not None:
            write_tensors(draft / LOG, log_arrays(self.log))
            training = {**facts.training, **log_facts(self.log), "sha256": sha256(draft / LOG)}
            facts = msgspec.structs.replace(facts, training=training)
        cost = {**count_parameters(self._module.core), **facts.cost}
        return msgspec.structs.replace(facts, version=VERSION, cost=cost, sha256=sha256(draft / TENSORS))

    def to_onnx(self, path: str | os.PathLike[str], example: ArrayLike | Tensor) -> Path:
        """Write the ensemble as an ONNX file (needs ``runspread[onnx]``).

        Parameters
        ----------
        path : path
            File to write.
        example : array_like or Tensor [examples, ...]
            A few inputs, for shape and type; the number of examples stays free.
        """
        for name in ("onnx", "onnxscript"):
            require(name, "ONNX export")
        x = self._checked_inputs(example)
        if len(x) < 2:
            x = torch.cat([x, x])  # a single example would be taken for a fixed size
        program = torch.onnx.export(
            self._module,
            (x,),
            input_names=["inputs"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("examples")},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(str(path))
        return Path(path)

    def cost(self, example: ArrayLike | Tensor, *, single: nn.Module | None = None, repeats: int = 20) -> EnsembleCost:
        """Measure what the ensemble costs against one of its members; `save` writes what was measured last.

        Parameters
        ----------
        example : array_like or Tensor [examples, ...]
            Inputs to time a prediction of.
        single : nn.Module, optional
            What to compare with; by default the first member, or for a batch ensemble the plain network of its recipe.
            One of a network of your own has neither: give the network that it was made from.
        repeats : int
            Timed predictions of each; the smallest time counts.
        """
        x = self._checked_inputs(example)
        if single is None and not isinstance(self._module.core, MemberStack):
            with suppress(InputError):  # code of somebody's own, which only the caller can give
                single = _plain_network(self.metadata, {})
        found = measure_cost(self._module, x, repeats, single, kind=self.metadata.conversion.kind)
        self.metadata = msgspec.structs.replace(self.metadata, cost=found.facts())
        return found


def _numbers(inputs: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(to_numpy(inputs))
    except ValueError as error:  # rows of different lengths
        raise InputError(f"inputs that are no array ({error})", "one array [examples, ...]") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"got inputs of dtype {array.dtype}", "numbers")
    return array


def load_ensemble(
    folder: str | os.PathLike[str], *, network: nn.Module | Sequence[nn.Module] | None = None
) -> Ensemble:
    """Open an ensemble that `Ensemble.save` wrote. Nothing in the folder is executed.

    Parameters
    ----------
    folder : path
        The folder.
    network : nn.Module or sequence of nn.Module, optional
        A network of the members' architecture, or one for each member where these differ; needed where they were not
        made by one of runspread's own models.

    Raises
    ------
    NotAStudyError
        The folder holds no ensemble.
    FormatVersionError
        Written by a newer runspread.
    CorruptShardError
        The weights differ from their checksum.
    InputError
        A network is needed, or the one given does not fit.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,), validation=300, evaluate=("test", "validation"))
    >>> study = rs.train(small, runs=3, out=mkdtemp() + "/digits", workers=1)
    >>> folder = rs.ensemble(study, size=2).save(mkdtemp() + "/best")
    >>> rs.load_ensemble(folder).predict(rs.training.load_split(small)[0]).shape
    (360, 10)
    """
    path = Path(folder)
    facts = read_facts(path)
    tensors = {
        name: torch.from_numpy(np.array(value)) for name, value in checked_tensors(path / TENSORS, facts.sha256).items()
    }
    logged = facts.training.get("sha256")
    with as_saved(path / FACTS):
        log = None if logged is None else read_log(facts.training, checked_tensors(path / LOG, logged))
        scaling = (tensors.pop("scaling/mean"), tensors.pop("scaling/std"))
        core = rebuild(facts.conversion, _templates(facts, network, tensors), tensors)
        margin = (facts.recipe or {}).get("loss") == "hinge"
        weights = saved_weights(facts.members, path / FACTS)
    return Ensemble(EnsembleModule(core, weights.tolist(), scaling, margin=margin), facts, log)


def _templates(
    facts: EnsembleMetadata, network: nn.Module | Sequence[nn.Module] | None, tensors: Mapping[str, Tensor]
) -> list[nn.Module]:
    """Return a network of each member's architecture: those given, or built from the members' hyperparameters."""
    if network is None:
        held = [value.numel() for value in tensors.values()]
        return [_built(facts, member.get("hyperparameters", {}), held) for member in facts.members]
    given = [network] * len(facts.members) if isinstance(network, nn.Module) else list(network)
    if len(given) != len(facts.members):
        raise InputError(
            f"got {len(given)} networks for {len(facts.members)} members", "one network, or one per member"
        )
    return [materialised(one, facts.shape) for one in given]


def _built(facts: EnsembleMetadata, hyperparameters: dict[str, Any], held: Sequence[int]) -> nn.Module:
    built = _plain_network(facts, hyperparameters, held)
    if built is None:
        raise InputError(
            "got an ensemble of a network of one's own",
            "network=, a module of the same architecture",
            _ASK,
        )
    return built


def _plain_network(
    facts: EnsembleMetadata, hyperparameters: dict[str, Any], held: Sequence[int] | None = None
) -> nn.Module | None:
    """Return an untrained network of a member's architecture; None where it is not one of runspread's own."""
    from ..plan import PlannedRun
    from ..study_networks import own_network, recipe_of_file

    if facts.recipe is None or facts.shape is None or facts.n_classes is None:
        return None
    recipe = recipe_of_file(facts.recipe, "the ensemble", _ASK)
    return own_network(recipe, PlannedRun("", Seeds(), hyperparameters), facts.shape, facts.n_classes, held)


def _tensors(module: EnsembleModule) -> dict[str, NDArray[Any]]:
    """Return the arrays to save: stacked along a first axis of members where these are alike."""
    core, scaling = module.core, {"scaling/mean": module.mean, "scaling/std": module.std}
    if isinstance(core, MemberStack):
        states: list[Mapping[str, Tensor]] = [network.state_dict() for network in core.networks]
        if core.alike:
            values = {f"stacked/{name}": torch.stack([state[name] for state in states]) for name in states[0]}
        else:
            values = {f"{k}/{name}": value for k, state in enumerate(states) for name, value in state.items()}
    else:
        values = dict(core.state_dict())
    return {name: value.detach().cpu().numpy() for name, value in {**values, **scaling}.items()}
