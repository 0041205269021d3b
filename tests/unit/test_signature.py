"""Signatures on images, by both programs: a good one passes, everything else is refused."""

from __future__ import annotations

import json
import subprocess

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _provenance, _signature
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, digest_file

KINDS = ["ssh-ed25519", "ssh-ecdsa", "minisign"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_keys(folder, kind, passphrase=""):
    """A private and a public key."""
    folder.mkdir(exist_ok=True)
    private, public = folder / "key", folder / "key.pub"
    if kind == "minisign":
        words = [] if passphrase else ["-W"]
        command = ["minisign", "-G", "-f", *words, "-p", public, "-s", private]
        answers = f"{passphrase}\n{passphrase}\n"
        subprocess.run(command, input=answers, text=True, check=True, capture_output=True)
    else:
        kind = kind.removeprefix("ssh-")
        command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", private]
        subprocess.run(command, check=True, capture_output=True)
    return private, public


@pytest.fixture
def image(tmp_path):
    """A folder as a bake leaves it, with one file and its statement."""
    folder = tmp_path / "an image"
    folder.mkdir()
    (folder / "root.erofs").write_bytes(b"content" * 1000)
    statement = {
        "_type": _provenance.STATEMENT,
        "subject": [
            {"name": "root.erofs", "digest": {"sha256": digest_file(folder / "root.erofs")}}
        ],
    }
    (folder / "provenance.json").write_text(json.dumps(statement))
    return folder


def sign(image, private, passphrase=None):
    signer = _signature.signer(private)
    signer.place(image).write_bytes(signer.sign(image / "provenance.json", passphrase))
    return signer.place(image)


@each_kind
def test_a_signed_image_passes(image, tmp_path, kind):
    private, public = make_keys(tmp_path / "keys", kind)
    place = sign(image, private)
    assert place.name == "provenance.json" + (".minisig" if kind == "minisign" else ".sig")
    assert _signature.check(image, public) == {"root.erofs": digest_file(image / "root.erofs")}


@each_kind
def test_a_signature_is_known_as_that_of_its_key(image, tmp_path, kind):
    private = make_keys(tmp_path / "keys", kind)[0]
    other = make_keys(tmp_path / "other", kind)[0]
    place = sign(image, private)
    statement = image / "provenance.json"
    assert _signature.signer(private).is_ours(statement, place, None)
    assert not _signature.signer(other).is_ours(statement, place, None)
    statement.write_text("{}")
    assert not _signature.signer(private).is_ours(statement, place, None)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa", "minisign"])
def test_the_same_key_gives_the_same_signature(image, tmp_path, kind):
    private = make_keys(tmp_path / "keys", kind)[0]
    assert sign(image, private).read_bytes() == sign(image, private).read_bytes()


@pytest.mark.parametrize("kind", ["ssh-ed25519", "minisign"])
def test_a_passphrase_opens_a_key_and_a_wrong_one_is_named(image, tmp_path, kind):
    private, public = make_keys(tmp_path / "keys", kind, "pass phrase")
    sign(image, private, "pass phrase")
    assert _signature.check(image, public)
    for wrong in ("wrong", None):
        with pytest.raises(KilnError, match=r"cannot sign with the key .*Is `passphrase` right\?"):
            sign(image, private, wrong)


@each_kind
def test_another_key_is_refused(image, tmp_path, kind):
    private = make_keys(tmp_path / "keys", kind)[0]
    stranger = make_keys(tmp_path / "other", kind)[1]
    sign(image, private)
    with pytest.raises(KilnError, match=r"is no signature of the key .*Do not use this image"):
        _signature.check(image, stranger)


@each_kind
def test_an_unsigned_image_is_refused(image, tmp_path, kind):
    public = make_keys(tmp_path / "keys", kind)[1]
    with pytest.raises(KilnError, match="so nobody signed it with a key of this kind"):
        _signature.check(image, public)


@each_kind
def test_a_file_that_was_changed_after_signing_is_refused(image, tmp_path, kind):
    private, public = make_keys(tmp_path / "keys", kind)
    sign(image, private)
    with (image / "root.erofs").open("r+b") as stream:
        stream.truncate(4096)
    with pytest.raises(KilnError, match=r"root\.erofs is not the file that"):
        _signature.check(image, public)


@each_kind
def test_a_statement_that_was_changed_after_signing_is_refused(image, tmp_path, kind):
    private, public = make_keys(tmp_path / "keys", kind)
    sign(image, private)
    (image / "root.erofs").write_bytes(b"other")
    statement = image / "provenance.json"
    value = json.loads(statement.read_text())
    value["subject"][0]["digest"]["sha256"] = digest_file(image / "root.erofs")
    statement.write_text(json.dumps(value))
    with pytest.raises(KilnError, match="the statement was changed after it was signed"):
        _signature.check(image, public)


@each_kind
def test_a_damaged_signature_is_refused(image, tmp_path, kind):
    private, public = make_keys(tmp_path / "keys", kind)
    place = sign(image, private)
    lines = place.read_text().splitlines()
    lines[1] = lines[1][:20] + ("A" if lines[1][20] != "A" else "B") + lines[1][21:]
    place.write_text("\n".join(lines) + "\n")
    with pytest.raises(KilnError, match="is no signature of the key"):
        _signature.check(image, public)


def test_a_signature_for_something_else_is_refused(image, tmp_path):
    """The same ssh key may sign commits; such a signature is none on an image."""
    private, public = make_keys(tmp_path / "keys", "ssh-ed25519")
    command = ["ssh-keygen", "-Y", "sign", "-f", private, "-n", "git"]
    data = (image / "provenance.json").read_bytes()
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    (image / "provenance.json.sig").write_bytes(done.stdout)
    with pytest.raises(KilnError, match="is no signature of the key"):
        _signature.check(image, public)


def test_one_of_several_keys_is_enough(image, tmp_path):
    private, public = make_keys(tmp_path / "keys", "ssh-ed25519")
    stranger = make_keys(tmp_path / "other", "ssh-ed25519")[1]
    sign(image, private)
    both = tmp_path / "both"
    both.write_text("# ours\n" + stranger.read_text() + public.read_text())
    assert _signature.check(image, both)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), ("text", "neither a key of OpenSSH nor one of mini")],
)
def test_what_is_no_key_is_named(tmp_path, content, said):
    if content:
        (tmp_path / "key").write_text(content)
    with pytest.raises(KilnError, match=said):
        _signature.signer(tmp_path / "key")


def test_a_folder_without_a_statement_is_named(tmp_path):
    public = make_keys(tmp_path / "keys", "ssh-ed25519")[1]
    with pytest.raises(KilnError, match=r"has no provenance\.json, so it is no image"):
        _signature.check(tmp_path, public)


@each_kind
def test_a_missing_program_is_named(image, tmp_path, monkeypatch, kind):
    private, public = make_keys(tmp_path / "keys", kind)
    sign(image, private)
    monkeypatch.setenv("PATH", "/nowhere")
    package = "minisign" if kind == "minisign" else "openssh-client"
    with pytest.raises(KilnError, match=f"on Debian install the package {package}"):
        _signature.check(image, public)
