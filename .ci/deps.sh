#!/bin/sh
# Install what building and testing Hearth needs, where it is missing: apt, with sudo if not root;
# elsewhere name the packages and stop. `deps.sh bench`: what drawing results needs, too.
set -u

# MPICC=mpicc.mpich: MPICH instead of Open MPI.
case ${MPICC:-mpicc} in
*mpich*) mpi_run="mpirun.mpich mpich" mpi_cc="mpicc.mpich libmpich-dev" ;;
*) mpi_run="mpirun openmpi-bin" mpi_cc="mpicc libopenmpi-dev" ;;
esac
packages="gcc make pkg-config ${mpi_run#* } ${mpi_cc#* } libhwloc-dev libcunit1-dev libpng-dev libxxhash-dev clang-format binutils m4"
missing=""
have() { command -v "$1" >/dev/null 2>&1; }
lib() { have pkg-config && pkg-config --exists "$1"; }
want() { missing="$missing $1"; }

have gcc || want gcc
have make || want make
have ld || want binutils
have pkg-config || want pkg-config
have "${mpi_run% *}" || want "${mpi_run#* }"
have "${mpi_cc% *}" || want "${mpi_cc#* }"
lib hwloc || want libhwloc-dev
lib cunit || want libcunit1-dev
lib libpng || want libpng-dev
lib libxxhash || want libxxhash-dev
have clang-format || want clang-format
have m4 || want m4
if [ "${1:-}" = bench ]; then
    packages="$packages gnuplot-nox"
    have gnuplot || want gnuplot-nox
fi
[ -z "$missing" ] && exit 0

if ! have apt-get; then
    echo "Hearth needs software that is not here, and there is no apt-get to install it with." >&2
    echo "Missing (names as in Debian):$missing" >&2
    echo "All that is needed: $packages" >&2
    exit 1
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
    if ! have sudo; then
        echo "Please install, as root: apt-get install$missing" >&2
        exit 1
    fi
    sudo=sudo
fi
echo "installing:$missing"
log=$(mktemp)
# shellcheck disable=SC2086
if ! { $sudo apt-get update -q &&
       $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install:$missing (its words above)" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
