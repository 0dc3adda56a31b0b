# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `vips`."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.meshsmith.universal.plugins.action import vips as action
from ansible_collections.meshsmith.universal.plugins.modules import vips as documentation
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

ROOT = pathlib.Path(__file__).resolve().parents[4]
FILE = "mesh/virtual-ips-default.yaml"
ADDRESSES = {"backend": "252.29.109.30", "web": "246.130.144.169"}
HEADER = """\
# Written by the playbook meshsmith.universal.vips. Keep it under version control: it is what the services' addresses
# are remembered by. Where branches conflict, keep the lines of both sides and run the playbook.
---
type: VirtualIPs
mesh: default
cidr: 240.0.0.0/4
"""
REDIRECTED = {"redirectPortInbound": 15006, "redirectPortOutbound": 15001}


@pytest.fixture
def site(tmp_path):
    """A directory with a playbook's mesh of three dataplanes, which offer backend and web."""
    shutil.copytree(ROOT / "playbooks" / "files" / "demo" / "mesh", tmp_path / "mesh")
    return tmp_path


@pytest.fixture
def vips(run_action, site):
    def run(check=False, diff=False, task_vars=None, **options):
        options = {"mesh": str(site / "mesh"), **options}
        return run_action(action.ActionModule, options, check=check, diff=diff, task_vars=task_vars)

    return run


def dataplane(site, name, service, *, file=None, mesh="default", **networking):
    """Add a dataplane that offers a service."""
    inbound = {"port": 8080, "serviceAddress": "127.0.0.1", "tags": {"kuma.io/service": service}}
    document = {
        "type": "Dataplane",
        "mesh": mesh,
        "name": name,
        "networking": {"address": "192.0.2.1", "inbound": [inbound], **networking},
    }
    (site / (file or f"mesh/dataplanes/{name}.yaml")).write_text(yaml.safe_dump(document))
    return document


def table(site, *lines, file=FILE, cidr="240.0.0.0/4"):
    text = "".join(f"  {line}\n" for line in lines)
    (site / file).write_text(f"type: VirtualIPs\nmesh: default\ncidr: {cidr}\nservices:\n{text}")


def services(site, file=FILE):
    return yaml.safe_load((site / file).read_text())["services"]


def inventory(*hosts, **variables):
    return {
        "groups": {"mesh": list(hosts)},
        "hostvars": {host: variables.get(host.replace("-", "_"), {}) for host in hosts},
    }


def test_every_service_gets_an_address(vips, site):
    result = vips()
    assert result["changed"]
    assert result["file"] == str(site / FILE)
    assert (result["mesh"], result["cidr"]) == ("default", "240.0.0.0/4")
    assert result["added"] == ADDRESSES
    assert (result["kept"], result["moved"], result["forgotten"], result["gone"]) == ({}, {}, {}, [])
    assert (result["msg"], result["findings"]) == ("no findings", [])
    assert result["counts"] == {"error": 0, "warning": 0, "notice": 0}
    assert (site / FILE).read_text() == HEADER + "services:\n  backend: 252.29.109.30\n  web: 246.130.144.169\n"


def test_a_second_run_changes_nothing(vips, site):
    vips()
    before = (site / FILE).stat()
    result = vips(diff=True)
    assert not result["changed"]
    assert "diff" not in result
    assert (result["added"], result["kept"]) == ({}, ADDRESSES)
    assert (site / FILE).stat() == before


def test_check_mode_says_the_same_and_writes_nothing(vips, site):
    result = vips(check=True, diff=True)
    assert result["changed"]
    assert result["added"] == ADDRESSES
    assert not (site / FILE).exists()
    written = vips(diff=True)
    assert written == result
    assert written["diff"] == {
        "before_header": str(site / FILE),
        "after_header": str(site / FILE),
        "before": "",
        "after": (site / FILE).read_text(),
    }


def test_services_are_added_and_those_that_are_gone_remembered(vips, site):
    vips()
    (site / "mesh/dataplanes/web.yaml").unlink()
    dataplane(site, "cart-1", "cart")
    result = vips()
    assert list(result["added"]) == ["cart"]
    assert result["kept"] == ADDRESSES
    assert result["gone"] == ["web"]
    assert list(services(site)) == ["backend", "cart", "web"]


