"""The codes that an encoder makes of pictures."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Codes:
    """An encoder's output for n pictures."""

    z: Tensor
    """The code, [n, d]; a draw from the posterior if a generator was given."""
    mean: Tensor
    """The posterior's mean, [n, d]."""
    std: Tensor | None = None
    """The posterior's standard deviation, [n, d]; None if it has none."""
    y_logits: Tensor | None = None
    """Logits of the classes, [n, K]; None if the encoder names none."""
    found: Tensor | None = None
    """Probabilities of the F clusters as found, [n, F]; None unless some were merged."""

    @property
    def y(self) -> Tensor | None:
        """Class probabilities, [n, K]."""
        return None if self.y_logits is None else self.y_logits.float().softmax(1)
