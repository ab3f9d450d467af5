# The platform in one image; docs/delivery.md. By default without torch and its CUDA libraries (4 GB), which only training
# needs, and without what only developers need: enough to serve, check, import and watch deployments.
# To train bots with the image: docker build --build-arg LEAVE_OUT='^$' .
FROM python:3.11-slim AS build
ARG LEAVE_OUT="^(\
torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+|sympy|mpmath|networkx|setuptools|\
ast-serialize|blinker|execnet|flask|greenlet|harfile|htpy|httpcore|httpx|hypothesis|hypothesis-graphql|iniconfig|\
itsdangerous|jsonschema-rs|librt|mypy|mypy-extensions|oidc-provider-mock|pathspec|playwright|pluggy|pyrate-limiter|\
pytest|pytest-timeout|pytest-xdist|ruff|schemathesis|sortedcontainers|types-pyyaml|werkzeug\
)=="
WORKDIR /srv/chatbot
RUN python -m venv --without-pip .venv && python -m pip install --no-cache-dir uv
COPY requirements.lock ./
# An entry of the lock begins in the first column; its hashes follow on indented lines. PySpark's jars (460 MB) are for the
# engine `local`, which wants a Java that the image lacks.
RUN awk -v leave_out="$LEAVE_OUT" '/^[^ #]/ { keep = $0 !~ leave_out } keep' requirements.lock >chosen.lock \
    && uv pip sync --python .venv/bin/python --require-hashes --no-cache --compile-bytecode chosen.lock \
    && rm -r .venv/lib/python3.11/site-packages/pyspark/jars
# ./chatbot is another one here: nothing is to be installed. All can read the code, whatever the umask was where it comes
# from, and it is compiled, since where it runs nobody can write beside it. The lock file that uv leaves is open to all.
COPY . /srv/code
RUN printf '#!/bin/sh\nexec python -m chatbot_assets.cli "$@"\n' >/srv/code/chatbot && chmod +x /srv/code/chatbot \
    && chmod -R u=rwX,go=rX /srv/code && python -m compileall -q -s /srv/code -p /srv/chatbot /srv/code \
    && rm -f .venv/.lock

FROM python:3.11-slim
# Numbers, for Kubernetes' runAsNonRoot believes no names.
RUN groupadd --gid 10001 chatbot && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data chatbot \
    && install --directory --owner 10001 --group 10001 /data
WORKDIR /srv/chatbot
COPY --from=build /srv/chatbot/.venv .venv
COPY --from=build /srv/code .
ENV PATH="/srv/chatbot/.venv/bin:$PATH" PYTHONPATH=/srv/chatbot PYTHONUNBUFFERED=1 \
    CHATBOT_HOME=/data CHATBOT_BOTS=/srv/chatbot/bots
USER 10001:10001
VOLUME /data
# The service listens on loopback: its proxy shares the network of the container (a pod's sidecar, or --network host).
# It answers once its bots are loaded, for which it takes a minute at most.
HEALTHCHECK --interval=10s --timeout=3s --start-period=75s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["python", "-m", "serving", "--port", "8080"]
