# The operator: `docker build -t tocsin:0.1.0 .`
# With the test cluster's model server and sink, for clusters whose pods are containers: `--target test -t tocsin-test:dev`
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS packages
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.txt \
    && python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps /wheels/*.whl

FROM ${PYTHON} AS base
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# No home and nothing to write: the root file system may be read-only.
USER 65532:65532
ENTRYPOINT ["python", "-m", "tocsin"]

FROM base AS test
COPY tests/__init__.py /app/tests/
COPY tests/cluster/*.py /app/tests/cluster/
ENV PYTHONPATH=/app

# The last stage is the default one.
FROM base AS operator
