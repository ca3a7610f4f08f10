"""The files of the container, as far as they can be judged without an engine that runs containers."""

import re
import subprocess
import sys
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

PROJECT = Path(__file__).parents[2]
DOCKER = PROJECT / "docker"


def read(name: str) -> Any:
    return YAML(typ="safe").load((DOCKER / name).read_text())


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read("compose.yaml")["services"]
    return found


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_is_there_and_in_the_context() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert len(sources) >= 5
    for source in sources:
        assert (PROJECT / source).exists(), source
        assert f"!{source}" in ignored


def test_what_the_services_mount_is_there() -> None:
    volumes = read("compose.yaml")["volumes"]
    mounted = [each.split(":")[0] for service in services().values() for each in service.get("volumes", [])]
    for source in mounted:
        assert source in volumes or (DOCKER / source).is_file(), source
    assert [service["build"] for service in services().values() if "build" in service] == [
        {"context": "..", "dockerfile": "docker/Dockerfile"}
    ] * 2


def test_only_this_computer_reaches_the_published_ports() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_daemon_and_its_neighbours_know_each_other() -> None:
    settings = load_yaml(DOCKER / "alpaca-focus.yaml", Settings)
    daemon = services()["alpaca-focus"]
    assert settings.alpaca.address == "simulator:11111"
    assert settings.mqtt is not None
    assert settings.mqtt.broker == "mosquitto:1883"
    assert "listener 1883" in (DOCKER / "mosquitto.conf").read_text()
    assert settings.web is not None
    (network,) = read("compose.yaml")["networks"]["default"]["ipam"]["config"]
    assert [ip_network(each) for each in settings.web.allow] == [ip_network(network["subnet"])]
    assert read("prometheus.yaml")["scrape_configs"][0]["static_configs"] == [
        {"targets": [f"{daemon['hostname']}:{settings.web.port}"]}
    ]
    assert f"state:{settings.storage.directory}" in daemon["volumes"]
    assert read("grafana/datasources.yaml")["datasources"][0]["url"] == "http://prometheus:9090"
    (provider,) = read("grafana/dashboards.yaml")["providers"]
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(provider["options"]["path"])
    assert any(home in volume for volume in services()["grafana"]["volumes"])


def test_the_locked_versions_are_those_that_are_tested() -> None:
    run, setup, dev = (_pins(PROJECT / "requirements" / f"{name}.txt") for name in ("run", "setup", "dev"))
    assert run.items() <= setup.items() <= dev.items()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    needed = {canonicalize_name(Requirement(each).name) for each in project["dependencies"]}
    assert needed <= set(run)


def _pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}
