"""The paper's Tables 1 to 4 as it prints them: in percent, mean ± deviation over folds in Table 2.

Columns are Rank-1, VR at FAR = 1 % and VR at FAR = 0.1 %, rows are in the paper's order. A row with a key
is one that this program can measure.

Reference: Yu, Cao, Li, Jia, He, "Pose-preserving Cross-spectral Face Hallucination", IJCAI 2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass

COLUMNS = ("Rank-1", "VR@FAR=1%", "VR@FAR=0.1%")
LIGHT_CNN, PCFH = "light-cnn", "pcfh"
NO_AWM, NO_MIC = "pcfh-no-awm", "pcfh-no-mic"
PIX2PIX, CYCLEGAN = "pix2pix", "cyclegan"


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One line of a table.

    Attributes:
        label: of the method.
        figures: as printed, see ``COLUMNS``.
        key: what ``--rows`` calls it; of a rival without public code, what was built after it here. None
            where there is the paper's number only.
    """

    label: str
    figures: tuple[str, str, str]
    key: str | None = None

    @property
    def means(self) -> tuple[float, ...]:
        """The figures without their deviations, in percent."""
        return tuple(float(text.partition("±")[0]) for text in self.figures)


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table.

    Attributes:
        number: in the paper.
        title: what it is of.
        database: what is tested on: casia, buaa or oulu; models are always trained on CASIA's first fold, or
            on each fold in Table 2.
        rows: in the paper's order.
        usual: keys of the rows that are measured unless others are named.
        seeds: of training, unless others are named.
    """

    number: int
    title: str
    database: str
    rows: tuple[PaperRow, ...]
    usual: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The rows that can be measured."""
        return tuple(row.key for row in self.rows if row.key is not None)


# Keys of rivals, see ``pcfh.recognisers.rivals``; rows without a number of the paper stand below its rows.
_KDSR = ("after-kdsr", "after-kdsr-lbp")
_TUNED = (
    *("minus-mean", "tuned", "contrastive", "after-trivet", "after-trivet-softmax"),
    *("after-idr-128", "after-idr-64", "after-csh-low-rank"),
)
_ON_GENERATED = ("adfl", "after-adfl", "csh", "after-csh", "pcfh-tuned")


def _row(label: str, rank1: str, vr1: str, vr01: str, key: str | None = None) -> PaperRow:
    return PaperRow(label=label, figures=(rank1, vr1, vr01), key=key)


TABLES: Mapping[str, PaperTable] = {
    "table1": PaperTable(
        number=1,
        title="CASIA NIR-VIS 2.0, one fold",
        database="casia",
        rows=(
            _row("Pix2Pix", "22.13", "39.22", "14.45", PIX2PIX),
            _row("CycleGAN", "87.23", "93.92", "79.41", CYCLEGAN),
            _row("Light CNN", "96.84", "99.10", "94.68", LIGHT_CNN),
            _row("PCFH w/o AWM", "96.89", "99.07", "94.96", NO_AWM),
            _row("PCFH w/o MIC", "97.66", "99.22", "96.49", NO_MIC),
            _row("PCFH", "98.50", "99.58", "97.32", PCFH),
        ),
        usual=(PIX2PIX, CYCLEGAN, LIGHT_CNN, NO_AWM, NO_MIC, PCFH),
        seeds=(0, 1, 2),
    ),
    "table2": PaperTable(
        number=2,
        title="CASIA NIR-VIS 2.0, View 2, ten folds",
        database="casia",
        rows=(
            _row("VGG", "62.1±1.88", "71.0±1.25", "39.7±2.85"),
            _row("TRIVET", "95.7±0.52", "98.1±0.31", "91.0±1.26", "after-trivet"),
            _row("Light CNN", "96.7±0.23", "98.5±0.64", "94.8±0.43", LIGHT_CNN),
            _row("IDR-128", "97.3±0.43", "98.9±0.29", "95.7±0.73", "after-idr-128"),
            _row("ADFL", "98.2±0.34", "99.1±0.15", "97.2±0.48", "after-adfl"),
            _row("PCFH", "98.80±0.26", "99.57±0.08", "97.68±0.26", PCFH),
        ),
        usual=(LIGHT_CNN, *_TUNED, PCFH, *_ON_GENERATED),
        seeds=(0,),
    ),
    "table3": PaperTable(
        number=3,
        title="BUAA-VisNir",
        database="buaa",
        rows=(
            _row("KDSR", "83", "86.8", "69.5", "after-kdsr"),
            _row("TRIVET", "93.9", "93.0", "80.9", "after-trivet"),
            _row("IDR", "94.3", "93.4", "84.7", "after-idr-128"),
            _row("ADFL", "95.2", "95.3", "88.0", "after-adfl"),
            _row("Light CNN", "96.5", "95.4", "86.7", LIGHT_CNN),
            _row("PCFH w/o AWM", "97.4", "97.2", "89.6", NO_AWM),
            _row("PCFH w/o MIC", "98.2", "97.6", "91.3", NO_MIC),
            _row("PCFH", "98.4", "97.9", "92.4", PCFH),
        ),
        usual=(LIGHT_CNN, *_KDSR, *_TUNED, NO_AWM, NO_MIC, PCFH, *_ON_GENERATED),
        seeds=(0, 1, 2),
    ),
    "table4": PaperTable(
        number=4,
        title="Oulu-CASIA NIR-VIS",
        database="oulu",
        rows=(
            _row("KDSR", "66.9", "56.1", "31.9", "after-kdsr"),
            _row("TRIVET", "92.2", "67.9", "33.6", "after-trivet"),
            _row("IDR", "94.3", "73.4", "46.2", "after-idr-128"),
            _row("ADFL", "95.5", "83.0", "60.7", "after-adfl"),
            _row("Light CNN", "96.9", "93.7", "79.4", LIGHT_CNN),
            _row("PCFH w/o AWM", "100.0", "96.63", "80.22", NO_AWM),
            _row("PCFH w/o MIC", "100.0", "97.63", "85.99", NO_MIC),
            _row("PCFH", "100.0", "97.7", "86.6", PCFH),
        ),
        usual=(LIGHT_CNN, *_KDSR, *_TUNED, NO_AWM, NO_MIC, PCFH, *_ON_GENERATED),
        seeds=(0, 1, 2),
    ),
}
