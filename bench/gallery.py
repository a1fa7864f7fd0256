"""What a large gallery costs: enrolment, search and memory, beside NumPy and faiss in the same run.

    python -m bench gallery [--faces 1000000] [--searches 100] [--store FOLDER] [--uri URI] [--threads 2]

Features have 256 numbers and are made up, a random direction for each person; a probe is one of them with
noise. They are enrolled in an embedded store in a folder, or on the server of --uri, closed, opened again and
searched one probe at a time by the gallery's own search (the ten people most alike, each with all scores).
Recall is the share of those ten that an exact search finds, too. Memory is what the process holds at its
peak, the features themselves not counted: they lie in a file that is mapped. Each line is printed when it is
known.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int

from bench.memory import peak_mebibytes
from pcfh.gallery.entries import NewFace, Probe
from pcfh.gallery.store import Gallery, digest32

LENGTH, NOISE, TOP = 256, 1.0, 10
KEY = "made up"
_PART = 10_000


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    folder = Path(tempfile.mkdtemp(dir=options.store))
    try:
        measure(folder, options.faces, options.searches, options.uri)
    finally:
        shutil.rmtree(folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m bench gallery", description=(__doc__ or "").split("\n")[0]
    )
    result.add_argument("--faces", type=int, default=1_000_000)
    result.add_argument("--searches", type=int, default=100)
    result.add_argument("--store", type=Path, help="folder for the store and the features, 4 kB a face")
    result.add_argument("--uri", help="of a Milvus server without a gallery, in the place of the store")
    result.add_argument(
        "--threads", type=int, default=2, help="of NumPy's product in PyTorch; see OMP_NUM_THREADS"
    )
    return result


def measure(folder: Path, faces: int, searches: int, server: str | None = None) -> None:
    """Enrols, searches, and does the same without a store."""
    features = made_up_features(folder / "features.npy", faces)
    probes = noisy(features, searches)
    print(
        f"{faces:,} faces, {searches} searches; memory before: {peak_mebibytes():.0f} MiB at its peak",
        flush=True,
    )
    exact = [np.argsort(-scores)[:TOP] for scores in in_parts(features, probes)]
    uri = server or str(folder / "people.db")
    wall, cpu = time.perf_counter(), time.process_time()
    with Gallery.open(uri) as gallery:
        gallery.enrol(new_faces(features), KEY)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"enrolled: {wall:.0f} s, {faces / wall:,.0f} a second ({cpu:.0f} s of the processor)", flush=True)
    if server is None:
        size = sum(path.stat().st_size for path in Path(uri).rglob("*") if path.is_file())
        print(f"on the disk: {size / 2**20:,.0f} MiB, {size / faces:,.0f} bytes a face", flush=True)
    print(f"memory {peak_mebibytes():,.0f} MiB", flush=True)
    wall = time.perf_counter()
    with Gallery.open(uri, new=False) as gallery:
        gallery.search(Probe(original=probes[0]), KEY, by="original")
        print(f"opened and first search: {time.perf_counter() - wall:.1f} s", flush=True)

        def search(probe: Float32[np.ndarray, " d"]) -> list[int]:
            found = gallery.search(Probe(original=probe), KEY, top=TOP, by="original")
            return [int(match.entry.person) for match in found]

        timed("the gallery", search, probes, exact)
    print(f"memory: {peak_mebibytes():,.0f} MiB", flush=True)
    held = np.array(features)
    timed("NumPy, one product", lambda probe: best(held @ probe), probes, exact)
    try:
        import faiss  # noqa: PLC0415 - comes with the extra gallery
    except ImportError:
        print("faiss: not installed")
        return
    index = faiss.IndexFlatIP(LENGTH)
    index.add(held)
    timed("faiss, flat", lambda probe: index.search(probe[None], TOP)[1][0].tolist(), probes, exact)


def timed(
    name: str,
    search: Callable[[Float32[np.ndarray, " d"]], list[int]],
    probes: Float32[np.ndarray, "p d"],
    exact: Sequence[Int[np.ndarray, " k"]],
) -> None:
    """Searches for each probe and prints what it took and how much of the exact answer it found."""
    times, found, cpu = [], 0, time.process_time()
    for probe, right in zip(probes, exact, strict=True):
        start = time.perf_counter()
        people = search(probe)
        times.append(time.perf_counter() - start)
        found += len({*people} & {*right.tolist()})
    cpu = (time.process_time() - cpu) / len(probes)
    median, late = statistics.median(times), float(np.percentile(times, 95))
    print(
        f"{name}: median {1000 * median:.1f} ms, 95th percentile {1000 * late:.1f} ms, of the processor "
        f"{1000 * cpu:.1f} ms; recall@{TOP} {found / (TOP * len(probes)):.4f}",
        flush=True,
    )


def made_up_features(path: Path, count: int) -> Float32[np.ndarray, "n d"]:
    """Random directions in a file that is mapped."""
    features = np.lib.format.open_memmap(path, "w+", np.float32, (count, LENGTH))
    rng = np.random.default_rng(0)
    for start in range(0, count, _PART):
        part = features[start : start + _PART]
        part[:] = rng.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return features


def noisy(features: Float32[np.ndarray, "n d"], count: int) -> Float32[np.ndarray, "p d"]:
    """Some of the features with noise, of norm one again."""
    rng = np.random.default_rng(1)
    chosen = np.array(features[rng.choice(len(features), count, replace=False)])
    chosen += np.float32(NOISE / np.sqrt(LENGTH)) * rng.standard_normal(chosen.shape, np.float32)
    return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)


def new_faces(features: Float32[np.ndarray, "n d"]) -> Iterator[NewFace]:
    """A face of a person of its own for each feature; the name is its row."""
    for i in range(len(features)):
        row = np.array(features[i])
        yield NewFace(id=digest32(f"{i}"), person=f"{i}", source="made up", quality=1.0, feature=row)


def in_parts(
    features: Float32[np.ndarray, "n d"], probes: Float32[np.ndarray, "p d"]
) -> Float32[np.ndarray, "p n"]:
    """All scores, without holding the features."""
    parts = range(0, len(features), _PART)
    return np.concatenate([probes @ features[start : start + _PART].T for start in parts], axis=1)


def best(scores: Float32[np.ndarray, " n"]) -> list[int]:
    """The places of the highest scores."""
    highest = np.argpartition(-scores, TOP)[:TOP]
    return highest[np.argsort(-scores[highest])].tolist()
