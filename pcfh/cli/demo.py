"""The command that shows the main job on built-in data."""

from pathlib import Path

from pcfh.databases.rendered import SAMPLE
from pcfh.demo import run_demo
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped


def demo(
    out: Path = Path("demo-out"),
    *,
    faces: Path = SAMPLE,
    model: Path | None = None,
    recognizer: Path | None = None,
) -> int:
    """Translate the sample's NIR faces, match them with their gallery without and with that, and report.

    Args:
        out: folder to write to.
        faces: a rendered database; the sample of the repository if not given.
        model: generator.safetensors of a training run; the shipped one if not given.
        recognizer: weights of a Light CNN; the shipped ones if not given.
    """
    keep_freed_memory()
    report = run_demo(
        out,
        generator=model or shipped("generator"),
        recognizer=recognizer or shipped("recognizer"),
        faces=faces,
        say=print,
    )
    print(report)
    return 0
