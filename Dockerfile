# syntax=docker/dockerfile:1
# The gateway's image. Every package comes by the hashes in locks/; a changed archive fails the build.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# --no-deps is part of the locks' contract: see [tool.uv] in pyproject.toml. This layer changes only with the lock.
COPY locks/serve.txt locks/
RUN python -m venv /opt/turnout \
    && /opt/turnout/bin/pip install --no-deps --require-hashes -r locks/serve.txt

# The build backend stays in this stage. locks/serve.txt has none, so its few packages are cut out of locks/dev.txt.
COPY locks/dev.txt locks/
RUN awk '/^[a-z0-9]/ { keep = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ } keep' locks/dev.txt > locks/build.txt \
    && pip install --no-deps --require-hashes -r locks/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY classifiers classifiers
COPY policies policies
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/turnout/bin/pip install --no-deps dist/*.whl


FROM python:3.11-slim
# litellm would fetch a price map over the network when it is imported; ours is shipped.
ENV PATH=/opt/turnout/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LITELLM_LOCAL_MODEL_COST_MAP=True \
    TURNOUT_DATA_DIR=/data
# libgomp1: llama.cpp's threads, for a model in the gateway's own process (extra `local`).
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin turnout \
    && install -d -o turnout -g turnout -m 0750 /data
COPY --from=build /opt/turnout /opt/turnout

# A named volume mounted here takes over the owner; a bind mount must be writable by uid 10001.
VOLUME /data
WORKDIR /data
USER turnout
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]

# Anybody who reaches the gateway is served, so it starts on the container's loopback only. To publish it, run it with
# `turnout serve --host 0.0.0.0 --insecure` behind something that keeps others out, as docker-compose.yml does.
CMD ["turnout", "serve"]
