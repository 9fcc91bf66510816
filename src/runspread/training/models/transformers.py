"""Transformers: one layer for modular arithmetic, and a small BERT-style encoder for masked language modelling."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import InputError


class ModularTransformer(nn.Module):
    """One layer on tokens (x, y, "="); only the last position's outputs, which are all that the loss reads.

    Keys and values depend on (token, position) alone, so they are computed for the 2 p + 1 distinct pairs and looked up
    by example; queries, output projection, MLP and unembedding are needed at the last position only. The function and
    its gradients are those of the plain forward pass (a test compares them).

    Parameters
    ----------
    vocabulary : int
        Numbers and the "=" token, which is the last.
    width, heads, hidden : int
        Model width, heads (of width / heads each), width of the MLP.
    layer_norm : bool
        Normalise after each residual sum (the stabilised variant of Hu et al., 2023).
    """

    def __init__(self, vocabulary: int, *, width: int, heads: int, hidden: int, layer_norm: bool) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"got width={width} with heads={heads}", "a width that the heads divide")
        self.heads, self.size = heads, width // heads
        self.embed = nn.Parameter(torch.randn(vocabulary, width) / math.sqrt(width))
        self.position = nn.Parameter(torch.randn(3, width) / math.sqrt(width))
        self.W_K, self.W_Q, self.W_V = (
            nn.Parameter(torch.randn(heads, self.size, width) / math.sqrt(width)) for _ in range(3)
        )
        self.W_O = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        self.W_in = nn.Parameter(torch.randn(hidden, width) / math.sqrt(width))
        self.b_in = nn.Parameter(torch.zeros(hidden))
        self.W_out = nn.Parameter(torch.randn(width, hidden) / math.sqrt(width))
        self.b_out = nn.Parameter(torch.zeros(width))
        self.unembed = nn.Parameter(torch.randn(width, vocabulary) / math.sqrt(vocabulary))
        self.norm1 = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.norm2 = nn.LayerNorm(width) if layer_norm else nn.Identity()

    def forward(self, pairs: Tensor) -> Tensor:
        """Return logits [batch, vocabulary] at the last position for pairs [batch, 2]."""
        last = self.embed[-1] + self.position[2]
        query = torch.einsum("hsd,d->hs", self.W_Q, last) / math.sqrt(self.size)
        key_of = torch.einsum("hs,hsd->hd", query, self.W_K)  # the score of a residual is its product with this
        value_of = self.W_V.flatten(0, 1)
        first, second = (self._look_up(pairs[:, k], self.position[k], key_of, value_of) for k in (0, 1))
        own = torch.cat([key_of @ last, value_of @ last]).expand(first.shape)
        stacked = torch.stack([first, second, own], dim=1)  # [batch, 3, heads + width]
        weights = torch.softmax(stacked[..., : self.heads], dim=1)
        values = stacked[..., self.heads :].unflatten(-1, (self.heads, self.size))
        mixed = (weights.unsqueeze(-1) * values).sum(dim=1).flatten(1)
        x = self.norm1(last + mixed @ self.W_O.T)
        x = self.norm2(x + torch.relu(x @ self.W_in.T + self.b_in) @ self.W_out.T + self.b_out)
        return x @ self.unembed

    def _look_up(self, tokens: Tensor, position: Tensor, key_of: Tensor, value_of: Tensor) -> Tensor:
        """Return scores and values [batch, heads + width] of tokens at a position, from a table over all tokens."""
        residual = self.embed[:-1] + position
        table = torch.cat([residual @ key_of.T, residual @ value_of.T], dim=1)
        return F.embedding(tokens, table)


def build_modular_transformer(
    shape: tuple[int, ...], outputs: int, *, width: int, heads: int, hidden: int, layer_norm: bool
) -> ModularTransformer:
    """Return the transformer for pairs of numbers; the outputs are the vocabulary."""
    return ModularTransformer(outputs, width=width, heads=heads, hidden=hidden, layer_norm=layer_norm)


class EncoderLayer(nn.Module):
    """Self-attention and MLP with GELU, each followed by dropout, residual sum and layer norm.

    Weights are named as in BERT: attention.self.query, attention.output.dense, intermediate.dense, output.dense.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        projections = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": projections, "output": _dense(width, width)})
        self.intermediate = _dense(width, 4 * width)
        self.output = _dense(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop1, self.drop2 = nn.Dropout(), nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output [batch, positions, width]."""
        names = ("attention.self.query", "attention.self.key", "attention.self.value")
        q, k, v = (self.get_submodule(name)(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in names)
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.drop1(self.get_submodule("attention.output.dense")(mixed)))
        return self.norm2(x + self.drop2(self.output["dense"](F.gelu(self.intermediate["dense"](x)))))


def _dense(inputs: int, outputs: int) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inputs, outputs)})


class MaskedEncoder(nn.Module):
    """A BERT-style encoder with a logit for every token of the vocabulary at every position."""

    def __init__(self, vocabulary: int, positions: int, *, width: int, heads: int, depth: int) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"got width={width} with heads={heads}", "a width that the heads divide")
        self.embeddings = nn.Embedding(vocabulary, width)
        self.position_embeddings = nn.Parameter(0.02 * torch.randn(positions, width))
        self.embedding_norm = nn.LayerNorm(width)
        self.layer = nn.ModuleList(EncoderLayer(width, heads) for _ in range(depth))
        self.head = nn.Linear(width, vocabulary)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [batch, positions, vocabulary] for tokens [batch, positions]."""
        x = self.embedding_norm(self.embeddings(tokens) + self.position_embeddings)
        for layer in self.layer:
            x = layer(x)
        return self.head(x)


def build_masked_encoder(shape: tuple[int, ...], outputs: int, *, width: int, heads: int, depth: int) -> MaskedEncoder:
    """Return the encoder for sequences of ``shape[0]`` tokens; the outputs are the vocabulary."""
    return MaskedEncoder(outputs, shape[0], width=width, heads=heads, depth=depth)
