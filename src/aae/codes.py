"""What an encoder makes of pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Codes:
    """What an encoder gives for n pictures."""

    z: Tensor
    """The code, a draw from the posterior where a generator was given, [n, d]."""
    mean: Tensor
    """The posterior's mean, [n, d]."""
    std: Tensor | None = None
    """The posterior's standard deviation, [n, d], where it has one."""
    y_logits: Tensor | None = None
    """Logits of the classes, [n, K], where the encoder names one."""
    found: Tensor | None = None
    """Probabilities of the clusters that those were merged from, [n, F], where they were."""

    @property
    def y(self) -> Tensor | None:
        """Class probabilities, [n, K]."""
        return None if self.y_logits is None else self.y_logits.float().softmax(1)
