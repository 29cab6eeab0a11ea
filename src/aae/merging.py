"""Clusters that are found finer than asked for, and merged if they share pictures.

If only as many clusters are found as there are kinds of pictures, chance decides: one cluster takes
two kinds, and another kind is split. More clusters are purer, and if two of them split a kind, many
pictures belong to both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aae.codes import Codes

ENOUGH = 10_000
"""Pictures that are enough to tell which clusters belong together."""


def merge(together: Tensor, clusters: int) -> Tensor:
    """The merged cluster of each finer one; merged clusters are numbered by their first members.

    Each step merges the two clusters that lose the least mutual information by it, as in the
    agglomerative information bottleneck (Slonim and Tishby, NIPS 1999). Here that is what the finer
    cluster drawn from y at one look at a picture tells about the one drawn at a second look.

    Args:
        together: how often the two looks give i and j, symmetric [n, n]; any scale.
        clusters: how many are to be left, at most n.

    Returns:
        int64 [n], values in 0..clusters - 1.

    Examples:
        >>> merge(torch.tensor([[4.0, 0, 1], [0, 4, 0], [1, 0, 4]]), 2)
        tensor([0, 1, 0])
    """
    p = together.double() / together.double().sum()
    rows = _rows(p)
    groups = [[i] for i in range(len(p))]
    while len(groups) > clusters:
        lost = _lost(p, rows) + torch.full_like(p, torch.inf).tril()
        a, b = divmod(int(lost.argmin()), len(p))  # a < b
        rest = [i for i in range(len(p)) if i != b]
        rows -= sum(_less(p[:, k, None], p[:, k]) for k in (a, b))
        p[a] += p[b]
        p[:, a] += p[:, b]
        p, rows = p[rest][:, rest], rows[rest][:, rest]
        rows += _less(p[:, a, None], p[:, a])
        rows[a] = rows[:, a] = _less(p[a], p).sum(1)
        groups[a] += groups.pop(b)
    cluster_of = torch.empty(len(together), dtype=torch.int64)
    for number, members in enumerate(groups):
        cluster_of[members] = number
    return cluster_of


def _lost(p: Tensor, rows: Tensor) -> Tensor:
    """Mutual information that a symmetric ``p`` [n, n] loses if i and j are merged, [n, n].

    It is twice the entropy of one margin less the joint entropy; ``rows`` is `_rows` of ``p``.
    """
    share, own = p.sum(1), p.diagonal()
    # The four cells of i and j become one; their other cells merge in pairs: a row and a column.
    others = rows - _less(own[:, None], p) - _less(p, own)
    four = torch.special.entr(p) * 2 + torch.special.entr(own[:, None]) + torch.special.entr(own)
    one = torch.special.entr(own[:, None] + own + 2 * p)
    lost: Tensor = 2 * _less(share[:, None], share) - 2 * others - (four - one)
    return lost


def _rows(p: Tensor) -> Tensor:
    """The entropy that ``p`` [n, n] loses if row j is added to row i, [n, n]."""
    return torch.stack([_less(row, p).sum(1) for row in p])


def _less(x: Tensor, y: Tensor) -> Tensor:
    """The entropy that is lost if shares x and y become one."""
    lost: Tensor = torch.special.entr(x) + torch.special.entr(y) - torch.special.entr(x + y)
    return lost


class Look(Protocol):
    """Another look at pictures: `aae.warps.warp` of some size."""

    def __call__(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Pictures [n, c, h, w] → pictures of the same shape."""


class Clusters(nn.Module):
    """Clusters, or classes, as they are found: what y names, and what the decoder is told.

    Args:
        count: how many y names, K.
        found: how many the encoder finds and the decoder is told, F; by default K.
    """

    def __init__(self, count: int, found: int | None = None):
        super().__init__()
        self.count, self.found = count, found or count

    def named(self, codes: Codes) -> Codes:
        """Codes whose y is over the F found clusters → the same codes with y over the K merged.

        See `Codes.found`.
        """
        return codes

    def told(self, y: Tensor) -> Tensor:
        """Probabilities of the K merged clusters, [n, K] → of the F found ones, [n, F]."""
        return y

    def settle(self, find: Callable[[Tensor], Tensor], pictures: Iterable[Tensor]) -> None:
        """After an epoch, take note of what is found in training pictures.

        Args:
            find: pictures [n, …] → probabilities of the found clusters [n, F].
            pictures: batches of training pictures.
        """


class MergedClusters(Clusters):
    """Fewer clusters than are found, each merged from one or several of those.

    Args:
        count: see `Clusters`.
        found: see `Clusters`.
        another_look: changes pictures so that they stay in their clusters; by default they are
            looked at once.
    """

    cluster_of: Tensor
    """The merged cluster of each found one, [F]."""
    typical: Tensor
    """The found cluster that is most frequent in each merged one, [K]."""

    def __init__(self, count: int, found: int, another_look: Look | None = None):
        super().__init__(count, found)
        self.another_look = another_look
        self.register_buffer("cluster_of", torch.arange(found).clamp(max=count - 1))
        self.register_buffer("typical", torch.arange(count))

    def named(self, codes: Codes) -> Codes:
        """See `Clusters.named`: a merged cluster's probability is the sum of its parts'."""
        found = codes.y
        assert found is not None
        y = found @ F.one_hot(self.cluster_of, self.count).to(found)
        return replace(codes, y_logits=y.clamp(torch.finfo(y.dtype).tiny).log(), found=found)

    def told(self, y: Tensor) -> Tensor:
        """See `Clusters.told`: for each merged cluster, its most frequent found one."""
        return y @ F.one_hot(self.typical, self.found).to(y)

    def settle(self, find: Callable[[Tensor], Tensor], pictures: Iterable[Tensor]) -> None:
        """See `Clusters.settle`: it decides which are merged."""
        generator = torch.Generator(self.cluster_of.device).manual_seed(0)
        together, seen = torch.zeros(self.found, self.found), 0
        for x in pictures:
            first = second = find(x)
            if self.another_look is not None:
                second = find(self.another_look(x, generator=generator))
            together += (first.mT @ second + second.mT @ first).cpu()
            if (seen := seen + len(first)) >= ENOUGH:
                break
        cluster_of = merge(together, self.count)
        shares = together.sum(1)
        typical = [
            max((cluster_of == k).nonzero().flatten().tolist(), key=lambda i: float(shares[i]))
            for k in range(self.count)
        ]
        self.cluster_of.copy_(cluster_of)
        self.typical.copy_(torch.tensor(typical))


class Told(nn.Module):
    """A decoder that is told the merged clusters, as y names them.

    Args:
        decoder: styles [n, d] and clusters as found [n, F] → pictures.
        clusters: which found clusters stand for the merged ones.
    """

    def __init__(self, decoder: nn.Module, clusters: Clusters):
        super().__init__()
        self.decoder, self.clusters = decoder, clusters

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Styles [n, d] and clusters [n, K] → pictures [n, c, h, w]."""
        x: Tensor = self.decoder(z, self.clusters.told(y))
        return x
