"""Some probes with what each row made of them, where the faces are rendered and may be shown to anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pcfh.databases.records import Record
from pcfh.evaluation.evaluation_data import EvaluationData, EvaluationJob
from pcfh.evaluation.sheets import to_jpeg
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.preparation.manifest import crops_folder
from pcfh.recipes.order import Order, Run
from pcfh.recipes.sources import prepared_folder, rendered_root
from pcfh.recipes.table import Table
from pcfh.recipes.training import generator_file
from pcfh.recognisers.alignment import Alignment

_MOST, _SEED = 8, 0
_small = partial(to_jpeg, quality=88)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One probe: JPEG files by what they show, in the order of the page's columns."""

    person: str
    pictures: tuple[tuple[str, bytes], ...]


def examples(order: Order, table: Table, alignment: Alignment) -> list[Example]:
    """Draws probes of the first fold; none where the faces are not rendered.

    Args:
        order: what the user wanted.
        table: what came of it.
        alignment: of the recogniser.
    """
    if not table.rendered:
        return []
    prepared, fold = prepared_folder(order.work, "casia"), table.folds[0]
    job = EvaluationJob(
        prepared=prepared,
        protocols=(fold,),
        cache=order.work / "cache",
        raw=rendered_root(prepared),
        batch=order.batch,
    )
    generators = {
        table.label(row.key): Hallucinator.from_file(
            generator_file(Run(row=row.key, seed=row.seeds[0], fold=fold), order.work), device=order.device
        )
        for row in table.rows
        if row.seeds
    }
    whole = EvaluationData(job, {fold: next(iter(generators.values()))} if generators else {}, alignment)
    probes = _drawn(whole.folds[0].probe)
    root = crops_folder(prepared, whole.generated_size)
    columns = [("NIR", [_small(read_image(root / probe.path)) for probe in probes])]
    for label, generator in generators.items():
        made = whole.generated(generator, probes)
        columns.append((label, [_small(image, trained=True) for image in made]))
    columns.append(("true VIS", [_small(image) for image in whole.true_crops(probes)]))
    return [
        Example(person=probe.subject, pictures=tuple((name, made[i]) for name, made in columns))
        for i, probe in enumerate(probes)
    ]


def _drawn(probes: Sequence[Record]) -> list[Record]:
    """Some probes by chance, the same at any time."""
    rng = np.random.default_rng(_SEED)
    chosen = rng.choice(len(probes), min(_MOST, len(probes)), replace=False)
    return [probes[i] for i in sorted(chosen.tolist())]
