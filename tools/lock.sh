#!/bin/sh
# Resolve pyproject.toml and locks/*.in into the pinned, hashed files under locks/. Needs uv on the PATH: pip install uv.
# --no-deps at install time is part of the contract of these files: see [tool.uv] in pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile "$@" --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command tools/lock.sh; }
# What the container image runs.
lock pyproject.toml --extra local --extra litellm --extra redis --extra postgres --extra parquet --output-file locks/serve.txt
lock pyproject.toml --all-extras --group dev --output-file locks/dev.txt
# The libraries that tests/clients is run with, and a Node; pyproject's overrides are not for them.
for clients in clients clients-openai2 node; do
    lock "locks/$clients.in" --no-config --output-file "locks/$clients.txt"
done
