#!/usr/bin/env bash
# mstar on every GPU of one node, or of several: the same command on each of them.
#
#   scripts/torchrun.sh fit -c PAGE -c configs/strategy/fsdp2.yaml
#   NODES=4 HEAD=10.0.0.1:29500 RESTARTS=3 scripts/torchrun.sh fit -c PAGE -c configs/strategy/fsdp2.yaml
#
# PROCESSES  ranks a node; by default one a GPU (on CPUs give a number, and --trainer.accelerator cpu)
# NODES      nodes (1); all must see the run folder, which is where rollouts are shared
# HEAD       host:port of one of the nodes, the same on all; not needed for one node
# RESTARTS   how often all ranks are started again when one fails (0); they go on from what is on disk
# PYTHON     interpreter (python)
set -euo pipefail

if [ $# -eq 0 ]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 2
fi

nodes=${NODES:-1}
launch=(--nproc-per-node "${PROCESSES:-gpu}" --max-restarts "${RESTARTS:-0}")
if [ "$nodes" -eq 1 ]; then
    launch+=(--standalone)
else
    launch+=(--nnodes "$nodes" --rdzv-backend c10d --rdzv-id mstar)
    launch+=(--rdzv-endpoint "${HEAD:?give HEAD=host:port of one of the $nodes nodes, the same on all}")
fi
size=(--trainer.num_nodes="$nodes")
if [ -n "${PROCESSES:-}" ]; then
    size+=(--trainer.devices="$PROCESSES")
fi

exec "${PYTHON:-python}" -m torch.distributed.run "${launch[@]}" -m mstar "$@" "${size[@]}"
