#!/usr/bin/env bash
# The GPU table: chains of the published nets, whether their numbers are right, a learning iteration, memory over many steps; with
# --peers also PyTorch (eager and with CUDA graphs) and JAX on the same card. Builds nothing: it needs the program, built anywhere with
#   cargo build -p xtask --features cuda        (or wgpu)
# and, on the machine with the card, its driver and for cuda NVRTC and the CUDA headers.
set -euo pipefail

usage() {
    cat <<'END'
Usage: benches/gpu.sh [--binary FILE] [--backend NAME] [--peers PYTHON] [--out FILE.json] [--steps N]

  --binary FILE     the program [default: target/debug/ebm beside this folder]
  --backend NAME    cuda, cuda:1, wgpu, vulkan, ... [default: cuda]
  --peers PYTHON    also measure PyTorch and JAX with this interpreter (pip install torch "jax[cuda12]")
  --out FILE.json   where all numbers go, a new file [default: gpu-BACKEND-DATE.json]
  --steps N         steps over which memory is watched [default: 100000]
END
}

here="$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)"
binary="$here/../target/debug/ebm"
backend=cuda
out=
steps=100000
peers=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help)
            usage
            exit 0 ;;
        --binary | --backend | --peers | --out | --steps)
            if [ $# -lt 2 ]; then
                echo "$1 needs a value" >&2
                exit 2
            fi
            case "$1" in
                --binary) binary="$2" ;;
                --backend) backend="$2" ;;
                --peers) peers=(--peers "$2" --peers-script "$here/peers/langevin_peers.py" --peers-precision f32,tf32) ;;
                --out) out="$2" ;;
                --steps) steps="$2" ;;
            esac
            shift 2 ;;
        *)
            echo "unknown argument $1" >&2
            usage >&2
            exit 2 ;;
    esac
done
if [ ! -x "$binary" ]; then
    echo "there is no program $binary: build it with \`cargo build -p xtask --features cuda\` (or wgpu), or name it with --binary" >&2
    exit 2
fi
out="${out:-gpu-${backend//:/-}-$(date +%Y%m%d-%H%M%S).json}"

# Two rounds, in turn with the peers. Without burn's own engine, which tries many kernels for each shape first; `bench --engine tensor`
# measures it.
exec "$binary" bench --backend "$backend" --engine cube,cube-tf32,cube-bf16 --seconds 1 --rounds 2 \
    --learning gmm_convergent,short-run,cifar10_nonconvergent --endurance "$steps" --out "$out" ${peers[@]+"${peers[@]}"}
