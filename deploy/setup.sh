#!/usr/bin/env bash
# Installs what Weir needs on Debian 12 or Ubuntu 24.04: deploy/setup.sh build|test.
# Asks dpkg first and installs only what is missing, so that running it again does nothing.
set -euo pipefail

purpose=${1:-build}
case $purpose in
    build | test) ;;
    *)
        echo "error: unknown purpose $purpose; deploy/setup.sh; write build or test" >&2
        exit 2
        ;;
esac

readonly oldest_rust=1.89
readonly deny_version=0.20.2
# For Grafana 11.6; the first number is the moment of its publication.
readonly grafana_model_version='1769699379!11.6.0'
readonly schemathesis_version=4.32.5
readonly sigma_version=3.1.0
readonly playwright_version=1.65.2
readonly axe_version=0.1.8
readonly pillow_version=13.0.0

stop() {
    echo "error: $*" >&2
    exit 1
}

. /etc/os-release 2>/dev/null || stop "unknown system; /etc/os-release; use Debian 12 or Ubuntu 24.04"
# DPDK's drivers carry its ABI in their names.
case "$ID-${VERSION_ID:-}" in
    debian-12) abi=23 ;;
    ubuntu-24.04) abi=24 ;;
    *)
        stop "${PRETTY_NAME:-this system} is not known to work; /etc/os-release;" \
            "use Debian 12 or Ubuntu 24.04, or install what deploy/setup.sh lists by hand"
        ;;
esac

needed=(
    gcc                              # compiles the shim over DPDK's inline functions
    libc6-dev                        # its headers
    pkg-config                       # finds libdpdk
    libdpdk-dev                      # DPDK's headers and libraries
    libclang-dev                     # bindgen reads DPDK's headers with it
    "librte-mempool-ring$abi"        # DPDK driver: the pools of packet buffers
    "librte-net-pcap$abi"            # DPDK driver: captures, for replays and the demo
    "librte-net-af-packet$abi"       # DPDK driver: any Linux interface
    "librte-net-af-xdp$abi"          # DPDK driver: the same, faster
    "librte-net-ring$abi"            # DPDK driver: frames from the same process
    "librte-net-null$abi"            # DPDK driver: frames from nowhere, to measure
    libxdp1                          # AF_XDP's own library
    libbpf1                          # and what it loads programs with
)
if [ "$purpose" = test ]; then
    needed+=(
        dpdk                         # dpdk-devbind and dpdk-hugepages
        dpdk-dev                     # dpdk-testpmd, beside which the engine is measured
        tshark                       # a second opinion on every decoded frame
        libndpi-bin                  # ndpiReader, beside which captures are read
        tcpdump                      # the same
        nfdump                       # nfpcapd, the same; nfcapd, which collects flows
        rsyslog                      # collects events as a SOC does
        rsyslog-gnutls               # the same over TLS
        python3-scapy                # another one
        "librte-net-failsafe$abi"    # DPDK driver: makes a capture a device that waits for nobody
        tcpreplay                    # sends captures into veth pairs
        iproute2                     # makes network namespaces and veth pairs
        ethtool                      # turns their offloads off
        prometheus                   # promtool, which checks /metrics and the rules; scrapes in tests
        prometheus-alertmanager      # delivers alerts in tests; amtool checks its configuration
        python3-venv                 # keeps apart what tests use of Python's
        fonts-inter                  # the fonts of its pictures
        fonts-dejavu-core            # the same, of every script
        valgrind                     # finds leaks of the teardown, counts instructions
    )
    # The browser in which the analyst's page is tried. Ubuntu has it as a snap alone, which sees no other's files.
    [ "$ID" != debian ] || needed+=(chromium)
fi

missing=()
for package in "${needed[@]}"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            stop "packages are missing and there is no sudo; ${missing[*]}; install them as root"
        root=(sudo)
    fi
    "${root[@]}" apt-get update --quiet
    # Without questions: nobody may be there to answer.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "${missing[@]}" ||
        stop "apt-get could not install ${missing[*]}; see above; run deploy/setup.sh again"
    # Their programs are wanted, not the services that the packages start.
    for service in nfdump rsyslog prometheus prometheus-alertmanager; do
        if [[ " ${missing[*]} " == *" $service "* ]] && [ -d /run/systemd/system ]; then
            "${root[@]}" systemctl disable --now --quiet "$service.service" || true
        fi
    done
fi

command -v cargo >/dev/null ||
    stop "Rust is not installed; cargo is not in PATH; install $oldest_rust or later, see rustup.rs"
rust=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n' "$oldest_rust" "$rust" | sort --version-sort | head -1)" = "$oldest_rust" ] ||
    stop "Rust $rust is too old; rustc --version; run: rustup update stable"

if [ "$purpose" = test ] && ! cargo deny --version >/dev/null 2>&1; then
    # Built once a machine; the tests go on without it where it can't be had.
    timeout 1200 cargo install cargo-deny --locked --quiet --version "$deny_version" ||
        echo "warning: cargo-deny can't be installed; licences and sources are not checked" >&2
fi

# What tests use of Python's, each in a place of its own, once a machine and version; the tests go on without what can't be
# had, or with the version that is there.
keep_apart() {
    local place="${XDG_CACHE_HOME:-$HOME/.cache}/weir/$1" module=$2 packages=("${@:3}")
    # What was asked for when it was installed last. What can't be used is made anew.
    local asked="$place/asked" anew=()
    if ! "$place/bin/python" -c "import $module" >/dev/null 2>&1; then
        anew=(--clear)
    elif [ "$(cat "$asked" 2>/dev/null)" = "${packages[*]}" ]; then
        return
    fi
    { /usr/bin/python3 -m venv "${anew[@]}" "$place" &&
        timeout 300 "$place/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" &&
        printf '%s\n' "${packages[*]}" >"$asked"; } ||
        echo "warning: ${packages[*]} can't be installed; what it checks is not checked" >&2
}

if [ "$purpose" = test ]; then
    # Grafana's own types of a dashboard (Apache-2.0).
    keep_apart grafana-11.6 grafana_foundation_sdk "grafana-foundation-sdk==$grafana_model_version"
    # Reads Sigma rules as a SIEM does.
    keep_apart sigma-cli sigma "sigma-cli==$sigma_version"
    # Tries everything that the interface's description allows, and what it does not.
    keep_apart schemathesis schemathesis "schemathesis==$schemathesis_version"
    # Drives the browser, brings axe for it, and makes the documentation's pictures small.
    keep_apart browser axe_playwright_python "playwright==$playwright_version" \
        "axe-playwright-python==$axe_version" "pillow==$pillow_version"
fi
