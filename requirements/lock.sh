#!/usr/bin/env bash
# Writes the hash-pinned locks: one per service for its image, one for development.
# They hold names, versions and hashes; no index is named, so any mirror serves them.
set -euo pipefail
cd "$(dirname "$0")/.."
uv="${UV:-uv}"

members=(contracts formats sanitiser shared harvester indexer extractor builder uploader console)
hidden=()
for member in "${members[@]}"; do hidden+=(--no-emit-package "nexuslims-$member"); done

lock() { # lock OUTPUT PROJECT... [-- OPTION...]
    local output="requirements/$1.txt"; shift
    "$uv" pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
        "${hidden[@]}" "$@" --output-file "$output"
}

projects=({contracts,formats,sanitiser,shared}/pyproject.toml services/*/pyproject.toml)
lock dev "${projects[@]}" --group pyproject.toml:dev --extra postgresql --extra parquet --extra pandas --extra form
for service in harvester indexer extractor builder uploader console; do
    extra=(); [ "$service" = console ] && extra=(--extra postgresql)
    formats=(); [ "$service" = extractor ] && formats=(formats/pyproject.toml)
    # constrained by the development lock, so every image runs the versions that were tested
    lock "$service" contracts/pyproject.toml shared/pyproject.toml "${formats[@]}" "services/$service/pyproject.toml" \
        "${extra[@]}" --constraints requirements/dev.txt
done
