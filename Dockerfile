# syntax=docker/dockerfile:1
# One image per service: docker build --target extractor -t nexuslims/extractor .
# Each holds the shared machinery and one service, with the versions of its own lock.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=0
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY --chmod=755 scripts/install_service.sh /usr/local/bin/install-service
COPY requirements requirements
COPY contracts contracts
COPY shared shared

FROM python:${PYTHON}-slim AS runtime
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib \
    NX_INSTRUMENT_DATA_PATH=/srv/instrument-data NX_DATA_PATH=/srv/data \
    NX_STATE_PATH=/var/lib/nexuslims \
    NX_INSTRUMENTS_FILE=/srv/config/instruments.toml NX_CALENDAR_FILE=/srv/config/calendar.toml \
    NX_HTTP_HOST=0.0.0.0 NX_HTTP_PORT=8080
RUN install -d -o 10001 -g 10001 /srv/instrument-data /srv/data /srv/config /var/lib/nexuslims
WORKDIR /srv
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["nexuslims"]

FROM build AS harvester-build
COPY services/harvester services/harvester
RUN install-service harvester /app

FROM runtime AS harvester
COPY --from=harvester-build /app /app
CMD ["run", "harvester"]

FROM build AS indexer-build
COPY services/indexer services/indexer
RUN install-service indexer /app

FROM runtime AS indexer
COPY --from=indexer-build /app /app
CMD ["run", "indexer"]

FROM build AS extractor-build
COPY formats formats
COPY services/extractor services/extractor
RUN install-service extractor /app

FROM runtime AS extractor
COPY --from=extractor-build /app /app
CMD ["run", "extractor"]

FROM build AS builder-build
COPY services/builder services/builder
RUN install-service builder /app

FROM runtime AS builder
COPY --from=builder-build /app /app
CMD ["run", "builder"]

FROM build AS uploader-build
COPY services/uploader services/uploader
RUN install-service uploader /app

FROM runtime AS uploader
COPY --from=uploader-build /app /app
CMD ["run", "uploader"]

FROM build AS console-build
COPY services/console services/console
RUN install-service console /app

FROM runtime AS console
COPY --from=console-build /app /app
CMD ["run", "console"]
