import numpy as np
import pytest

from pcfh.errors import UserError
from pcfh.images import read_image
from pcfh.preparation.manifest import open_prepared
from pcfh.recognisers import features
from pcfh.recognisers.alignment import Alignment
from pcfh.recognisers.base import l2_normalize
from pcfh.recognisers.features import FeatureCache, digest_of, extract, recognizer_crops

CROPS = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), np.uint8)


class Means:
    """A recogniser by colour that counts what it computes."""

    name = "means"
    alignment = Alignment(convention="arcface", size=16)

    def __init__(self, key="means-1"):
        self.key, self.batches = key, []

    def features(self, crops, modality="VIS"):
        self.batches.append(len(crops))
        return l2_normalize(crops.mean((1, 2)).astype(np.float32), "means")


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_features_are_the_same_whatever_the_batch(batch):
    recognizer = Means()
    rows = extract(recognizer, CROPS, batch=batch)
    np.testing.assert_array_equal(rows, Means().features(CROPS))
    assert max(recognizer.batches) <= batch


def test_what_is_in_the_cache_is_not_computed_again(tmp_path):
    first = extract(Means(), CROPS, cache=tmp_path)
    again = Means()
    np.testing.assert_array_equal(extract(again, CROPS, cache=tmp_path), first)
    assert again.batches == []


def test_only_new_crops_are_computed(tmp_path):
    extract(Means(), CROPS[:5], cache=tmp_path)
    recognizer = Means()
    np.testing.assert_array_equal(
        extract(recognizer, CROPS[::-1], cache=tmp_path), Means().features(CROPS[::-1])
    )
    assert recognizer.batches == [2]


def test_equal_crops_are_computed_once(tmp_path):
    recognizer = Means()
    rows = extract(recognizer, CROPS[[0, 1, 0, 0]], cache=tmp_path)
    np.testing.assert_array_equal(rows[[0, 2, 3]], rows[[0, 0, 0]])
    assert recognizer.batches == [2]


def test_another_recogniser_has_a_cache_of_its_own(tmp_path):
    extract(Means(), CROPS, cache=tmp_path)
    other = Means("means-2")
    extract(other, CROPS, cache=tmp_path)
    assert other.batches == [7]


def shortened(data):
    return data[:-1]


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("damage", [shortened, flipped, lambda data: b""], ids=["cut", "bit", "empty"])
def test_a_damaged_file_of_the_cache_is_computed_again(tmp_path, damage):
    expected = extract(Means(), CROPS, cache=tmp_path)
    (part,) = tmp_path.rglob("*.safetensors")
    part.write_bytes(damage(part.read_bytes()))
    recognizer = Means()
    np.testing.assert_array_equal(extract(recognizer, CROPS, cache=tmp_path), expected)
    assert recognizer.batches == [7]


def test_after_the_repair_the_cache_is_whole(tmp_path):
    extract(Means(), CROPS, cache=tmp_path)
    (part,) = tmp_path.rglob("*.safetensors")
    part.write_bytes(b"")
    extract(Means(), CROPS, cache=tmp_path)
    again = Means()
    extract(again, CROPS, cache=tmp_path)
    assert again.batches == []


def test_a_stopped_extraction_keeps_what_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "PART", 2)

    def stopping():
        yield from CROPS[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(Means(), stopping(), cache=tmp_path)
    again = Means()
    extract(again, CROPS, cache=tmp_path)
    assert sum(again.batches) == 3


def test_each_modality_has_a_cache_of_its_own(tmp_path):
    extract(Means(), CROPS, "VIS", cache=tmp_path)
    nir = Means()
    extract(nir, CROPS, "NIR", cache=tmp_path)
    assert nir.batches == [7]


def test_no_crops_are_refused():
    with pytest.raises(UserError, match="at least one face"):
        extract(Means(), [])


def test_the_digest_of_a_crop_changes_with_one_pixel():
    other = CROPS[0].copy()
    other[0, 0, 0] ^= 1
    assert digest_of(other) != digest_of(CROPS[0])


def test_an_unknown_crop_is_not_in_the_cache(tmp_path):
    cache = FeatureCache(tmp_path, "key")
    cache.add([digest_of(CROPS[0])], np.ones((1, 3), np.float32))
    assert digest_of(CROPS[0]) in cache
    assert digest_of(CROPS[1]) not in cache


def test_prepared_crops_come_cut_for_the_recogniser(drawn_prepared):
    database = open_prepared(drawn_prepared, 64)
    same = Alignment(convention="lightcnn", size=64)
    cut = list(recognizer_crops(database.root, database.records[:2], same))
    expected = [read_image(database.root / record.path) for record in database.records[:2]]
    np.testing.assert_array_equal(cut, expected)
