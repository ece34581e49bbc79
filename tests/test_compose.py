"""docker-compose.yml, the Dockerfile and policies/compose.yaml: valid, agreeing with each other, and closed to the network."""

import copy
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.cli.supervise import KILL_S
from gateway.policy.compile import compile_policy, parse_faq
from gateway.pricing.book import shipped_book
from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE_PATH = ROOT / "docker-compose.yml"
POLICY_PATH = ROOT / "policies" / "compose.yaml"
TARGETS_OF_COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE_PATH.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def policy() -> dict[str, Any]:
    return yaml.safe_load(POLICY_PATH.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_compose_file_obeys_the_compose_specification(compose: dict[str, Any], validator: Draft202012Validator) -> None:
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)] == []


def test_compose_waits_for_an_end_in_good_order(compose: dict[str, Any]) -> None:
    assert compose["services"]["gateway"]["stop_grace_period"] == f"{Settings(policy=POLICY_PATH).grace_s + KILL_S:g}s"


@pytest.mark.parametrize(
    ("path", "value"),
    [(("gateway", "prots"), []), (("redis", "image"), 8.2), (("model", "healthcheck"), {"tests": "x"})],
)
def test_the_schema_notices_a_slip(
    compose: dict[str, Any], validator: Draft202012Validator, path: tuple[str, str], value: object
) -> None:
    broken = copy.deepcopy(compose)
    broken["services"][path[0]][path[1]] = value
    assert not validator.is_valid(broken)


def test_docker_compose_itself_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("the docker command is not installed")
    if subprocess.run([docker, "compose", "version"], capture_output=True, timeout=30).returncode != 0:
        pytest.skip("docker is here without its compose plugin (`docker compose version` fails)")
    command = [docker, "compose", "--file", str(COMPOSE_PATH), "--profile", "scaled", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_only_the_gateway_is_published_and_only_on_loopback(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8080:8080"]}
    assert not any("network_mode" in service for service in compose["services"].values())


def test_gateway_model_and_cache_start_by_default_and_the_database_does_not(compose: dict[str, Any]) -> None:
    by_default = {name for name, service in compose["services"].items() if not service.get("profiles")}
    assert by_default == {"gateway", "model", "redis"}
    assert compose["services"]["postgres"]["profiles"] == ["scaled"]
    assert compose["services"]["gateway"]["environment"]["TURNOUT_REDIS_URL"] == "redis://redis:6379/0"
    assert "ports" not in compose["services"]["redis"]


def test_every_service_has_a_health_check_and_a_pinned_image(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        if "build" not in service:
            assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"]), (name, service["image"])


def test_nothing_is_demanded_of_the_environment_by_a_plain_up() -> None:
    """`${NAME:?}` is checked in profiles that are off as well, so it would stop `docker compose up`."""
    values = [line.split(" #")[0] for line in COMPOSE_PATH.read_text(encoding="utf-8").splitlines()]
    assert [line for line in values if re.search(r"\$\{\w+:?\?", line)] == []


def test_gateway_command_names_a_policy_that_is_mounted_read_only(compose: dict[str, Any]) -> None:
    gateway = compose["services"]["gateway"]
    named = Path(gateway["command"][gateway["command"].index("--policy") + 1])
    mounts = {volume["target"]: volume for volume in gateway["volumes"]}
    mount = mounts[str(named.parent)]
    assert mount["read_only"] is True
    assert (ROOT / mount["source"] / named.name).resolve() == POLICY_PATH
    assert gateway["environment"]["TURNOUT_DATA_DIR"] in mounts


def test_policy_reaches_the_model_service_by_the_name_it_serves(compose: dict[str, Any], policy: dict[str, Any]) -> None:
    command = compose["services"]["model"]["command"]
    option = dict(itertools.pairwise(command))
    assert policy["providers"]["model"]["base_url"] == f"http://model:{option['--port']}/v1"
    assert policy["models"]["local"]["id"] == option["--alias"]
    assert policy["models"]["local"]["context"] == int(option["--ctx-size"]) // int(option["--parallel"])


def test_policy_compiles_with_the_shipped_prices() -> None:
    compiled = compile_policy(
        POLICY_PATH.name,
        POLICY_PATH.read_text(encoding="utf-8"),
        env={"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-test"},
        price_of=shipped_book().prices_of,
        read_file=lambda name: (POLICY_PATH.parent / name).read_text(encoding="utf-8"),
    )
    assert [name for name, model in compiled.models.items() if model.price is None] == []
    assert compiled.unavailable == {}


def test_what_is_private_has_no_way_out_of_the_container(policy: dict[str, Any]) -> None:
    first = policy["routes"][0]
    assert first["name"] == "private"
    assert policy["models"][first["model"]]["provider"] == "model"
    assert "fallback" not in first


def test_faq_has_enough_questions_and_none_twice() -> None:
    text = (ROOT / "policies" / "faq.yaml").read_text(encoding="utf-8")
    entries = parse_faq("faq.yaml", text).entries
    questions = [question.lower() for entry in entries for question in entry.questions]
    assert len(entries) >= 15
    assert all(len(entry.questions) >= 6 for entry in entries)
    assert len(questions) == len(set(questions))


def test_image_installs_by_hash_and_does_not_run_as_root(dockerfile: str) -> None:
    runtime = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root)\w+$", runtime, re.MULTILINE)
    assert re.search(r'^CMD \["turnout", "serve"\]', runtime, re.MULTILINE)
    assert "HEALTHCHECK" in runtime
    assert "--insecure" not in re.sub(r"^#.*$", "", runtime, flags=re.MULTILINE)
    for install in re.findall(r"pip install [^&\n]*", dockerfile):
        assert "--no-deps" in install
        assert "--require-hashes" in install or install.strip().endswith("dist/*.whl")


def test_lock_pins_the_build_backend_that_the_image_cuts_out_of_it(dockerfile: str) -> None:
    found = re.search(r"/\^\(([\w|-]+)\)==/", dockerfile)
    assert found is not None
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "locks" / "dev.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(found[1].split("|")) <= set(locked)


def test_what_the_image_copies_is_there_and_not_ignored(dockerfile: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = {word for words in TARGETS_OF_COPY.findall(dockerfile) for word in words.split()}
    assert "*" in ignore
    assert {path.partition("/")[0] for path in copied} == allowed
    assert [path for path in copied if not (ROOT / path).exists()] == []
