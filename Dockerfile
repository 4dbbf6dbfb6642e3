# resharp on a CPU: docker build -t resharp --build-arg TORCH_INDEX=... . ; the model is in the package, so nothing is fetched at run time.
FROM python:3.12-slim-bookworm AS build

# Give the address of PyTorch's index of CPU builds here: the ordinary build for Linux brings several GB of CUDA.
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/resharp
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/resharp/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.9,<2.14" \
    && /opt/resharp/bin/pip install ".[heic]"

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="resharp" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/resharp /opt/resharp
# Not root, and no shell: a photo is a file from a stranger.
RUN useradd --create-home --shell /usr/sbin/nologin resharp
USER resharp
# Offline; and a home that any user can write to, for `docker run --user`.
ENV PATH=/opt/resharp/bin:$PATH HF_HUB_OFFLINE=1 HF_HOME=/tmp/huggingface PYTHONDONTWRITEBYTECODE=1
WORKDIR /photos
ENTRYPOINT ["resharp"]
CMD ["--help"]
