"""The official SDKs of Python: in `make test` with the versions of locks/dev.txt, in `make test-clients` with others too."""

from tests.clients.fixtures import _upstream, gateway, upstream

__all__ = ["_upstream", "gateway", "upstream"]
