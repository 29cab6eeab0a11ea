"""The data sets that are known by name, and where their files are published."""

from dataclasses import dataclass
from typing import Literal

_DIGITS = tuple("0123456789")
_GARMENTS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    Attributes:
        name: as the mirrors serve it.
        size: exact number of bytes once decompressed, and so the most that is ever read.
        content_sha256: of the decompressed bytes, where known.
        served_sha256: of the bytes as the mirrors serve them, where known.
    """

    name: str
    size: int
    content_sha256: str | None = None
    served_sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and what it must contain.

    Attributes:
        name: the name by which `aae.data.load` loads it.
        description: one line.
        shape: of one picture, (channels, height, width).
        n_train: number of training pictures.
        n_test: number of test pictures.
        classes: the name of each label.
        kind: `"embedded"` (no files), `"idx"` (training images, training labels, test images,
            test labels) or `"mat"` (training file, test file).
        files: in the order that `kind` says.
        mirrors: base addresses, in order of preference; a file is at `mirror + file.name`.

    Raises:
        ValueError: there are mirrors, but a file without a checksum.
    """

    name: str
    description: str
    shape: tuple[int, int, int]
    n_train: int
    n_test: int
    classes: tuple[str, ...]
    kind: Literal["embedded", "idx", "mat"]
    files: tuple[SourceFile, ...] = ()
    mirrors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for file in self.files:
            if self.mirrors and not (file.content_sha256 or file.served_sha256):
                raise ValueError(
                    f"{self.name}: {file.name} has mirrors but no checksum; give its "
                    "content_sha256 or served_sha256, so that a download can be checked"
                )


def _mnist_files(
    content_sha256: tuple[str | None, ...] = (None,) * 4,
    served_sha256: tuple[str | None, ...] = (None,) * 4,
) -> tuple[SourceFile, ...]:
    names_and_sizes = (
        ("train-images-idx3-ubyte.gz", 16 + 60_000 * 28 * 28),
        ("train-labels-idx1-ubyte.gz", 8 + 60_000),
        ("t10k-images-idx3-ubyte.gz", 16 + 10_000 * 28 * 28),
        ("t10k-labels-idx1-ubyte.gz", 8 + 10_000),
    )
    return tuple(
        SourceFile(name, size, content, served)
        for (name, size), content, served in zip(
            names_and_sizes, content_sha256, served_sha256, strict=True
        )
    )


_SOURCES = (
    Source(
        name="digits",
        description="handwritten digits that come with scikit-learn; nothing to download",
        shape=(1, 8, 8),
        n_train=1437,
        n_test=360,
        classes=_DIGITS,
        kind="embedded",
    ),
    Source(
        name="mnist",
        description="handwritten digits",
        shape=(1, 28, 28),
        n_train=60_000,
        n_test=10_000,
        classes=_DIGITS,
        kind="idx",
        files=_mnist_files(
            content_sha256=(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            )
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    Source(
        name="fashion-mnist",
        description="articles of clothing",
        shape=(1, 28, 28),
        n_train=60_000,
        n_test=10_000,
        classes=_GARMENTS,
        kind="idx",
        files=_mnist_files(
            served_sha256=(
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            )
        ),
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
    Source(
        name="svhn",
        description="house numbers photographed in the street, cropped to one digit, in colour",
        shape=(3, 32, 32),
        n_train=73_257,
        n_test=26_032,
        classes=_DIGITS,
        kind="mat",
        files=(
            SourceFile(
                "train_32x32.mat",
                size=182_040_794,
                content_sha256="435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            ),
            SourceFile(
                "test_32x32.mat",
                size=64_275_384,
                content_sha256="cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ),
        mirrors=("http://ufldl.stanford.edu/housenumbers/",),
    ),
)

CATALOG: dict[str, Source] = {source.name: source for source in _SOURCES}