def test_who_is_gone_is_forgotten_when_asked(vips, site):
    vips()
    (site / "mesh/dataplanes/web.yaml").unlink()
    result = vips(forget=True, diff=True)
    assert result["forgotten"] == {"web": ADDRESSES["web"]}
    assert (result["kept"], result["gone"]) == ({"backend": ADDRESSES["backend"]}, [])
    assert result["diff"]["before"].replace("  web: 246.130.144.169\n", "") == result["diff"]["after"]
    assert not vips(forget=True)["changed"]


def test_in_a_slice_nobody_is_forgotten(vips):
    with pytest.raises(AnsibleActionFail, match="forget needs the whole fleet"):
        vips(forget=True, slice=True)


def test_services_of_host_variables_have_addresses_too(vips):
    own = {"address": "192.0.2.9", "inbound": [{"port": 80, "tags": {"kuma.io/service": "cart"}}]}
    hosts = inventory("cart-1", "web", cart_1={"mesh_dataplane": own})
    assert list(vips(task_vars=hosts)["added"]) == ["backend", "cart", "web"]
    assert not vips(task_vars=inventory("web"), slice=True)["changed"]
    assert vips(task_vars=inventory("web"), slice=True)["gone"] == ["cart"]


def test_another_range_moves_services(vips, site):
    vips()
    result = vips(cidr="10.240.0.0/16")
    assert result["cidr"] == "10.240.0.0/16"
    assert {service: moved["before"] for service, moved in result["moved"].items()} == ADDRESSES
    assert {service: moved["after"] for service, moved in result["moved"].items()} == services(site)
    assert "cidr: 10.240.0.0/16\n" in (site / FILE).read_text()
    assert not vips()["changed"]


# --- what it repairs, and what it leaves to people --------------------------------------------------------------------


def test_a_missing_address_is_no_obstacle(vips, site):
    dataplane(site, "cart-1", "cart", transparentProxying=REDIRECTED)
    assert vips()["counts"]["error"] == 0
    dataplane(site, "stock-1", "stock")
    assert list(vips()["added"]) == ["stock"]


def test_an_address_that_two_have_stays_with_the_first_by_name(vips, site):
    dataplane(site, "cart-1", "cart", transparentProxying=REDIRECTED)
    table(site, "web: 240.0.0.7", "cart: 240.0.0.9", "backend: 240.0.0.7")
    result = vips()
    assert result["kept"] == {"backend": "240.0.0.7", "cart": "240.0.0.9"}
    assert result["moved"] == {"web": {"before": "240.0.0.7", "after": ADDRESSES["web"]}}
    assert services(site) == {"backend": "240.0.0.7", "cart": "240.0.0.9", "web": ADDRESSES["web"]}


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("mesh/mesh.yaml", "type: Mesh\nname: default\nmtls: {}\n", "MESH009"),
        ("mesh/other.yaml", "type: Dataplane\nmesh: none\nname: a\nnetworking: {address: 192.0.2.1}\n", "MESH028"),
        ("mesh/second.yaml", "type: VirtualIPs\nmesh: default\n", "MESH030"),
        ("mesh/none.yaml", "type: VirtualIPs\nmesh: none\n", "MESH031"),
        (FILE, "type: VirtualIPs\nmesh: default\nservices: {cart: 10.0.0.1}\n", "MESH241"),
        (FILE, "type: VirtualIPs\nmesh: default\nservices:\n<<<<<<< ours\n  web: 240.0.0.1\n", "MESH002"),
        (FILE, "type: VirtualIPs\nmesh: default\nservices: {cart: 240.0.0.1, cart: 240.0.0.2}\n", "MESH003"),
        (FILE, "type: VirtualIPs\nmesh: default\ncidr: 10.0.0.0\n", "MESH240"),
    ],
)
def test_with_other_errors_nothing_is_written(vips, site, file, text, code):
    if file != FILE:
        table(site, "backend: 240.0.0.7", "web: 240.0.0.7")
    (site / file).write_text(text)
    before = (site / FILE).read_text()
    with pytest.raises(AnsibleActionFail, match=f"No virtual IPs were written: 1 error.*\n.*{code}") as caught:
        vips(mesh_name="default")
    assert [finding["code"] for finding in caught.value.result["findings"]] == [code]
    assert (site / FILE).read_text() == before


