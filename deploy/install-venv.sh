#!/bin/sh
# Debian keeps the parts of Python that make a virtual environment in a package of their own.
set -eu
say() { echo "$1" >&2; exit 1; }
command -v apt-get >/dev/null || say "Python cannot make virtual environments here: install its venv module, then try again."
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || say "python3-venv is missing: run 'apt-get install python3-venv' as root, then try again."
    as_root=sudo
fi
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends python3-venv
