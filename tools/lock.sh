#!/bin/sh
# Resolve pyproject.toml into the pinned, hashed files under locks/. Needs uv on the PATH: pip install uv.
# --no-deps at install time is part of the contract of these files: see [tool.uv] in pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command tools/lock.sh "$@"; }
lock --extra local --extra litellm --extra redis --extra postgres --extra parquet --output-file locks/serve.txt  # what the container image runs
lock --all-extras --group dev --output-file locks/dev.txt
