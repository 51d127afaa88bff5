"""Serves a model on the loopback: prints its address, ends when stdin does.

It speaks chat completions and responses (`/v1/chat/completions`, `/v1/responses`) and Anthropic's messages (`/v1/messages`).

    python serve.py model.gguf [context]

A conversation and its answer have `context` tokens (default 4096) together.
"""

import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = int(sys.argv[2]) if len(sys.argv) > 2 else 4096
params.port = 0  # any free one
params.n_parallel = 1
params.n_threads_http = 4
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.sampling.seed = 1
params.endpoint_metrics = True
params.warmup = False
params.verbosity = 0

server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