def test_errors_are_found_that_a_shared_address_hides(vips, site):
    table(site, "backend: 240.0.0.7", "web: 240.0.0.7")
    dataplane(site, "cart-1", "cart", mesh="none")
    with pytest.raises(AnsibleActionFail, match=r"1 error\n.*MESH031"):
        vips(mesh_name="default")
    with pytest.raises(
        AnsibleActionFail, match="there are several meshes, one has to be named: default, none; 1 error"
    ):
        vips()


def test_a_range_with_an_address_of_a_host_is_refused(vips, site):
    with pytest.raises(AnsibleActionFail, match=r"MESH240 cidr: 127\.|cidr must not hold addresses of 127\.0\.0\.0/8"):
        vips(cidr="127.0.0.0/8")
    dataplane(site, "cart-1", "cart")
    with pytest.raises(AnsibleActionFail, match=r"MESH240 cidr: 192\.0\.2\.0/24 must not hold 192\.0\.2\.1"):
        vips(cidr="192.0.2.0/24")
    assert not (site / FILE).exists()


def test_a_range_without_addresses_left_says_so(vips, site):
    dataplane(site, "cart-1", "cart", transparentProxying=REDIRECTED)
    with pytest.raises(AnsibleActionFail, match=r"the range 10\.0\.0\.0/30 has 2 addresses, .* 3 more are needed"):
        vips(cidr="10.0.0.0/30")
    assert not (site / FILE).exists()


def test_a_service_without_a_name_is_told(vips, site):
    dataplane(site, "cart-1", "cart:80")
    assert "MESH244" in vips()["msg"]
    assert '  "cart:80": ' in (site / FILE).read_text()


def test_a_mesh_without_services_needs_no_file(vips, site):
    shutil.rmtree(site / "mesh/dataplanes")
    result = vips()
    assert not result["changed"]
    assert not (site / FILE).exists()


# --- where the file is ------------------------------------------------------------------------------------------------


def test_the_file_is_where_the_addresses_are(vips, site):
    table(site, "web: 240.0.0.7", file="mesh/addresses.yml")
    assert vips()["file"] == str(site / "mesh/addresses.yml")
    assert services(site, "mesh/addresses.yml")["web"] == "240.0.0.7"
    assert not vips(file="mesh/addresses.yml")["changed"]
    with pytest.raises(AnsibleActionFail, match=r"are in .*/mesh/addresses\.yml: name that file, or move it"):
        vips(file="mesh/others.yaml")


def test_a_file_of_the_mesh_may_be_named(vips, site):
    mesh = ["mesh/mesh.yaml", "mesh/dataplanes", "addresses.yaml"]
    assert vips(mesh=mesh, file="addresses.yaml")["added"] == ADDRESSES
    assert not vips(mesh=mesh, file="addresses.yaml")["changed"]
    assert not vips(mesh=mesh)["changed"]
    assert services(site, "addresses.yaml") == ADDRESSES


@pytest.mark.parametrize("mesh", ["mesh/dataplanes/web.yaml", ["mesh", "mesh/dataplanes"]])
def test_the_file_must_be_named_where_the_mesh_is_not_one_directory(vips, mesh):
    with pytest.raises(AnsibleActionFail, match="file is required, as mesh is not one directory"):
        vips(mesh=mesh)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("addresses.yaml", "is not a part of the mesh, and nobody would read it"),
        ("mesh/.addresses.yaml", "is not a part of the mesh, and nobody would read it"),
        ("mesh/addresses.json", "file must end in .yaml or .yml"),
        ("mesh/none/addresses.yaml", "Cannot keep the virtual IPs in .*: No such file or directory"),
        ("mesh/mesh.yaml", "mesh.yaml is there, and holds no virtual IPs of the mesh 'default'"),
    ],
)
def test_a_file_of_no_use_is_refused(vips, site, file, message):
    before = {path: path.read_bytes() for path in (site / "mesh").rglob("*.yaml")}
    with pytest.raises(AnsibleActionFail, match=message):
        vips(file=file)
    assert {path: path.read_bytes() for path in (site / "mesh").rglob("*") if path.is_file()} == before


