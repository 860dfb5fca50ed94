#!/bin/sh
# Prints how large libtorch's NCCL classes are in a given libtorch_cuda.so, for x86-64: the size that each class's deleting
# destructor hands to `operator delete`. host/c10d/cpp/nccl.h gives them more than three times that.
#
#   scripts/nccl_layout.sh /path/to/torch/lib/libtorch_cuda.so
set -eu
library=$1
for class in N4c10d16ProcessGroupNCCL7OptionsE N4c10d16ProcessGroupNCCLE; do
  vtable=$(nm -D --defined-only "$library" | awk -v name="_ZTV$class" '$3 == name { print $1 }')
  # Behind the offset, the type and the destructor that does not free.
  slot=$(printf '%016x' $((0x$vtable + 24)))
  destructor=$(readelf -rW "$library" | awk -v slot="$slot" '$1 == slot { print $NF; exit }')
  case $destructor in
  _Z*) address=$(nm -D --defined-only "$library" | awk -v name="${destructor%%@*}" '$3 == name { print $1 }') ;;
  *) address=$(readelf -rW "$library" | awk -v slot="$slot" '$1 == slot { print $4; exit }') ;;
  esac
  size=$(objdump -d --start-address=0x"$address" --stop-address=$((0x$address + 512)) "$library" |
    awk -F'[$,]' '/mov +\$0x[0-9a-f]+,%esi/ { size = $2 } /jmp.*ZdlPvm/ { print size; exit }')
  echo "$(c++filt "_Z$class"): $((size)) bytes"
done
