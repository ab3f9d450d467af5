# The platform in one image; docs/delivery.md. By default without torch and its CUDA libraries (4 GB): enough to serve,
# check and import deployments. To refresh bots with the image: docker build --build-arg LEAVE_OUT=^$ .
FROM python:3.11-slim AS build
ARG LEAVE_OUT="^(torch|triton|nvidia-[a-z0-9-]+)=="
WORKDIR /srv/chatbot
RUN python -m venv .venv && python -m pip install --no-cache-dir uv
COPY requirements.lock ./
# An entry of the lock begins in the first column; its hashes follow on indented lines.
RUN awk -v leave_out="$LEAVE_OUT" '/^[^ #]/ { keep = $0 !~ leave_out } keep' requirements.lock >chosen.lock \
    && uv pip sync --python .venv/bin/python --require-hashes --no-cache --compile-bytecode chosen.lock

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data chatbot && install --directory --owner chatbot /data
WORKDIR /srv/chatbot
COPY --from=build /srv/chatbot/.venv .venv
COPY . .
ENV PATH="/srv/chatbot/.venv/bin:$PATH" PYTHONPATH=/srv/chatbot PYTHONUNBUFFERED=1 \
    CHATBOT_HOME=/data CHATBOT_BOTS=/srv/chatbot/bots
USER chatbot
VOLUME /data
# The service listens on loopback: its proxy shares the network of the container (a pod's sidecar, or --network host).
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["python", "-m", "serving", "--port", "8080"]