def test_documents_are_read_together_with_the_file(vips, site):
    documents = [yaml.safe_load(path.read_text()) for path in sorted((site / "mesh").rglob("*.yaml"))]
    with pytest.raises(AnsibleActionFail, match="file is required"):
        vips(mesh=documents)
    assert vips(mesh=documents, file="addresses.yaml")["added"] == ADDRESSES
    assert not vips(mesh=documents, file="addresses.yaml")["changed"]
    own = yaml.safe_load((site / "addresses.yaml").read_text())
    (site / "addresses.yaml").unlink()
    with pytest.raises(AnsibleActionFail, match="a variable holds virtual IPs of the mesh 'default'"):
        vips(mesh=[*documents, own], file="addresses.yaml")


def test_other_documents_in_the_file_are_not_lost(vips, site):
    table(site, "web: 240.0.0.7")
    with open(site / FILE, "a", encoding="utf-8") as stream:
        stream.write("---\ntype: Mesh\nname: other\n")
    with pytest.raises(AnsibleActionFail, match="holds other documents too: give the virtual IPs a file of their own"):
        vips(mesh_name="default")


def test_of_several_meshes_one_has_to_be_named(vips, site):
    (site / "mesh/other.yaml").write_text("type: Mesh\nname: other\n")
    dataplane(site, "cart-1", "cart", mesh="other", transparentProxying=REDIRECTED)
    with pytest.raises(AnsibleActionFail, match="there are several meshes, one has to be named: default, other"):
        vips()
    assert vips(mesh_name="other")["file"] == str(site / "mesh/virtual-ips-other.yaml")
    assert vips(mesh_name="default")["file"] == str(site / FILE)
    assert list(services(site, "mesh/virtual-ips-other.yaml")) == ["cart"]


def test_an_encrypted_file_is_left_alone(vips, site, monkeypatch):
    vault = VaultLib([("default", VaultSecret(b"password"))])
    (site / FILE).write_bytes(vault.encrypt("type: VirtualIPs\nmesh: default\n"))
    monkeypatch.setattr(_edge._Files, "read", lambda _self, path: vault_text(vault, path))
    with pytest.raises(AnsibleActionFail, match="is encrypted: decrypt it, as virtual IPs are no secrets"):
        vips()


def vault_text(vault, path):
    data = pathlib.Path(path).read_bytes()
    return vault.decrypt(data) if data.startswith(b"$ANSIBLE_VAULT") else data


# --- how it is written ------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_keeps_its_mode_and_a_link_leads_where_it_led(vips, site):
    (site / "elsewhere").mkdir()
    table(site, "web: 240.0.0.7", file="elsewhere/vips")
    (site / "elsewhere/vips").chmod(0o640)
    (site / FILE).symlink_to(site / "elsewhere/vips")
    assert vips()["changed"]
    assert (site / FILE).is_symlink()
    assert stat.S_IMODE((site / "elsewhere/vips").stat().st_mode) == 0o640
    assert services(site, "elsewhere/vips") == {"backend": ADDRESSES["backend"], "web": "240.0.0.7"}


def test_nothing_is_left_behind_when_the_file_cannot_be_replaced(vips, site, monkeypatch):
    table(site, "web: 240.0.0.7")
    before = (site / FILE).read_text()

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnsibleActionFail, match=r"Cannot keep the virtual IPs in .*: No space left on device"):
        vips()
    assert (site / FILE).read_text() == before
    assert not list((site / "mesh").glob(".*"))


def test_documentation_and_argument_spec_are_the_same(documented_options):
    assert documented_options(documentation) == {
        name: {key: value for key, value in option.items() if key in ("type", "required", "default")}
        for name, option in action.ARGUMENT_SPEC.items()
    }
