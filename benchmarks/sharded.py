"""A training run with FSDP on CPU processes, to see sharding work where there are no GPUs.

    python -m torch.distributed.run --nproc_per_node 2 --master_addr 127.0.0.1 -m benchmarks.sharded ARGUMENTS

ARGUMENTS are those of `python -m training`. Accelerate shards on GPUs alone: on CPUs `accelerate launch --use_fsdp`
trains without sharding. So it is told here that these processes are GPUs; what comes after that (torch's
`fully_shard` over gloo, clipping, checkpoints, resuming) is what runs on GPUs.
"""

from __future__ import annotations

import os
import sys

SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "MusicGPTDecoderLayer",
}


def main() -> int:
    """The training; its exit code."""
    os.environ.update(SHARDED)
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    from training.__main__ import main as train

    return train([*sys.argv[1:], "--cpu", "true"])


if __name__ == "__main__":
    sys.exit(main())
