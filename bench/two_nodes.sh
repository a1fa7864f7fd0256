#!/bin/sh
# Trains over two nodes that this machine plays: two network namespaces with an address each and nothing between
# them but a cable, two processes in each. The generator must be that of four processes on one node, bit by bit.
# Needs Linux and the right to make namespaces (root, or: unshare -r). Nothing outside of them is changed.
#
#   sh bench/two_nodes.sh FOLDER
set -eu
if [ "${IN_NAMESPACE:-}" != yes ]; then
    IN_NAMESPACE=yes exec unshare --net --mount "$0" "$@"
fi
out=$1
python=${PYTHON:-python}
export OMP_NUM_THREADS=1
settings="--preset tiny --device cpu --set training.steps=3 training.batch=16 training.group=4 objective.lambda_id=0"

mount -t tmpfs none /run # where ip keeps names of namespaces: this mount is seen in here alone
mkdir -p /run/netns "$out"
for node in 1 2; do ip netns add "node$node"; done
ip link add cable1 netns node1 type veth peer name cable2 netns node2
for node in 1 2; do
    ip -n "node$node" address add "10.77.0.$node/24" dev "cable$node"
    ip -n "node$node" link set "cable$node" up
    ip -n "node$node" link set lo up
done

"$python" -m pcfh prepare "$out/prepared" --database samples/NIR-VIS-2.0 --backend given --sizes 64 --workers 1
for node in 1 2; do
    GLOO_SOCKET_IFNAME=cable$node ip netns exec "node$node" "$python" -m torch.distributed.run \
        --nnodes 2 --node-rank $((node - 1)) --nproc-per-node 2 --master-addr 10.77.0.1 --master-port 29500 \
        -m pcfh train "$out/prepared" "$out/two_nodes" $settings &
    pids="${pids:-} $!"
done
for pid in $pids; do wait "$pid"; done

ip link set lo up
"$python" -m torch.distributed.run --standalone --nproc-per-node 4 \
    -m pcfh train "$out/prepared" "$out/one_node" $settings
cmp "$out/two_nodes/generator.safetensors" "$out/one_node/generator.safetensors"
echo "two nodes and one give the same generator"
