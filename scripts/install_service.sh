#!/bin/sh
# Installs what the image of a service holds: install_service.sh SERVICE FOLDER, from the checkout.
# The Dockerfile runs it, and `make bench-images`, which measures the folder.
set -eu
service="$1" folder="$2"
uv venv --quiet "$folder"
uv pip install --quiet --python "$folder/bin/python" --require-hashes -r "requirements/$service.txt"
members="./contracts ./shared"
[ "$service" != extractor ] || members="$members ./formats"
uv pip install --quiet --python "$folder/bin/python" --no-deps $members "./services/$service"
# packages' own tests; and the broker, which has an image of its own
find "$folder" -type d -name tests -path '*/site-packages/*' -prune -exec rm -rf {} +
rm -f "$folder/bin/nats-server"
