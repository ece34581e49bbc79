"""What people use on top of the SDKs. `make test-clients` runs these in environments of their own (locks/clients*.txt).

No environment has them all, since they do not go together; tools/client_checks.py sees to it that each has run somewhere.
"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tests.clients.fixtures import _upstream, gateway, upstream

__all__ = ["_upstream", "gateway", "upstream"]

NEEDS = {
    "test_instructor.py": ("instructor",),
    "test_langchain_anthropic.py": ("langchain_anthropic",),
    "test_langchain_openai.py": ("langchain_openai",),
    "test_litellm.py": ("litellm",),
    "test_llamaindex.py": ("llama_index",),
    "test_llm.py": ("llm",),
    "test_pydantic_ai.py": ("pydantic_ai",),
}


def _has_the_gateway() -> bool:
    try:
        return bool(version("turnout"))
    except PackageNotFoundError:
        return False


if _has_the_gateway():
    collect_ignore_glob = ["test_*.py"]
else:
    collect_ignore = [file for file, modules in NEEDS.items() if not all(find_spec(module) for module in modules)]
    assert {path.name for path in Path(__file__).parent.glob("test_*.py")} <= set(NEEDS), "say in NEEDS what a new file needs"
