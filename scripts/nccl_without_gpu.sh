#!/bin/sh
# Runs a program with the libtorch of a CUDA package on a machine without a GPU: what CUDA's runtime and NCCL would do is done
# by host/c10d/tests/stand_in, in this machine's memory. Kernels compute nothing; copies, streams, events and collectives
# between the processes of this machine work. For the code around NCCL, not for numbers of a network.
#
#   python3 -m venv cuda && cuda/bin/pip install torch==2.11.0
#   cargo test -p snaphook-c10d --no-run
#   STAND_IN_GPUS=2 scripts/nccl_without_gpu.sh cuda/bin/python target/debug/deps/suite-<hash> gpus
set -eu
if [ $# -lt 2 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
python=$1
shift
sources=$(cd "$(dirname "$0")/../host/c10d/tests/stand_in" && pwd)
packages=$("$python" -c 'import torch; print(*torch.__path__)')/..
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

# CUDA's headers want one of its compiler's, of which macros are all that is needed here.
mkdir "$built/crt"
cat >"$built/crt/host_defines.h" <<'MACROS'
#define __host__
#define __device__
#define __cudart_builtin__
#define __device_builtin__
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __builtin_align__(bytes) __align__(bytes)
MACROS
c++ -std=c++17 -O1 -shared -fPIC -D__CUDA_RUNTIME_H__ -D__CUDA_FP16_H__ -D__CUDA_BF16_H__ -D__CUDA_FP8_H__ \
  -I"$built" -isystem "$packages/nvidia/cu13/include" -isystem "$packages/nvidia/nccl/include" \
  -Wall -Wextra "$sources/runtime.cpp" "$sources/nccl.cpp" -o "$built/stand_in.so" -lpthread
cc -shared -fPIC "$sources/driver.c" -o "$built/libcuda.so.1"

libraries="$built:$packages/torch/lib"
for folder in "$packages"/nvidia/*/lib; do
  libraries="$libraries:$folder"
done
LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" LD_PRELOAD="$built/stand_in.so" "$@"
