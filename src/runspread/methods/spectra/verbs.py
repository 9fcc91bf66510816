"""``rs.spectra``: weight spectra of anything that holds weights."""

from __future__ import annotations

from typing import Any, Unpack, overload

from ..._checks import check_choice, check_keywords
from ..._reading.protocols import HoldsRuns
from .models import ModelSpectra
from .of_models import ModelSource, SpectraOptions, spectra_of_model
from .of_studies import study_spectra
from .quality import StudySpectra
from .singular_values import CONV_MODES


@overload
def spectra(source: HoldsRuns, **options: Unpack[SpectraOptions]) -> StudySpectra: ...
@overload
def spectra(source: ModelSource, **options: Unpack[SpectraOptions]) -> ModelSpectra: ...
def spectra(source: Any, **options: Unpack[SpectraOptions]) -> ModelSpectra | StudySpectra:
    """Return scale and shape metrics of every weight tensor of a model, and their averages.

    Parameters
    ----------
    source : path, module, mapping, checkpoint or study
        A safetensors file, an index of shards, or a folder that holds one model so; a ``torch.nn.Module``; a mapping
        of name to array or tensor (a state dict, ``study.weights(run)``), also nested, as a checkpoint of a training
        or the parameters of Flax are; what `from_torch_checkpoint` returns; or a
        study, all of whose runs are then read at the end of training (`study_spectra` reads other steps too).
    parity : "weightwatcher", optional
        Give the numbers of WeightWatcher 0.7.7 (see `layer_metrics`); failed fits then enter the averages as -1.
    conv_mode, mp_fit, n_shuffles, bootstrap, min_eigenvalues, min_fit, min_tail, seed
        As in `layer_metrics`; conv_mode is "slices" or "unfold".
    min_evals : int, optional
        Smallest number of eigenvalues of a layer in the averages (50; with `parity`, `min_eigenvalues`).
    include_embeddings : bool
        Whether averages include embeddings (False).
    fused : bool
        Keep the fused projections of attention and the gates of recurrent layers in one matrix (False).
    depthwise : {"skip", "flatten"}
        Skip depthwise kernels, or take each as one matrix [channels, positions].
    max_size : int
        Layers with more columns are listed, not analysed (15,000).
    kinds : mapping of str to str, optional
        Kind of a tensor by name, where the rules cannot see it: "dense", "embedding", "conv", "conv_transposed",
        "stack" (of matrices [matrices, rows, columns]) or "vector" (no layer); "conv/32" for a kernel in 32 groups, of
        which a file says nothing.
    workers : int, optional
        Layers analysed at a time, one BLAS thread each; as many as there are cores when None.
    device : str, optional
        Where PyTorch computes the eigenvalues, for example "cuda"; NumPy on this machine when None.
    progress : callable, optional
        Called with the number of tensors (of a study: models) done and in all.

    Returns
    -------
    ModelSpectra or StudySpectra
        One row per tensor, or a weight that several tensors make (``made_of``), with a status: nothing is excluded
        without a word. For a study, one row per run.

    Raises
    ------
    InputError
        The source holds no tensors or is not one of the above, or a keyword is unknown.

    Notes
    -----
    What is a layer: a module says which of its tensors are weights of layers, tables that are looked up, or buffers.
    In a file, a state dict or a mapping names, shapes and what stands beside a tensor decide, by rules that give
    the module's answer where names allow it. Class tokens, positions, masks, queues, biases, scales, states of
    optimisers and averages of weights are never averaged. Kernels of Keras, Flax and Haiku are read in their
    layouts. Pruned, normalised and low-rank weights are computed as the layers use them; float8 numbers are
    multiplied by their scales, one for all, a row or a block. Packed integers are not read.

    References
    ----------
    Martin and Mahoney (2021), arXiv:2106.00734.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> model = rs.spectra({"fc.weight": rng.normal(size=(300, 200)), "fc.bias": rng.normal(size=300)})
    >>> model.used
    ('fc.weight',)
    """
    check_keywords(options, SpectraOptions.__annotations__, "spectra")
    check_choice(options.get("conv_mode", "slices"), "conv_mode", [mode for mode in CONV_MODES if mode != "fft"])
    check_choice(options.get("depthwise", "skip"), "depthwise", ("skip", "flatten"))
    if isinstance(source, HoldsRuns):
        return study_spectra(source, **options)
    return spectra_of_model(source, dict(options))
