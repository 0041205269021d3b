from __future__ import annotations

import hashlib
import threading

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _module, _store
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store


def test_default_store_prefers_kiln_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "x"))
    assert Store().path == tmp_path / "x"
    monkeypatch.delenv("KILN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store().path == tmp_path / "kiln"


def test_digest_value_does_not_depend_on_key_order():
    assert _store.digest_value({"a": 1, "b": [2]}) == _store.digest_value({"b": [2], "a": 1})
    assert _store.digest_value({"a": 1}) != _store.digest_value({"a": 2})


def test_digest_folder_sees_content_mode_and_links(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text("hello")
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "alias").symlink_to("tool")
    found = _store.digest_folder(tmp_path)
    assert found["sub/file"] == hashlib.sha256(b"hello").hexdigest()
    assert found["tool"].startswith("x:")
    assert found["alias"] == "link:tool"
    skipped = _store.digest_folder(tmp_path, lambda path: path.name == "sub")
    assert "sub/file" not in skipped


def test_publish_then_manifest_then_remove(store_path):
    store = Store(store_path)
    with store.scratch() as scratch:
        made = scratch / "made"
        made.mkdir()
        (made / "data").write_bytes(b"12345")
        place = store.publish("images", "a" * 64, made, {"name": "x"})
    assert (place / "data").read_bytes() == b"12345"
    manifest = store.manifest("images", "a" * 64)
    assert manifest is not None
    assert manifest["name"] == "x"
    assert manifest["files"] == {"data": 5}
    store.set_current("images", "x", "a" * 64)
    assert store.names("images") == {"x": "a" * 64}
    store.remove("images", "a" * 64)
    assert store.manifest("images", "a" * 64) is None
    assert store.current("images", "x") is None
    assert list((store_path / "scratch").iterdir()) == []


def test_a_thing_with_a_cut_file_is_not_there(store_path):
    store = Store(store_path)
    with store.scratch() as scratch:
        (scratch / "m").mkdir()
        (scratch / "m/data").write_bytes(b"12345")
        place = store.publish("images", "b" * 64, scratch / "m", {})
    (place / "data").write_bytes(b"123")
    assert store.manifest("images", "b" * 64) is None


def test_lock_keeps_a_second_maker_out(store_path):
    store = Store(store_path)
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with Store(store_path).lock("k"):
            order.append("second")

    with store.lock("k"):
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(5)
        thread.join(timeout=0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(timeout=5)
    assert order == ["first", "second"]


@pytest.mark.parametrize("name", ["0" * 64, "f" * 64])
def test_identity_of_an_addressed_file_is_its_folder(tmp_path, name):
    assert _store.identity(tmp_path / name / "kiln.elf") == name


def test_identity_of_another_file_is_its_content(tmp_path):
    (tmp_path / "kiln.elf").write_bytes(b"k")
    assert _store.identity(tmp_path / "kiln.elf") == hashlib.sha256(b"k").hexdigest()


def test_a_store_that_cannot_be_used_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file/store")
    with pytest.raises(NotADirectoryError) as caught, store.scratch():
        pass
    said = _module.system_sentence(caught.value, store)
    assert said.startswith(
        f"The store {store.path} cannot be used: {store.path}/scratch: Not a dir"
    )
    assert "KILN_CACHE" in said
    full = _module.system_sentence(OSError(28, "No space left on device"), store)
    assert full.startswith("The disk is full ([Errno 28] No space left on device). Make room there")
    other = FileNotFoundError(2, "No such file or directory", "/nope")
    assert _module.system_sentence(other, store) == "/nope: No such file or directory."
