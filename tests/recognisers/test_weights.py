import io
import pickle
import struct
from collections import OrderedDict
from typing import ClassVar

import pytest
import safetensors.torch
import torch
from torch import Tensor

from pcfh.errors import UserError
from pcfh.recognisers.lightcnn.network import ARCHITECTURES, build_lightcnn
from pcfh.recognisers.lightcnn.weights import load_recognizer

EACH = pytest.mark.parametrize("arch", ARCHITECTURES)


def state(arch="lightcnn9", classes=7):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return build_lightcnn(arch, classes).state_dict()


def published(tensors):
    prefixed = OrderedDict((f"module.{key}", tensor) for key, tensor in tensors.items())
    return {"epoch": 80, "arch": "LightCNN", "state_dict": prefixed, "prec1": 97.5}


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


class Python2Pickler(pickle._Pickler):
    """Writes as Python 2.7 and torch 0.2 did: byte strings, storages on a GPU, tensors without hooks."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_str(self, text):
        self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode())
        self.memoize(text)

    dispatch[str] = save_str

    def reducer_override(self, value):
        if not isinstance(value, Tensor):
            return NotImplemented
        storage = value.untyped_storage()
        return torch._utils._rebuild_tensor, (storage, 0, tuple(value.shape), value.stride())

    def persistent_id(self, value):
        if not isinstance(value, torch.UntypedStorage):
            return None
        return ("storage", torch.cuda.FloatStorage, str(id(value)), "cuda:0", len(value) // 4, None)


def write_like_torch_02(path, content):
    tensors = {str(id(t.untyped_storage())): t for t in content["state_dict"].values()}
    with path.open("wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(part, file, 2)
        Python2Pickler(file, 2).dump(content)
        pickle.dump(list(tensors), file, 2)
        for tensor in tensors.values():
            file.write(struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes())
    return path


@EACH
def test_a_file_in_the_published_form_gives_its_weights(arch, tmp_path):
    tensors = state(arch)
    model = load_recognizer(saved(tmp_path / "a.pth.tar", published(tensors)), head=True)
    assert type(model) is ARCHITECTURES[arch]
    torch.testing.assert_close(dict(model.state_dict()), dict(tensors), rtol=0, atol=0)


def test_a_checkpoint_of_python_2_and_torch_02_from_a_gpu_gives_its_weights(tmp_path):
    path = write_like_torch_02(tmp_path / "a.pth.tar", published(state()))
    model = load_recognizer(path, head=True)
    torch.testing.assert_close(dict(model.state_dict()), dict(state()), rtol=0, atol=0)


@EACH
def test_the_head_is_left_out_unless_asked_for(arch, tmp_path):
    model = load_recognizer(saved(tmp_path / "a.pt", state(arch)))
    assert [key for key in state(arch) if key not in model.state_dict()] in (
        ["fc2.weight", "fc2.bias"],
        ["fc2.weight"],
    )


def test_a_file_without_head_loads_with_head_asked_for(tmp_path):
    assert load_recognizer(saved(tmp_path / "a.pt", state(classes=None)), head=True).fc2 is None


def test_loading_leaves_the_random_numbers_alone(tmp_path):
    path, before = saved(tmp_path / "a.pt", state()), torch.get_rng_state()
    load_recognizer(path)
    assert torch.equal(torch.get_rng_state(), before)


class Bomb:
    """Makes a file when it is unpickled by an unwary reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def bombs(path):
    bomb = {"state_dict": state(), "extra": Bomb(path)}
    zipped, legacy = io.BytesIO(), io.BytesIO()
    torch.save(bomb, zipped)
    torch.save(bomb, legacy, _use_new_zipfile_serialization=False)
    return {
        "zip": zipped.getvalue(),
        "legacy": legacy.getvalue(),
        "plain 2": pickle.dumps(Bomb(path), 2),
        "plain 4": pickle.dumps(Bomb(path), 4),
    }


def test_the_bomb_goes_off_when_unpickled(tmp_path):
    pickle.loads(bombs(tmp_path / "boom")["plain 2"]).close()
    assert (tmp_path / "boom").exists()


@pytest.mark.parametrize("form", ["zip", "legacy", "plain 2", "plain 4"])
def test_a_pickle_bomb_is_refused_and_not_run(form, tmp_path):
    (tmp_path / "evil.pt").write_bytes(bombs(tmp_path / "boom")[form])
    with pytest.raises(UserError, match=r"evil\.pt: refused, and nothing in it was run"):
        load_recognizer(tmp_path / "evil.pt")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("modern", [True, False])
def test_a_file_cut_short_is_called_so(share, modern, tmp_path):
    path = saved(tmp_path / "a.pt", state(), _use_new_zipfile_serialization=modern)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"a\.pt: (damaged or cut short|refused, and nothing)"):
        load_recognizer(path)


def test_a_safetensors_file_cut_short_is_called_damaged(tmp_path):
    content = safetensors.torch.save({"fc1.filter.weight": torch.zeros(512, 8192)})
    (tmp_path / "a.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.safetensors: damaged"):
        load_recognizer(tmp_path / "a.safetensors")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pt: no such file"):
        load_recognizer(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"state_dict": {"a": 1}}, {"state_dict": None}])
def test_a_file_of_other_things_is_refused(content, tmp_path):
    with pytest.raises(UserError, match=r"a\.pt: expected a dict of tensors by name"):
        load_recognizer(saved(tmp_path / "a.pt", content))


def test_the_weights_of_another_network_are_named(tmp_path):
    path = saved(tmp_path / "a.pt", {"stem.weight": torch.zeros(1), "stem.bias": torch.zeros(1)})
    with pytest.raises(UserError, match=r"weights of a Light CNN, got stem\.weight, stem\.bias$"):
        load_recognizer(path)


def test_missing_weights_are_named(tmp_path):
    tensors = state("lightcnn29")
    del tensors["group2.conv.filter.bias"]
    with pytest.raises(UserError, match=r"weights of lightcnn29; missing: group2\.conv\.filter\.bias$"):
        load_recognizer(saved(tmp_path / "a.pt", tensors))


def test_of_many_unexpected_weights_the_first_are_named_and_all_counted(tmp_path):
    tensors = state() | {f"extra{i}": torch.zeros(1) for i in range(5)}
    with pytest.raises(UserError, match=r"unexpected: extra0, extra1, extra2, \.\.\. \(5 in all\)$"):
        load_recognizer(saved(tmp_path / "a.pt", tensors))


def test_weights_of_another_shape_are_named_with_both_shapes(tmp_path):
    tensors = state() | {"fc1.filter.bias": torch.zeros(256)}
    with pytest.raises(UserError, match=r"of another shape: fc1\.filter\.bias \(256,\) for \(512,\)$"):
        load_recognizer(saved(tmp_path / "a.pt", tensors))


@pytest.mark.parametrize(
    ("save", "name"), [(torch.save, "a.pt"), (safetensors.torch.save_file, "a.safetensors")]
)
def test_bare_weights_of_either_kind_of_file_are_read(tmp_path, save, name):
    save(state(), tmp_path / name)
    model = load_recognizer(tmp_path / name, head=True)
    torch.testing.assert_close(dict(model.state_dict()), dict(state()), rtol=0, atol=0)


def test_a_recogniser_is_for_use_in_32_bits_whatever_its_file_holds(tmp_path):
    halves = {key: tensor.half() for key, tensor in state().items()}
    model = load_recognizer(saved(tmp_path / "a.pt", halves))
    assert not model.training
    assert {(p.dtype, p.requires_grad) for p in model.parameters()} == {(torch.float32, False)}
