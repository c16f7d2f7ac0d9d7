"""Schemathesis over the server's own OpenAPI document: whatever is sent, no answer may be a 5xx."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--examples", default="8", help="requests per operation and phase at most")
parser.add_argument("--seed", default="20")
options = parser.parse_args()

base = os.environ["OPENAI_BASE_URL"]
command = [Path(sys.executable).with_name("schemathesis"), "run", base.removesuffix("/v1") + "/openapi.json"]
command += ["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "--max-examples", options.examples]
command += ["--seed", options.seed, "--mode", "all", "--no-color", "--generation-database", "none"]
command += ["--header", f"Authorization: Bearer {os.environ['OPENAI_API_KEY']}"]
sys.exit(subprocess.run(command, check=False).returncode)
