"""Who may import whom, read off the source: layers from top to bottom, a pure policy, one file per foreign library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the bottom to the top. A module imports from lower layers, and from its own room.
LAYERS: list[list[str]] = [
    [
        "gateway",
        "gateway.deadline",
        "gateway.errors",
        "gateway.exposition",
        "gateway.interval",
        "gateway.lazily",
        "gateway.ids",
        "gateway.loopback",
        "gateway.metrics",
        "gateway.outages",
        "gateway.postgres_link",
        "gateway.postgres_url",
        "gateway.redis_link",
        "gateway.redis_script",
        "gateway.redis_url",
        "gateway.offload",
        "gateway.settling",
        "gateway.shared_metrics",
        "gateway.store_guard",
        "gateway.unpriced",
        "gateway.usage",
    ],
    ["gateway.policy"],
    # The nouns.
    [
        "gateway.attempt",
        "gateway.chat",
        "gateway.chat_forms",
        "gateway.conversation",
        "gateway.draining",
        "gateway.embeddings",
        "gateway.prompt",
        "gateway.reply",
        "gateway.request",
        "gateway.sse",
        "gateway.settings",
        "gateway.tenant",
        "gateway.tool_ids",
        "gateway.wire_usage",
    ],
    ["gateway.http1", "gateway.pricing"],
    # The rooms.
    [
        "gateway.dialects",
        "gateway.answers",
        "gateway.cache",
        "gateway.health",
        "gateway.judging",
        "gateway.keys",
        "gateway.ledger",
        "gateway.limits",
        "gateway.pii",
        "gateway.prompts",
        "gateway.providers",
        "gateway.responses",
        "gateway.sessions",
        "gateway.workers",
    ],
    ["gateway.target"],
    [
        # These two of the cache ask a provider.
        "gateway.cache.embedding_endpoint",
        "gateway.cache.embedding_setup",
        "gateway.embeddings_decision",
        "gateway.estimate",
        "gateway.report",
        "gateway.response_headers",
        "gateway.running",
        "gateway.signals",
    ],
    ["gateway.budgets", "gateway.cascade", "gateway.failover", "gateway.gpu", "gateway.prompts.ids"],
    ["gateway.execute"],
    ["gateway.fleet", "gateway.router"],
    ["gateway.learned"],
    ["gateway.loading", "gateway.matching", "gateway.runtime"],
    ["gateway.affording", "gateway.caching"],
    ["gateway.frame", "gateway.reload"],
    ["gateway.embeddings_pipeline", "gateway.pipeline"],
    ["gateway.edge"],
    ["gateway.adapters", "gateway.front"],
    ["gateway.app"],
    ["gateway.cli"],
]
NOUNS = set(LAYERS[0]) | set(LAYERS[2])  # nouns are made of nouns
BACKENDS = {
    "providers": {"anthropic", "fake", "litellm", "local", "local_provider", "openai"},
    "cache": {"memory", "redis"},
    "keys": {"sqlite", "postgres"},
    "ledger": {"sqlite", "postgres"},
    "responses": {"memory", "redis"},
}
FOREIGN = {  # a library to the modules that may import it
    "aiohttp": set(),  # to compare with, in tests
    "httptools": {"gateway.edge.request_reader", "gateway.http1.connection"},
    "litellm": {"gateway.providers.litellm", "gateway.providers.litellm_errors"},
    "tiktoken": {"gateway.pricing.tokens"},
    "xllamacpp": {"gateway.providers.local_server"},
    "onnxruntime": {"classifiers.text.minilm"},
    "yaml": {"gateway.policy.source"},
    "pydantic": {
        "gateway.estimate.configuration",
        "gateway.estimate.schema",
        "gateway.estimate.workload",
        "gateway.policy.grammar",
        "gateway.policy.schema",
        "gateway.policy.schema_budgets",
        "gateway.policy.schema_cache",
        "gateway.policy.schema_failover",
        "gateway.policy.schema_limits",
        "gateway.policy.schema_models",
        "gateway.policy.schema_responses",
        "gateway.policy.schema_routes",
        "gateway.policy.problems",
        "gateway.policy.compile",
    },
    "fastapi": {
        "gateway.edge.admin",
        "gateway.edge.admin_budgets",
        "gateway.edge.api",
        "gateway.edge.feedback",
        "gateway.edge.kept_by_provider",
        "gateway.edge.kept_chat",
        "gateway.edge.messages_tokens",
        "gateway.edge.metrics",
        "gateway.edge.models",
        "gateway.edge.openapi",
        "gateway.edge.responses_kept",
        "gateway.edge.responses_tokens",
        "gateway.edge.rest",
    },
    "prometheus_client": {"gateway.exposition"},
    "redis": {"gateway.redis_link"},
    "uvicorn": {"gateway.cli.server"},
    "psycopg": {"gateway.postgres_link"},
    "pyarrow": {"gateway.report.parquet"},
    "sqlite3": {
        "gateway.keys.sqlite",
        "gateway.ledger.bulk_sqlite",
        "gateway.ledger.layout_sqlite",
        "gateway.ledger.sqlite",
        "gateway.ledger.sqlite_reader",
        "gateway.cli.ledger_findings",
    },
    "sklearn": {
        "classifiers.cascade.confidence_fit",
        "classifiers.intents.fit",
        "classifiers.intents.scorers",
        "classifiers.shipped.learners",
        "classifiers.measure.metrics",
        "classifiers.pairs.command",
        "classifiers.pairs.fit",
        "classifiers.pairs.trees",
        "classifiers.routing.parts",
        "classifiers.shipped.command",
        "classifiers.training",
    },
}


def _modules() -> dict[str, ast.Module]:
    found = {}
    for package in ("gateway", "classifiers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = _modules()
OURS = [name for name in MODULES if name.startswith("gateway")]


def imports(name: str) -> Iterator[str]:
    """Every module that `name` imports, at any place in its file."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


