#!/bin/sh
# Checks that this machine has what keepvip's build, demo and tests need, and installs what is missing on Debian and its
# kin, saying so first. Elsewhere, or without the right to install, it says what is missing and ends with status 1.
#
#   tools/system.sh demo|test
set -eu

PATH="$PATH:/usr/sbin:/sbin"
purpose=${1:-}
case $purpose in
demo | test) ;;
*)
    echo "usage: tools/system.sh demo|test" >&2
    exit 2
    ;;
esac

missing=""

# need PACKAGE WHAT TEST...: notes the Debian package if the test fails.
need() {
    package=$1 what=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing="$missing $package"
        echo "missing: $what (Debian package $package)"
    fi
}

have() { command -v "$1"; }

look_for_what_is_missing() {
    missing=""
    python=$(tools/find-python.sh 2>/dev/null || true)
    if [ -z "$python" ]; then
        need python3 "Python 3.11 or newer" false
        python=python3
    fi
    need python3-venv "Python's venv and ensurepip" "$python" -c "import venv, ensurepip"
    need python3-dev "Python's C headers" "$python" -c \
        "import os, sysconfig; os.stat(os.path.join(sysconfig.get_path('include'), 'Python.h'))"
    need gcc "a C compiler (for the Cython module)" have cc
    need libc6-dev "the C library's headers" test -e /usr/include/stdio.h
    need iproute2 "the program ip (the lab's networks)" have ip
    need util-linux "the programs nsenter and unshare" have unshare
    if [ "$purpose" = test ]; then
        need iputils-ping "the program ping" have ping
        need nftables "the program nft (cutting a lab network in two)" have nft
        need keepalived "keepalived (the other node of the interoperation tests)" have keepalived
        need frr "FRRouting's vrrpd (another other node)" test -x /usr/lib/frr/vrrpd
        need tshark "tshark (an independent decoder of what keepvip sends)" have tshark
        need user-mode-linux "user-mode-linux (a guest kernel with IPVS, VLAN and VRF)" have linux.uml
        need kmod "the program modprobe (modules of the guest kernel)" have modprobe
        need ipvsadm "the program ipvsadm (what the guest kernel's IPVS table holds)" have ipvsadm
        need curl "the program curl (a client of load-balanced services)" have curl
        need valgrind "valgrind (counts the instructions of the core)" have valgrind
        need gdb "gdb (freezes Python while the engine must go on)" have gdb
    fi
}

# Packages of daemons start them at once. Only the programs are wanted: what was not there before shall not run now.
stop_new_daemons() {
    for name in keepalived frr; do
        case " $missing " in
        *" $name "*) ;;
        *) continue ;;
        esac
        if [ -d /run/systemd/system ]; then
            as_root systemctl disable --now --quiet "$name.service" || true
        elif [ -x "/etc/init.d/$name" ]; then
            as_root "/etc/init.d/$name" stop >/dev/null 2>&1 || true
        fi
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

check_rust() {
    if ! command -v cargo >/dev/null; then
        cat >&2 <<'END'
missing: the Rust toolchain (cargo, rustc; version 1.88 or newer).
  Get it with rustup, see https://rustup.rs (Debian 13: apt-get install rustup && rustup default stable),
  or from your distribution if that is new enough. Then run this again.
END
        exit 1
    fi
    version=$(rustc --version | cut -d ' ' -f 2)
    minor=$(echo "$version" | cut -d . -f 2)
    if [ "${version%%.*}" -eq 1 ] && [ "$minor" -lt 88 ]; then
        echo "rustc $version is too old: keepvip needs 1.88 or newer (rustup update stable)." >&2
        exit 1
    fi
    if [ "$purpose" = test ] && ! { cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1; then
        echo "missing: clippy and rustfmt (rustup component add clippy rustfmt)." >&2
        exit 1
    fi
}

look_for_what_is_missing
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "Please install these by your system's means, then run this again." >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "Please run as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "Installing with apt-get:$missing"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -q
    # RUNLEVEL=1 keeps the packages' scripts from starting daemons where systemd does not rule.
    # shellcheck disable=SC2086  # a list of packages, split on purpose
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $missing
    stop_new_daemons
    look_for_what_is_missing
    if [ -n "$missing" ]; then
        echo "Still missing after the installation:$missing" >&2
        exit 1
    fi
fi
check_rust
