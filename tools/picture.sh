#!/usr/bin/env bash
# Takes docs/demo.png: the live demo hears a recording through a virtual microphone, in a terminal
# that joins Arabic letters and orders them from right to left. RECORDING and SECONDS until the shot
# may be given. Needs pulseaudio, pulseaudio-utils, libasound2-plugins, xvfb, mlterm, imagemagick,
# fonts-dejavu-core and fonts-noto-core.
set -euo pipefail
cd "$(dirname "$0")/.."
recording=${1:-examples/al-fatiha.opus} seconds=${2:-29}
home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$home"' EXIT
export HOME=$home XDG_RUNTIME_DIR=$home PULSE_RUNTIME_PATH=$home PULSE_SERVER=unix:$home/native
export DISPLAY=:77 LANG=C.UTF-8

cat >"$home/setup.pa" <<END
load-module module-native-protocol-unix auth-anonymous=1 socket=$home/native
load-module module-null-sink sink_name=room rate=48000
set-default-sink room
set-default-source room.monitor
END
env -u PULSE_SERVER pulseaudio -n -F "$home/setup.pa" --daemonize=no --exit-idle-time=-1 \
    --use-pid-file=no --disable-shm=yes 2>/dev/null &
Xvfb "$DISPLAY" -screen 0 1000x400x24 2>/dev/null &
mkdir "$home/.mlterm"
printf '%s\n' font_size=17 scrollbar_mode=none encoding=UTF-8 fg_color=#e6e6e6 bg_color=#15181e \
    inner_border=8 >"$home/.mlterm/main"
printf '%s\n' 'DEFAULT=DejaVu Sans Mono' 'U+0600-06FF=Noto Sans Arabic' >"$home/.mlterm/aafont"
sleep 3
mlterm --type=xft -g 98x20 -e "$PWD/.venv/bin/python" -m stream.mic --device pulse 2>/dev/null &
sleep 10 # until it listens
.venv/bin/python - "$recording" "$home/recording.wav" <<'END'
import sys
import wave
from pathlib import Path

from acoustic.corpus import SAMPLE_RATE, decode

with wave.open(sys.argv[2], "wb") as file:
    file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
    file.writeframes(decode(Path(sys.argv[1])).tobytes())
END
paplay "$home/recording.wav" &
sleep "$seconds"
mkdir -p docs
import -window root -colors 64 docs/demo.png