GRAPH = {name: sorted(set(imports(name))) for name in MODULES}


def layer_of(name: str) -> int:
    places = [
        (len(prefix), n) for n, layer in enumerate(LAYERS) for prefix in layer if name == prefix or name.startswith(prefix + ".")
    ]
    return max(places)[1]


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_every_module_has_a_layer_of_its_own() -> None:
    listed = {name for layer in LAYERS for name in layer}
    assert listed <= set(OURS), "a layer names a module that is not there"
    assert {room_of(name) for name in OURS} == {room_of(name) for name in listed}, "give the new module its layer in LAYERS"


@pytest.mark.parametrize("name", OURS)
def test_imports_go_from_top_to_bottom(name: str) -> None:
    for other in GRAPH[name]:
        if not other.startswith("gateway") or room_of(other) == room_of(name):
            continue
        if name in NOUNS and other in NOUNS:
            continue
        assert layer_of(other) < layer_of(name), f"{name} imports {other}"


def test_no_module_imports_itself_over_others() -> None:
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in GRAPH[name]:
                if other in MODULES:
                    walk(other, (*way, name))
            done.add(name)

    for name in MODULES:
        walk(name, ())


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("classifiers")])
def test_classifiers_know_no_gateway(name: str) -> None:
    assert not [other for other in GRAPH[name] if other.split(".")[0] == "gateway"]


@pytest.mark.parametrize("name", [n for n in OURS if n.startswith("gateway.policy")])
def test_policy_imports_the_standard_library_what_it_is_made_with_and_itself(name: str) -> None:
    allowed = sys.stdlib_module_names | {"msgspec", "yaml", "pydantic", "pydantic_core"}  # its values, and its parsers
    for other in GRAPH[name]:
        assert other.startswith("gateway.policy") or other.split(".")[0] in allowed, f"{name} imports {other}"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "affinity",
            "budgets",
            "compile",
            "compile_budgets",
            "compile_cache",
            "compile_cascade",
            "compile_limits",
            "compile_models",
            "compile_prices",
            "conditions",
            "engine",
            "explain",
            "limits",
            "model",
            "permit",
            "problems",
            "rates",
        ),
        *("select", "source"),
    ],
)
def test_policy_has_no_clock_no_chance_and_no_files(name: str) -> None:
    forbidden = {"time", "datetime", "random", "os", "pathlib", "socket", "asyncio", "threading", "subprocess", "io"}
    assert not forbidden & {other.split(".")[0] for other in GRAPH[f"gateway.policy.{name}"]}


@pytest.mark.parametrize("library", FOREIGN)
def test_foreign_library_is_confined(library: str) -> None:
    users = {name for name, others in GRAPH.items() if library in {other.split(".")[0] for other in others}}
    assert users <= FOREIGN[library]


@pytest.mark.parametrize("name", OURS)
def test_only_the_app_and_the_command_line_name_backends(name: str) -> None:
    if name in ("gateway.app", "gateway.adapters") or room_of(name) == "gateway.cli":
        return
    for other in GRAPH[name]:
        _, _, last = other.rpartition(".")
        room = room_of(other).removeprefix("gateway.")
        if last in BACKENDS.get(room, ()) and room_of(name) != room_of(other):
            raise AssertionError(f"{name} imports {other}")


def test_backends_of_a_port_do_not_know_each_other() -> None:
    # A local model is a server that speaks the OpenAI dialect, and a process to look after.
    allowed = {"local_provider": {"gateway.providers.local", "gateway.providers.openai"}}
    for room, backends in BACKENDS.items():
        for backend in backends:
            others = {f"gateway.{room}.{b}" for b in backends - {backend}} - allowed.get(backend, set())
            assert not others & set(GRAPH[f"gateway.{room}.{backend}"]), backend


def test_importing_the_app_loads_nothing_heavy() -> None:
    heavy = ("litellm", "sklearn", "scipy", "torch", "wordllama", "onnxruntime", "xllamacpp")
    heavy += ("openai", "anthropic", "httpx", "redis", "fastapi")
    code = f"import sys, gateway.app; print(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
