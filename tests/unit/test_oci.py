"""Container images: what is in them arrives, and a hostile one changes nothing outside."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import tarfile

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _base, _layers, _oci
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

from .containers import Layout, docker_save, layer, link, member, sha256, write_archive

ALL = Filter([], [])


def unpack(path, into, reference=None, limit=_layers.LIMIT):
    """Reads and applies an image; the folder that it lies in afterwards."""
    tree = Tree(into)
    tree.path.mkdir()
    _base.oci_base(path, reference, limit).add(tree, ALL)
    return tree


def image_of(folder, *layers, **rest):
    layout = Layout()
    return layout.finish(layout.image(list(layers), **rest)).as_archive(folder / "image.tar")


def apply(tmp_path, *layers, limit=_layers.LIMIT, **rest):
    return unpack(image_of(tmp_path, *layers, **rest), tmp_path / "root", limit=limit)


def names(tree):
    return sorted(path.relative_to(tree.path).as_posix() for path in tree.path.rglob("*"))


LAYERS = [
    layer(
        member("etc", None), member("etc/a", b"one"), member("etc/b", b"two"), link("l", "etc/a")
    ),
    layer(member("etc/b", b"three", mode=0o4711), member("srv/deep/file", b"x")),
]
CONFIG = {
    "Entrypoint": ["/srv/deep/file"],
    "Cmd": ["--flag"],
    "Env": ["PATH=/srv:/etc", "EMPTY=", "A=b=c"],
    "WorkingDir": "/srv",
    "User": "65534",
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Volumes": {"/srv/data": {}},
    "Labels": {"org.example": "yes"},
}


def save(kind, tmp_path):
    """The same image in each of the shapes that tools write."""
    layout = Layout()
    if kind == "docker save":
        return write_archive(tmp_path / "d.tar", docker_save(LAYERS, CONFIG, ["x:1"]))
    packed = (lambda data: data) if kind == "plain layers" else gzip.compress
    entry = layout.image(LAYERS, CONFIG, packed=packed)
    if kind == "index of platforms":
        entry["platform"] = {"os": "linux", "architecture": "amd64"}
        other = layout.image([], architecture="arm64")
        other["platform"] = {"os": "linux", "architecture": "arm64"}
        proof = layout.image([], architecture="unknown")
        proof["platform"] = {"os": "unknown", "architecture": "unknown"}
        entry = layout.index(other, proof, entry)
    layout.finish(entry)
    return (
        layout.as_folder(tmp_path / "f") if kind == "folder" else layout.as_archive(tmp_path / "a")
    )


@pytest.mark.parametrize(
    "kind", ["folder", "archive", "plain layers", "index of platforms", "docker save"]
)
def test_every_shape_of_an_image_gives_the_same(tmp_path, kind):
    path = save(kind, tmp_path)
    base = _base.oci_base(path, None, _layers.LIMIT)
    tree = unpack(path, tmp_path / "root")
    assert names(tree) == ["etc", "etc/a", "etc/b", "l", "srv", "srv/deep", "srv/deep/file"]
    assert (tree.path / "etc/b").read_bytes() == b"three"
    assert (tree.path / "etc/b").stat().st_mode & 0o7777 == 0o4711
    assert (tree.path / "l").readlink().as_posix() == "etc/a"
    expected = _oci.Config(
        entrypoint=["/srv/deep/file"],
        cmd=["--flag"],
        env={"PATH": "/srv:/etc", "EMPTY": "", "A": "b=c"},
        cwd="/srv",
        user="65534",
        ports=["53/udp", "80/tcp"],
        volumes=["/srv/data"],
        labels={"org.example": "yes"},
    )
    assert base.image.config == expected


def test_the_shape_of_an_image_is_no_part_of_its_identity(tmp_path):
    found = {
        _base.oci_base(save(kind, tmp_path), None, 1).image.digest
        for kind in ("folder", "archive", "plain layers", "index of platforms", "docker save")
    }
    assert len(found) == 1


def test_a_layer_that_docker_saved_once_and_links_to(tmp_path):
    files = docker_save([LAYERS[0], LAYERS[0]], {}, ["x:1"])
    first, second = [name for name in files if name.endswith("layer.tar")]
    del files[second]
    write_archive(tmp_path / "d.tar", files)
    with tarfile.open(tmp_path / "d.tar", "a") as archive:
        archive.addfile(link(second, "../" + first)[0])
    assert "etc/a" in names(unpack(tmp_path / "d.tar", tmp_path / "root"))


def test_several_images_are_told_apart_by_their_reference(tmp_path):
    layout = Layout()
    entries = [
        layout.image([layer(member(tag))], annotations={"org.opencontainers.image.ref.name": tag})
        for tag in ("one", "two")
    ]
    path = layout.finish(*entries).as_archive(tmp_path / "image.tar")
    assert names(unpack(path, tmp_path / "root", "two")) == ["two"]
    with pytest.raises(
        KilnError, match="several images or none; name one with `reference`: one, t"
    ):
        unpack(path, tmp_path / "none")
    with pytest.raises(KilnError, match="has no image three; it holds one, two"):
        unpack(path, tmp_path / "three", "three")


def test_an_image_of_dockers_layout_is_found_by_its_full_name(tmp_path):
    layout = Layout()
    entries = []
    for name in ("redis", "nginx"):
        described = {
            "org.opencontainers.image.ref.name": "latest",
            "io.containerd.image.name": f"docker.io/library/{name}:latest",
        }
        entries.append(layout.image([layer(member(name))], annotations=described))
    path = layout.finish(*entries).as_archive(tmp_path / "image.tar")
    for number, name in enumerate(("docker.io/library/redis:latest", "redis:latest", "redis")):
        assert names(unpack(path, tmp_path / f"root{number}", name)) == ["redis"]
    with pytest.raises(KilnError, match=r"no image latest; it holds docker\.io/library/nginx:lat"):
        unpack(path, tmp_path / "two", "latest")


def test_a_reference_may_be_short_or_whole_for_docker(tmp_path):
    path = write_archive(tmp_path / "d.tar", docker_save(LAYERS, {}, ["example/x:1.2"]))
    for reference in ("example/x:1.2", "1.2"):
        assert _base.oci_base(path, reference, 1).image.layers
    with pytest.raises(KilnError, match=r"no image 1\.3; it holds example/x:1\.2"):
        _base.oci_base(path, "1.3", 1)


# --- whiteouts ------------------------------------------------------------------------------------


def test_a_whiteout_hides_a_file_and_a_whole_folder(tmp_path):
    lower = layer(member("a/x"), member("a/y"), member("b/deep/z"), member("c"))
    upper = layer(member("a/.wh.x"), member(".wh.b"))
    assert names(apply(tmp_path, lower, upper)) == ["a", "a/y", "c"]


def test_an_opaque_folder_hides_what_was_in_it_but_not_what_its_layer_brings(tmp_path):
    lower = layer(member("a/x"), member("a/deep/y"), member("b"))
    upper = layer(member("a/new"), member("a/.wh..wh..opq"), member("a/newer"))
    assert names(apply(tmp_path, lower, upper)) == ["a", "a/new", "a/newer", "b"]


def test_a_whiteout_spares_what_its_own_layer_brings(tmp_path):
    lower = layer(member("a", b"old"))
    upper = layer(member("a", b"new"), member(".wh.a"))
    assert (apply(tmp_path, lower, upper).path / "a").read_bytes() == b"new"


def test_a_whiteout_hides_a_link_and_not_what_it_points_to(tmp_path):
    lower = layer(member("a", b"kept"), link("l", "a"), member("d/x"), link("dl", "d"))
    upper = layer(member(".wh.l"), member(".wh.dl"))
    assert names(apply(tmp_path, lower, upper)) == ["a", "d", "d/x"]


def test_whiteouts_of_what_is_not_there_do_no_harm(tmp_path):
    upper = layer(member(".wh.gone"), member("none/.wh..wh..opq"), member("x"))
    assert names(apply(tmp_path, upper)) == ["x"]


@pytest.mark.parametrize("name", [".wh.", ".wh...", "a/.wh.."])
def test_a_whiteout_of_nothing_is_refused(tmp_path, name):
    with pytest.raises(KilnError, match=r"holds the whiteout .*, which hides nothing"):
        apply(tmp_path, layer(member("a/x")), layer(member(name)))


# --- a layer that means harm ----------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    """A file beside the root that nothing may touch."""
    (tmp_path / "outside").write_text("untouched")
    yield tmp_path / "outside"
    assert (tmp_path / "outside").read_text() == "untouched"
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "image.tar", "root"}


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/../outside", "./.././outside"])
def test_a_path_that_leads_out_is_refused(tmp_path, outside, name):
    with pytest.raises(KilnError, match=r"leads out of the image; such an image is not to be trus"):
        apply(tmp_path, layer(member(name, b"harm")))


def test_a_whiteout_that_leads_out_is_refused(tmp_path, outside):
    with pytest.raises(KilnError, match="leads out of the image"):
        apply(tmp_path, layer(member("../.wh.outside")))


def test_an_absolute_path_means_the_images_root(tmp_path, outside):
    assert names(apply(tmp_path, layer(member("/etc/x", b"1")))) == ["etc", "etc/x"]


@pytest.mark.parametrize("target", ["..", "../..", "/..", "{}"])
def test_writing_through_a_link_that_points_out_stays_inside(tmp_path, outside, target):
    escape = link("l", target.format(tmp_path))
    tree = apply(tmp_path, layer(escape, member("l/outside", b"harm")))
    assert any(name.endswith("outside") for name in names(tree))


def test_writing_over_a_link_replaces_the_link(tmp_path, outside):
    tree = apply(tmp_path, layer(link("l", str(outside))), layer(member("l", b"mine")))
    assert (tree.path / "l").read_bytes() == b"mine"
    assert not (tree.path / "l").is_symlink()


def test_hiding_through_a_link_that_points_out_stays_inside(tmp_path, outside):
    apply(tmp_path, layer(link("l", str(tmp_path))), layer(member("l/.wh.outside")))
    apply_again = layer(link("l", str(tmp_path))), layer(member("l/.wh..wh..opq"))
    unpack(image_of(tmp_path, *apply_again), tmp_path / "root/again")


@pytest.mark.parametrize("target", ["../outside", "/../outside", "no/such/file", "."])
def test_a_hard_link_to_what_is_not_a_file_of_the_image_is_refused(tmp_path, outside, target):
    with pytest.raises(KilnError, match=r"leads out of the image|is not a file of the image"):
        apply(tmp_path, layer(link("h", target, tarfile.LNKTYPE)))


def test_a_hard_link_through_a_link_that_points_out_stays_inside(tmp_path, outside):
    with pytest.raises(KilnError, match="not a file of the image"):
        apply(
            tmp_path,
            layer(link("l", str(tmp_path)), link("h", "l/outside", tarfile.LNKTYPE)),
        )


def test_a_hard_link_to_a_link_is_a_link(tmp_path, outside):
    tree = apply(tmp_path, layer(link("l", str(outside)), link("h", "l", tarfile.LNKTYPE)))
    assert (tree.path / "h").is_symlink()


def test_nodes_pipes_and_owners_are_left_out(tmp_path):
    kinds = {"c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}
    nodes = [member(name, b"", type=kind) for name, kind in kinds.items()]
    assert names(apply(tmp_path, layer(*nodes, member("f", b"", uid=1234)))) == ["f"]


def test_a_circle_of_links_is_named(tmp_path):
    with pytest.raises(KilnError, match="circle of symbolic links"):
        apply(tmp_path, layer(link("a", "b"), link("b", "a"), member("a/x")))


def test_a_file_where_a_folder_must_be_is_named(tmp_path):
    with pytest.raises(KilnError, match=r"cannot be unpacked: (Not a directory|File exists)"):
        apply(tmp_path, layer(member("a", b"file"), member("a/b/c", b"below")))


# --- sizes and digests ----------------------------------------------------------------------------


def test_a_layer_that_unpacks_to_too_much_is_refused_before_it_fills_the_disk(tmp_path):
    bomb = gzip.compress(bytes(64 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(
        KilnError, match=r"unpack to more than 1048576 bytes; if that is meant, rai"
    ):
        apply(tmp_path, bytes(64 << 20), packed=lambda _data: bomb, limit=1 << 20)


def test_the_limit_is_for_all_layers_together(tmp_path):
    layers = [layer(member(str(number), bytes(600_000))) for number in range(2)]
    with pytest.raises(KilnError, match="unpack to more than 1000000 bytes"):
        apply(tmp_path, *layers, limit=1_000_000)


def test_a_sparse_file_counts_with_its_full_size(tmp_path):
    info = member("big")[0]
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "big",
        "GNU.sparse.realsize": str(1 << 40),
    }
    content = b"1\n1099511627775\n1\n".ljust(512, b"\0") + b"x"
    info.size = len(content)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(content))
    with pytest.raises(KilnError, match="unpack to more than 1048576 bytes"):
        apply(tmp_path, out.getvalue(), limit=1 << 20)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_layers, "MEMBERS", 3)
    with pytest.raises(KilnError, match="hold more than 3 files"):
        apply(tmp_path, layer(*(member(str(number)) for number in range(4))))


def test_a_manifest_that_is_too_large_is_refused(tmp_path):
    files = {"index.json": b" " * (5 << 20)}
    with pytest.raises(KilnError, match=r"index\.json in .* is larger than 4194304 bytes"):
        _base.oci_base(write_archive(tmp_path / "i.tar", files), None, 1)


def spoil(tmp_path, choose):
    """Changes one byte of the file that `choose` picks."""
    layout = Layout()
    layout.finish(layout.image(LAYERS, CONFIG))
    name = choose(layout)
    data = bytearray(layout.files[name])
    data[-9] ^= 1
    layout.files[name] = bytes(data)
    return layout.as_archive(tmp_path / "image.tar")


def blob_name(layout, number):
    return list(layout.files)[1 + number]


@pytest.mark.parametrize("number", [0, 1, 2, 3])  # configuration, two layers, manifest
def test_a_changed_blob_is_refused(tmp_path, number):
    path = spoil(tmp_path, lambda layout: blob_name(layout, number))
    with pytest.raises(
        KilnError, match=r"has the digest [0-9a-f]+, not sha256:|cannot be unpacked"
    ):
        unpack(path, tmp_path / "root")


def test_a_layer_that_is_not_what_the_configuration_says_is_refused(tmp_path):
    with pytest.raises(
        KilnError, match=r"unpacks to the digest .* and the image's configuration sa"
    ):
        apply(tmp_path, LAYERS[0], diff_ids=[sha256(LAYERS[1])])
    assert list((tmp_path / "root").iterdir()) == [], "nothing of it was applied"


@pytest.mark.parametrize("digest", ["md5:abc", "sha256:../../../etc/passwd", None, 7])
def test_a_digest_that_is_none_is_refused(tmp_path, digest):
    layout = Layout()
    layout.finish({"mediaType": "x", "digest": digest, "size": 5})
    with pytest.raises(KilnError, match="a SHA-256 or SHA-512 digest and a number are needed"):
        _base.oci_base(layout.as_archive(tmp_path / "image.tar"), None, 1)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_missing_blob_is_named(tmp_path, number):
    layout = Layout()
    layout.finish(layout.image(LAYERS))
    name = blob_name(layout, number)
    del layout.files[name]
    with pytest.raises(KilnError, match=rf"has no {name}"):
        unpack(layout.as_archive(tmp_path / "image.tar"), tmp_path / "root")


def test_a_layout_whose_blob_is_a_link_out_of_it_is_refused(tmp_path):
    layout = Layout()
    layout.finish(layout.image(LAYERS))
    folder = layout.as_folder(tmp_path / "layout")
    blob = folder / blob_name(layout, 1)
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KilnError, match="leads out of that folder"):
        unpack(folder, tmp_path / "root")


# --- what is no image, or none for us -------------------------------------------------------------


def test_an_image_of_another_architecture_is_refused(tmp_path):
    image = image_of(tmp_path, *LAYERS, architecture="arm64")
    with pytest.raises(KilnError, match=r"for linux/arm64; a Kiln guest runs linux/amd64\. Pull"):
        _base.oci_base(image, None, 1)


def test_an_index_without_our_platform_names_those_it_has(tmp_path):
    layout = Layout()
    entries = []
    for system, architecture in (("linux", "s390x"), ("windows", "amd64"), ("unknown", "unknown")):
        entries.append(layout.image([]))
        entries[-1]["platform"] = {"os": system, "architecture": architecture}
    path = layout.finish(layout.index(*entries)).as_archive(tmp_path / "image.tar")
    with pytest.raises(KilnError, match="holds an image for linux/s390x, windows/amd64; a Kiln"):
        _base.oci_base(path, None, 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: None, "There is no container image"),
        (lambda p: p.write_bytes(b"no tar" * 1000), "neither a folder nor an uncompressed tar"),
        (lambda p: p.write_bytes(gzip.compress(b"")), "neither a folder nor an uncompressed tar"),
        (lambda p: p.mkdir(), "neither index.json .* nor manifest.json"),
        (lambda p: write_archive(p, {"index.json": b"{"}), "index.json in .* is not JSON"),
        (lambda p: write_archive(p, {"index.json": b"[]"}), "has list where an object"),
        (lambda p: write_archive(p, {"index.json": b'{"manifests": [[]]}'}), "has list where"),
        (lambda p: write_archive(p, {"index.json": b"{}"}), "several images or none"),
        (lambda p: write_archive(p, {"manifest.json": b'[{"Config": "x"}]'}), "has no x, so it is"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, make, said):
    make(tmp_path / "image.tar")
    with pytest.raises(KilnError, match=said):
        _base.oci_base(tmp_path / "image.tar", None, 1)


def test_a_layer_that_is_no_archive_is_named(tmp_path):
    with pytest.raises(KilnError, match="is not a whole tar archive"):
        apply(tmp_path, b"text" * 1000)


def test_random_damage_never_ends_in_anything_but_a_sentence(tmp_path):
    """Digests are made anew, so that the damage reaches what lies behind them."""
    noise = random.Random(7)
    refused = 0
    for number in range(300):
        data = bytearray(LAYERS[number % 2])
        for _round in range(noise.randrange(1, 6)):
            data[noise.randrange(1536)] = noise.choice([0, 0xFF, 0x2F, 0x2E, noise.randrange(256)])
        layout = Layout()
        text = json.dumps(CONFIG)
        if number % 3 == 0:
            at = noise.randrange(len(text))
            text = text[:at] + noise.choice('[]{}",:1') + text[at + 1 :]
        try:
            config = json.loads(text)
        except ValueError:
            config = CONFIG
        path = layout.finish(layout.image([bytes(data)], config)).as_archive(tmp_path / "i.tar")
        try:
            unpack(path, tmp_path / f"root{number}")
        except KilnError:
            refused += 1
    print(f"refused {refused} of 300")
    assert 30 < refused < 300
    assert {path.name for path in tmp_path.iterdir() if path.name[:4] != "root"} == {"i.tar"}


@pytest.mark.parametrize("tool", ["gzip in two members", "zstd"])
def test_other_ways_to_pack_a_layer(tmp_path, tool, monkeypatch):
    def pack(data):
        if tool == "zstd":
            done = subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True)
            return done.stdout
        return gzip.compress(data[:1000]) + gzip.compress(data[1000:])

    assert "etc/a" in names(apply(tmp_path, *LAYERS, packed=pack))
    if tool == "zstd":
        with pytest.raises(KilnError, match="is damaged"):
            unpack(
                image_of(tmp_path, LAYERS[0], packed=lambda data: pack(data)[:-20]),
                tmp_path / "cut",
            )
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(KilnError, match="is packed with zstd, and there is no zstd here"):
            unpack(tmp_path / "image.tar", tmp_path / "none")


# --- what becomes of the configuration ------------------------------------------------------------


def describe(config, **options):
    return _base.describe({"argv": None, "env": {}, "cwd": "/", "mounts": [], **options}, config)


def test_a_configuration_fills_up_what_is_not_said():
    config = _oci.Config(["/e"], ["c"], {"A": "1", "B": "2"}, "/w", volumes=["/v", "/tmp/"])
    options = describe(config, env={"B": "3"}, mounts=[{"path": "/tmp"}])
    assert options["argv"] == ["/e", "c"]
    assert options["env"] == {"A": "1", "B": "3"}
    assert options["cwd"] == "/w"
    assert options["mounts"] == [{"path": "/tmp"}, {"path": "/v", "type": "tmpfs", "copy": True}]
    assert describe(config, argv=["/mine"])["argv"] == ["/mine"]
    assert describe(config, cwd="/mine")["cwd"] == "/mine"


def test_a_program_is_found_as_a_container_runtime_finds_it(tmp_path):
    tree = Tree(tmp_path)
    (tmp_path / "opt/bin").mkdir(parents=True)
    (tmp_path / "opt/bin/prog").write_text("#!/bin/sh\n")
    app = {"argv": ["prog", "x"], "env": {"PATH": "/usr/bin:/opt/bin"}}
    found = _base.resolve(app, tree)
    assert found["argv"] == ["/opt/bin/prog", "x"]
    assert _base.resolve({"argv": ["./bin/prog"], "cwd": "/opt"}, tree)["argv"] == ["/opt/bin/prog"]
    assert _base.resolve({"argv": ["/as/is"]}, tree)["argv"] == ["/as/is"]
    assert "/opt/bin/prog is a script" in _base.warnings(found, tree)[0]
    with pytest.raises(
        KilnError, match="no program other, which its entrypoint or command names; l"
    ):
        _base.resolve(dict(app, argv=["other"]), tree)


def test_indexes_that_list_each_other_many_times_over_come_to_an_end(tmp_path):
    layout = Layout()
    entry = layout.index()
    for _level in range(6):
        entry = layout.index(*[entry] * 20)
    path = layout.finish(entry).as_archive(tmp_path / "image.tar")
    with pytest.raises(KilnError, match="holds an image for no platform"):
        _base.oci_base(path, None, 1)
