"""The gallery: two collections of a Milvus store, embedded or on a server.

    <name>        a row for each face: id, person, source, quality, enrolled, recognizer, feature
    <name>_log    a row for what happened: made, calibrated, removing, removed

Scores are inner products of features of norm one. On an embedded store the search is exact; a server has the
index that was chosen when the gallery was made, and the scores of what it finds are computed from the
features themselves.

A removed face is gone from the search at once. An embedded store keeps deleted rows on the disk, so what is
left is copied to a new collection and the old one is dropped; a removal that was interrupted is finished when
the gallery is opened the next time.

Names of people are in one spelling here, whatever that of the caller (``pcfh.names``).

Axis letters: d features, n faces.
"""

import hashlib
import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float32

from pcfh.batches import stretches
from pcfh.errors import UserError
from pcfh.evaluation.scores import require_unit
from pcfh.gallery.calibration import EXACT_FACES, threshold_of
from pcfh.gallery.connection import connect, disconnect, is_server, said_plainly
from pcfh.gallery.entries import Calibration, Entry, Kind, Match, NewFace, Person, Probe, Removal
from pcfh.names import spelled

INDEXES = ("FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "DISKANN", "AUTOINDEX")
_PARAMETERS: Mapping[str, Mapping[str, int]] = {
    "HNSW": {"M": 32, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 4096},
    "IVF_SQ8": {"nlist": 4096},
}
# How hard an approximate index tries, beside as many as are asked for; more finds more, and takes longer.
_EFFORT: Mapping[str, tuple[str, int]] = {
    "HNSW": ("ef", 256),
    "IVF_FLAT": ("nprobe", 64),
    "IVF_SQ8": ("nprobe", 64),
    "DISKANN": ("search_list", 256),
}
_FORMAT = "pcfh-gallery-1"
_ABOUT = ("id", "person", "source", "quality", "enrolled")
_BYTES = {"id": 32, "person": 512, "source": 4096, "person_id": 32, "recognizer": 64}
_DETAIL_BYTES = 32_768
_AT_ONCE = 1000  # rows in one request
_MOST_FOUND = 1000  # people of one search


def digest32(text: str | bytes) -> str:
    """The first 32 hexadecimal digits of the SHA-256: 128 bits, by which rows are named."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:32]


class Gallery:
    """Faces by person; one process at a time where the store is embedded.

    Args:
        client: of pymilvus.
        uri: of the store.
        name: of the collection of faces.
        index: of a gallery that is made by the first enrolment.
    """

    def __init__(self, client: Any, uri: str, name: str, index: str) -> None:
        self._client, self._uri, self._name, self._index = client, uri, name, index
        self._log = f"{name}_log"
        self._made: dict[str, Any] | None = None
        self._made = self._read_made()
        self._finish_removals()

    @classmethod
    def open(
        cls, uri: str, *, name: str = "faces", token: str = "", index: str | None = None, new: bool = True
    ) -> "Gallery":
        """Opens a gallery, or prepares a new one that the first enrolment makes.

        Args:
            uri: a path that ends in .db, or http://host:19530 of a Milvus server or cluster.
            name: of the collection; several galleries can lie on one server.
            token: user:password of a server.
            index: of a new gallery, one of ``INDEXES``; if None, FLAT (exact) if embedded, else HNSW.
            new: whether there need be none yet.

        Raises:
            UserError: it cannot be opened, see ``connect``; or there is none and ``new`` is false.
        """
        chosen = index or ("HNSW" if is_server(uri) else "FLAT")
        if chosen not in INDEXES:
            raise UserError(f"no index {chosen!r}; known: {', '.join(INDEXES)}")
        if not name.isidentifier():
            raise UserError(f"{name!r}: expected a collection's name of letters, digits and _")
        if not (new or is_server(uri) or Path(uri).is_dir()):
            raise UserError(f"{uri}: no such gallery; make it by pcfh gallery enrol")
        client = connect(uri, token)
        try:
            gallery = cls(client, uri, name, chosen)
        except BaseException:
            disconnect(client, uri)
            raise
        if gallery._made is None and not new:
            gallery.close()
            raise UserError(f"{uri}: nobody is enrolled in {name!r}; begin with pcfh gallery enrol")
        return gallery

    def close(self) -> None:
        """Lets go of the store; an embedded one is free for other processes then."""
        disconnect(self._client, self._uri)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many faces are enrolled."""
        if self._made is None:
            return 0
        return int(self._query("", ["count(*)"])[0]["count(*)"])

    @property
    def recognizer(self) -> str | None:
        """The name of the recogniser whose features are enrolled."""
        return self._made["recognizer"] if self._made else None

    @property
    def key(self) -> str | None:
        """That recogniser's key."""
        return self._made["key"] if self._made else None

    def require(self, key: str, name: str = "another recogniser") -> None:
        """Refuses a recogniser other than the one whose features are enrolled.

        Args:
            key: of the recogniser.
            name: of it, for the message.

        Raises:
            UserError: it is another.
        """
        if self._made and self._made["key"] != key:
            raise UserError(
                f"{self._uri}: holds features of the recogniser {self._made['recognizer']}, which cannot be "
                f"compared with those of {name}; give the same file as --recognizer, or enrol everybody in a "
                "new gallery"
            )

    def known(self, ids: Sequence[str]) -> dict[str, str]:
        """Who of some photographs is enrolled already: the person by the photograph's id."""
        if self._made is None:
            return {}
        found: dict[str, str] = {}
        for some in stretches(ids, _AT_ONCE):
            rows = self._query(f"id in {json.dumps(some)}", ["id", "person"])
            found |= {row["id"]: row["person"] for row in rows}
        return found

    def enrol(self, faces: Iterable[NewFace], key: str, name: str = "recogniser") -> int:
        """Enrols faces; one that is enrolled already is replaced, so that nothing is there twice.

        Args:
            faces: may be a generator; few are held at a time.
            key: of the recogniser that made the features.
            name: of it, for people.

        Returns:
            how many there were.

        Raises:
            UserError: features are of another recogniser or length or not of norm one, or a text is too long.
        """
        self.require(key, name)
        count = 0
        for some in stretches(faces, _AT_ONCE):
            features = np.stack([face.feature for face in some])
            require_unit(features, "enrolled")
            self._make(key, name, features.shape[1])
            rows = [self._row(face) for face in some]
            with said_plainly(self._uri):
                self._client.upsert(self._name, rows)
            count += len(rows)
        return count

    def search(
        self,
        probe: Probe,
        key: str,
        *,
        top: int = 10,
        by: Kind = "fused",
        people: Collection[str] | None = None,
    ) -> list[Match]:
        """The people most alike, best first, each by the best of their photographs.

        Args:
            probe: whom to search for.
            key: of the recogniser that made its features.
            top: how many people at most.
            by: the score that decides.
            people: to search among; all if None.

        Raises:
            UserError: features are of another recogniser or not of norm one, or nobody is enrolled.
        """
        self._require_enrolled()
        self.require(key)
        if not 1 <= top <= _MOST_FOUND:
            raise UserError(f"expected 1 to {_MOST_FOUND} people to find, got {top}")
        vector = probe.vector(by)
        among = (
            []
            if people is None
            else [f"person_id in {json.dumps([digest32(spelled(name)) for name in people])}"]
        )
        found: dict[str, Match] = {}
        limit = 4 * top
        while len(found) < top:
            others = [f"person_id not in {json.dumps([digest32(name) for name in found])}"] if found else []
            hits = self._nearest(vector, " and ".join([*among, *others]), limit)
            for match in self._matches(hits, probe, by):
                found.setdefault(match.entry.person, match)
            if len(hits) < limit:
                break
        return sorted(found.values(), key=lambda match: -match.score)[:top]

    def verify(self, probe: Probe, person: str, key: str, *, by: Kind = "fused") -> Match:
        """How alike a face is to one person, by the best of their photographs.

        Raises:
            UserError: the person is not enrolled; and as ``search``.
        """
        found = self.search(probe, key, top=1, by=by, people=[person])
        if not found:
            raise UserError(f"{person!r} is not enrolled in {self._uri}; see pcfh gallery list")
        return found[0]

    def entries(self, person: str | None = None) -> Iterator[Entry]:
        """All faces, or those of one person."""
        chosen = "" if person is None else _of(person)
        return (_entry(row) for row in self._rows(chosen, _ABOUT))

    def people(self) -> list[Person]:
        """Who is enrolled, in the order of their names."""
        found: dict[str, tuple[int, datetime]] = {}
        for entry in self.entries():
            count, first = found.get(entry.person, (0, entry.enrolled))
            found[entry.person] = (count + 1, min(first, entry.enrolled))
        return [
            Person(name=name, faces=count, enrolled=first) for name, (count, first) in sorted(found.items())
        ]

    def features(self, share: float = 1.0) -> Iterator[tuple[Entry, Float32[np.ndarray, " d"]]]:
        """All faces with their features, or a random share of them, always the same.

        The ids are digits of a SHA-256, so those below a number are a fair sample.
        """
        bound = "" if share >= 1 else f'id < "{int(share * 16**8):08x}"'
        for row in self._rows(bound, (*_ABOUT, "feature")):
            yield _entry(row), np.array(row["feature"], np.float32)

    def remove(self, people: Sequence[str], by: str) -> list[Removal]:
        """Removes people so that nothing of their faces remains; who, when and by whom is written down.

        On an embedded store everybody else is copied, which takes as long as enrolling their features; give
        several people at once. A server deletes the files when it compacts them, see docs/gallery.md.

        Args:
            people: all or none of them are removed.
            by: who removes them.

        Raises:
            UserError: somebody is not enrolled.
        """
        self._require_enrolled()
        found = {person: list(self.entries(person)) for person in dict.fromkeys(map(spelled, people))}
        absent = [person for person, entries in found.items() if not entries]
        if absent:
            raise UserError(f"{absent[0]!r} is not enrolled in {self._uri}, so nobody was removed")
        removals = [
            Removal(
                person=person,
                faces=len(entries),
                enrolled=min(entry.enrolled for entry in entries),
                removed=_now(),
                by=by,
            )
            for person, entries in found.items()
        ]
        for removal in removals:
            self._note("removing", removal.person, asdict(removal))
        self._finish_removals()
        return removals

    def removals(self) -> list[Removal]:
        """Who was removed, oldest first."""
        rows = self._noted("removed")
        return [
            Removal(**{**row, "enrolled": _time(row["enrolled"]), "removed": _time(row["removed"])})
            for row in rows
        ]

    def calibrate(self, far: float, *, seed: int = 0) -> Calibration:
        """Finds the threshold for a false-accept rate, and keeps it; see ``pcfh.gallery.calibration``.

        All pairs of different people are compared up to ``EXACT_FACES`` faces, else those of a sample.

        Args:
            far: share of pairs of different people that may reach the threshold.
            seed: of the draws for the interval.

        Raises:
            UserError: the gallery is too small for this FAR, or has fewer than two people.
        """
        self._require_enrolled()
        faces = len(self)
        rows = list(self.features(EXACT_FACES / faces))
        names = np.array([entry.person for entry, _ in rows])
        found = threshold_of(np.stack([feature for _, feature in rows]), names, far, seed=seed)
        made = Calibration(
            far=far,
            threshold=found.threshold,
            low=found.low,
            high=found.high,
            people=len(np.unique(names)),
            faces=faces,
            compared=len(rows),
            pairs=found.pairs,
            made=_now(),
        )
        self._note("calibrated", "", asdict(made))
        return made

    def calibrations(self) -> dict[float, Calibration]:
        """The newest calibration by FAR."""
        rows = self._noted("calibrated")
        return {row["far"]: Calibration(**{**row, "made": _time(row["made"])}) for row in rows}

    def calibration(self, far: float) -> Calibration:
        """The threshold that ``calibrate`` found for a FAR. It stays the same until the next calibration.

        Raises:
            UserError: it was never calibrated for this FAR.
        """
        known = self.calibrations()
        if far not in known:
            others = ", ".join(f"{one:g}" for one in sorted(known)) or "none"
            raise UserError(
                f"{self._uri}: no threshold for FAR {far:g} (calibrated for: {others}); run pcfh gallery "
                f"calibrate {self._uri} --far {far:g}"
            )
        return known[far]

    def _require_enrolled(self) -> None:
        if self._made is None:
            raise UserError(
                f"{self._uri}: nobody is enrolled in {self._name!r}; begin with pcfh gallery enrol"
            )

    def _read_made(self) -> dict[str, Any] | None:
        """What the gallery says of itself; None where there is none yet.

        Raises:
            UserError: the collection is something else.
        """
        with said_plainly(self._uri):
            there = set(self._client.list_collections())
        if self._log not in there:
            if self._name in there:
                raise UserError(
                    f"{self._uri}: the collection {self._name!r} is not a gallery of pcfh; name another"
                )
            return None
        self._load(self._log)
        noted = self._noted("made")
        if noted and noted[-1].get("format") != _FORMAT:
            raise UserError(
                f"{self._uri}: a gallery of another version ({noted[-1].get('format')}); use that one"
            )
        if noted and {self._name, self._copy} & there:
            self._recover_names(there)
            self._load(self._name)
            return noted[-1]
        return None

    def _make(self, key: str, name: str, dimension: int) -> None:
        """Makes the collections of a gallery that has none yet.

        Raises:
            UserError: it has some, for features of another length.
        """
        if self._made:
            if self._made["dimension"] != dimension:
                raise UserError(f"expected features of length {self._made['dimension']}, got {dimension}")
            return
        made = {
            "format": _FORMAT,
            "key": key,
            "recognizer": name,
            "dimension": dimension,
            "index": self._index,
        }
        with said_plainly(self._uri):
            there = set(self._client.list_collections())
            if self._log not in there:
                _create_log(self._client, self._log)
            if self._name not in there:
                _create_faces(self._client, self._name, dimension, self._index)
        self._note("made", "", made)
        self._made = made

    @property
    def _copy(self) -> str:
        return f"{self._name}_copy"

    def _recover_names(self, there: set[str]) -> None:
        """Ends a copy that a removal had begun when it was interrupted."""
        with said_plainly(self._uri):
            if self._name not in there:
                self._client.rename_collection(self._copy, self._name)
            elif self._copy in there:
                self._client.drop_collection(self._copy)

    def _finish_removals(self) -> None:
        """Removes whose removal was noted: the faces, what the disk still holds of them, then the note."""
        if self._made is None or not (begun := self._noted("removing")):
            return
        with said_plainly(self._uri):
            for removal in begun:
                self._client.delete(self._name, filter=_of(removal["person"]))
            if is_server(self._uri):
                self._client.flush(self._name)
                self._client.compact(self._name)
            else:
                self._rewrite()
            for removal in begun:
                self._note("removed", removal["person"], removal)
            self._client.delete(self._log, filter='what == "removing"')

    def _rewrite(self) -> None:
        """Copies all rows to a new collection, which takes the place of the old one and its files."""
        assert self._made is not None
        _create_faces(self._client, self._copy, self._made["dimension"], self._made["index"])
        names = (*_ABOUT, "person_id", "recognizer", "feature")
        for rows in stretches(self._rows("", names), _AT_ONCE):
            self._client.insert(self._copy, rows)
        self._client.flush(self._copy)
        self._client.drop_collection(self._name)
        self._client.rename_collection(self._copy, self._name)
        self._load(self._name)

    def _row(self, face: NewFace) -> dict[str, Any]:
        assert self._made is not None
        texts = {
            "id": face.id,
            "person": spelled(face.person),
            "source": face.source,
            "person_id": digest32(spelled(face.person)),
            "recognizer": digest32(self._made["key"]),
        }
        for field, text in texts.items():
            if not 0 < len(text.encode()) <= _BYTES[field]:
                raise UserError(
                    f"expected 1 to {_BYTES[field]} bytes as {field}, got {text[:80]!r}; shorten it"
                )
        feature = np.ascontiguousarray(face.feature, np.float32)
        now = _milliseconds(_now())
        return {**texts, "quality": float(face.quality), "enrolled": now, "feature": feature}

    def _matches(self, hits: Sequence[Mapping[str, Any]], probe: Probe, by: Kind) -> list[Match]:
        """What was found with all scores, computed from the features as everywhere; best first."""
        if not hits:
            return []
        features = np.array([hit["entity"]["feature"] for hit in hits], np.float32)
        scores = probe.against(features)
        found = [
            Match(
                entry=_entry(hit["entity"]),
                by=by,
                scores={kind: float(values[i]) for kind, values in scores.items()},
            )
            for i, hit in enumerate(hits)
        ]
        return sorted(found, key=lambda match: -match.score)

    def _nearest(self, vector: Float32[np.ndarray, " d"], chosen: str, limit: int) -> list[Any]:
        assert self._made is not None
        effort = _EFFORT.get(self._made["index"])
        name, least = effort or ("", 0)
        tries = {name: least if name == "nprobe" else max(least, limit)} if effort else {}
        with said_plainly(self._uri):
            found = self._client.search(
                self._name,
                [vector.astype(np.float32)],
                filter=chosen,
                limit=limit,
                output_fields=[*_ABOUT, "feature"],
                search_params={"metric_type": "IP", "params": tries},
                consistency_level="Strong",
            )
        return list(found[0])

    def _query(self, chosen: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        with said_plainly(self._uri):
            return list(
                self._client.query(
                    self._name, filter=chosen, output_fields=list(fields), consistency_level="Strong"
                )
            )

    def _rows(self, chosen: str, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Rows one after the other, few of them held at a time."""
        if self._made is None:
            return
        with said_plainly(self._uri):
            rows = self._client.query_iterator(
                self._name,
                filter=chosen,
                batch_size=_AT_ONCE,
                output_fields=list(fields),
                consistency_level="Strong",
            )
            while some := rows.next():
                yield from some
            rows.close()

    def _load(self, name: str) -> None:
        with said_plainly(self._uri):
            self._client.load_collection(name)

    def _note(self, what: str, person: str, detail: Mapping[str, Any]) -> None:
        """Writes down what happened."""
        text = json.dumps(detail, default=_milliseconds)
        if len(text) > _DETAIL_BYTES:
            raise UserError(f"too long to be written down: {text[:80]}...")
        row = {
            "id": secrets.token_hex(16),
            "at": _milliseconds(_now()),
            "what": what,
            "person": person,
            "detail": text,
            "none": [0.0, 0.0],
        }
        with said_plainly(self._uri):
            self._client.insert(self._log, [row])

    def _noted(self, what: str) -> list[dict[str, Any]]:
        """What was written down of one kind, oldest first."""
        if self._made is None and what != "made":
            return []
        with said_plainly(self._uri):
            rows = self._client.query(
                self._log,
                filter=f'what == "{what}"',
                output_fields=["at", "detail"],
                consistency_level="Strong",
            )
        return [json.loads(row["detail"]) for row in sorted(rows, key=lambda row: row["at"])]


def _create_faces(client: Any, name: str, dimension: int, index: str) -> None:
    from pymilvus import DataType  # noqa: PLC0415 - an optional extra

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=_BYTES["id"], is_primary=True)
    for field in ("person", "source", "person_id", "recognizer"):
        schema.add_field(field, DataType.VARCHAR, max_length=_BYTES[field])
    schema.add_field("quality", DataType.FLOAT)
    schema.add_field("enrolled", DataType.INT64)
    schema.add_field("feature", DataType.FLOAT_VECTOR, dim=dimension)
    indexes = client.prepare_index_params()
    indexes.add_index("feature", index_type=index, metric_type="IP", params=dict(_PARAMETERS.get(index, {})))
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")


def _create_log(client: Any, name: str) -> None:
    """The collection of what happened; a store wants a vector in each, so there is one that means nothing."""
    from pymilvus import DataType  # noqa: PLC0415 - an optional extra

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=32, is_primary=True)
    schema.add_field("at", DataType.INT64)
    schema.add_field("what", DataType.VARCHAR, max_length=16)
    schema.add_field("person", DataType.VARCHAR, max_length=_BYTES["person"])
    schema.add_field("detail", DataType.VARCHAR, max_length=_DETAIL_BYTES)
    schema.add_field("none", DataType.FLOAT_VECTOR, dim=2)
    indexes = client.prepare_index_params()
    indexes.add_index("none", index_type="FLAT", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")


def _of(person: str) -> str:
    """The filter for one person; by digits, so that no name can mean something else."""
    return f'person_id == "{digest32(spelled(person))}"'


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        id=row["id"],
        person=row["person"],
        source=row["source"],
        quality=float(row["quality"]),
        enrolled=_time(row["enrolled"]),
    )


def _now() -> datetime:
    """To the millisecond, as the store keeps it."""
    return _time(_milliseconds(datetime.now(UTC)))


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
