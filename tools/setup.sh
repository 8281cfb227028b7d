#!/usr/bin/env bash
# Prepares .venv on Debian or Ubuntu: `tools/setup.sh` to run Tasmi, `tools/setup.sh EXTRA`
# to serve, document or (dev) test it.
# Debian packages that are missing are installed where that is permitted (root or sudo).
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}
venv=.venv
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/tasmi/wheels
kenlm=$(sed -n 's/.*"\(kenlm==[^"]*\)".*/\1/p' pyproject.toml)

say() { printf '%s\n' "setup: $*" >&2; }

updated=
install() { # Debian packages; false where not permitted
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || return 1
        as_root=(sudo)
        [ -t 0 ] || as_root=(sudo -n)
    fi
    command -v apt-get >/dev/null || return 1
    say "installing $*"
    if [ -z "$updated" ]; then
        "${as_root[@]}" apt-get update -qq </dev/null >/dev/null || return 1
        updated=yes
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}
need() { install "$@" || { say "please install: $*"; exit 1; }; }
want() { install "$@" || say "not installed, some things will not work: $*"; }

# kenlm comes as source and takes a minute to compile: once per user, not once per clone.
cached_kenlm() { compgen -G "$wheels/kenlm-${kenlm#*==}-$tag-*.whl" >/dev/null; }

python=$(command -v python3.11 || true)
if [ -z "$python" ]; then
    need python3.11
    python=$(command -v python3.11)
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3.11-venv
tag=cp311

compgen -G '/usr/lib/*/libportaudio.so.2' >/dev/null || want libportaudio2
if [ "$extra" = dev ]; then # a test that needs what is missing would fail: none is skipped
    missing=()
    command -v pulseaudio >/dev/null || missing+=(pulseaudio)
    command -v pactl >/dev/null || missing+=(pulseaudio-utils)
    compgen -G '/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so' >/dev/null ||
        missing+=(libasound2-plugins)
    command -v chromium >/dev/null || missing+=(chromium)
    command -v espeak-ng >/dev/null || missing+=(espeak-ng)
    [ ${#missing[@]} -eq 0 ] || need "${missing[@]}"
fi

stamp=$venv/.installed${extra:+-$extra}
state=$(cat pyproject.toml constraints.txt "$0" | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then
    exit 0
fi
[ -x $venv/bin/python ] || "$python" -m venv $venv
pip=($venv/bin/python -m pip --disable-pip-version-check --quiet)
if [ "$extra" = dev ] && ! cached_kenlm; then
    missing=()
    command -v g++ >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -f "$headers/Python.h" ] || missing+=(python3.11-dev)
    [ ${#missing[@]} -eq 0 ] || need "${missing[@]}"
    say "compiling $kenlm (a minute or two, once)"
    CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) "${pip[@]}" wheel --no-deps --wheel-dir "$wheels" "$kenlm"
fi
mkdir -p "$wheels"
say "installing Python packages into $venv"
"${pip[@]}" install --find-links "$wheels" --constraint constraints.txt --editable ".${extra:+[$extra]}"
printf '%s' "$state" >"$stamp"
say "ready"
